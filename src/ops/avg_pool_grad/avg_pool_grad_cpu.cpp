#include "runtime/conv_shape.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> avg_pool_grad_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> avg_pool_grad_cpu(const runtime::KernelContext& c) {
  const auto shape = runtime::pool_shape(c, c.out[0].shape);
  if (!shape) return nullptr;
  return runtime::make_kernel([s = *shape](ConstViews in, Views out, void*, ThreadPool* pool) {
    runtime::cpu().average_pool_grad(s, in[0].as<float>(), out[0].as<float>(), pool);
  });
}

}  // namespace ew::ops
