#include "runtime/cpu_facet.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> softmax_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> softmax_cpu(const runtime::KernelContext& c) {
  const Shape& x = c.in[0]->shape;
  const int64_t axis = c.node.attrs.integer("axis");
  if (!runtime::is_f32(c) || (axis != -1 && axis != x.rank() - 1)) return nullptr;
  const int64_t n = x[-1];
  const int64_t rows = x.product(0, x.rank() - 1);
  return runtime::make_kernel([=](ConstViews in, Views out, void*, ThreadPool* pool) {
    runtime::cpu().softmax(rows, n, in[0].as<float>(), out[0].as<float>(), pool);
  });
}

}  // namespace ew::ops
