// Convolutions over one or two spatial dimensions.
#include "runtime/conv_shape.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> conv_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> conv_cpu(const runtime::KernelContext& c) {
  const auto shape = runtime::conv_shape(c, c.in[0]->shape, c.in[1]->shape);
  if (!shape) return nullptr;
  const size_t bytes = runtime::cpu().conv2d_workspace_bytes(*shape, runtime::kMaxThreads);
  return runtime::make_kernel(
      [s = *shape, clamp = runtime::clamp_of(c.node)](ConstViews in, Views out, void* workspace,
                                                      ThreadPool* pool) {
        const float* bias = in.size() > 2 && in[2] ? in[2].as<float>() : nullptr;
        runtime::cpu().conv2d(s, in[0].as<float>(), in[1].as<float>(), bias, clamp,
                              out[0].as<float>(), workspace, pool);
      },
      bytes);
}

}  // namespace ew::ops
