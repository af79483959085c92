#include "runtime/conv_shape.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> max_pool_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> max_pool_cpu(const runtime::KernelContext& c) {
  const auto shape = runtime::pool_shape(c, c.in[0]->shape);
  if (!shape) return nullptr;
  return runtime::make_kernel([s = *shape](ConstViews in, Views out, void*, ThreadPool* pool) {
    runtime::cpu().max_pool(s, in[0].as<float>(), out[0].as<float>(), nullptr, pool);
  });
}

}  // namespace ew::ops
