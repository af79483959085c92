// The mean over the middle of [N, pixels, C]: global average pooling.
#include "ops/reduce.h"
#include "runtime/cpu_facet.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> reduce_mean_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> reduce_mean_cpu(const runtime::KernelContext& c) {
  if (!runtime::is_f32(c)) return nullptr;
  const Shape& x = c.in[0]->shape;
  const std::vector<bool> reduced = reduced_dims(x, c.node.attrs);
  for (int d = 0; d < x.rank(); ++d) {
    const bool is_middle = d > 0 && d < x.rank() - 1;
    if (reduced[static_cast<size_t>(d)] != is_middle) return nullptr;
  }
  if (x.rank() < 3) return nullptr;
  const int64_t batch = x[0];
  const int64_t pixels = x.product(1, x.rank() - 1);
  const int64_t channels = x[-1];
  return runtime::make_kernel([=](ConstViews in, Views out, void*, ThreadPool* pool) {
    runtime::cpu().global_average_pool(batch, pixels, channels, in[0].as<float>(),
                                       out[0].as<float>(), pool);
  });
}

}  // namespace ew::ops
