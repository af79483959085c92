// Finds the maxima again, then sends every gradient to its own.
#include "runtime/conv_shape.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> max_pool_grad_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> max_pool_grad_cpu(const runtime::KernelContext& c) {
  const auto shape = runtime::pool_shape(c, c.in[0]->shape);
  if (!shape) return nullptr;
  const auto outputs = static_cast<size_t>(c.in[1]->shape.num_elements());
  const size_t values = runtime::aligned(outputs * sizeof(float));
  return runtime::make_kernel(
      [s = *shape, values](ConstViews in, Views out, void* workspace, ThreadPool* pool) {
        auto* argmax = static_cast<int32_t*>(runtime::offset(workspace, values));
        runtime::cpu().max_pool(s, in[0].as<float>(), static_cast<float*>(workspace), argmax, pool);
        runtime::cpu().max_pool_grad(s, in[1].as<float>(), argmax, out[0].as<float>(), pool);
      },
      values + outputs * sizeof(int32_t));
}

}  // namespace ew::ops
