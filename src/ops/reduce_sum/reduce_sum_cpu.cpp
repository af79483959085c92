// Sums over leading dimensions, which leave whole rows: bias gradients.
#include "ops/reduce.h"
#include "runtime/cpu_facet.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> reduce_sum_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> reduce_sum_cpu(const runtime::KernelContext& c) {
  if (!runtime::is_f32(c)) return nullptr;
  const Shape& x = c.in[0]->shape;
  const std::vector<bool> reduced = reduced_dims(x, c.node.attrs);
  int leading = 0;
  while (leading < x.rank() && reduced[static_cast<size_t>(leading)]) ++leading;
  for (int d = leading; d < x.rank(); ++d) {
    if (reduced[static_cast<size_t>(d)]) return nullptr;
  }
  const int64_t rows = x.product(0, leading);
  const int64_t n = x.product(leading, x.rank());
  return runtime::make_kernel(
      [=](ConstViews in, Views out, void* workspace, ThreadPool* pool) {
        runtime::cpu().column_sums(rows, n, in[0].as<float>(), false, out[0].as<float>(), workspace,
                                   pool);
      },
      runtime::cpu().column_sums_workspace_bytes(rows, n));
}

}  // namespace ew::ops
