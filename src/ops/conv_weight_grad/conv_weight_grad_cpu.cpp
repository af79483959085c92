#include "runtime/conv_shape.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> conv_weight_grad_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> conv_weight_grad_cpu(const runtime::KernelContext& c) {
  const auto shape = runtime::conv_shape(c, c.in[0]->shape, c.out[0].shape);
  if (!shape) return nullptr;
  const size_t bytes =
      runtime::cpu().conv2d_grad_weights_workspace_bytes(*shape, runtime::kMaxThreads);
  return runtime::make_kernel(
      [s = *shape](ConstViews in, Views out, void* workspace, ThreadPool* pool) {
        runtime::cpu().conv2d_grad_weights(s, in[0].as<float>(), in[1].as<float>(),
                                           out[0].as<float>(), nullptr, workspace, pool);
      },
      bytes);
}

}  // namespace ew::ops
