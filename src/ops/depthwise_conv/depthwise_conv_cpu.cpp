#include "runtime/conv_shape.h"
#include "runtime/hybrid_kernel.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> depthwise_conv_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> depthwise_conv_cpu(const runtime::KernelContext& c) {
  if (runtime::is_hybrid(c)) return runtime::hybrid_depthwise(c);
  const auto shape = runtime::depthwise_shape(c, c.in[0]->shape, c.in[1]->shape);
  if (!shape) return nullptr;
  const kernels::KernelTable& table = runtime::cpu_for(shape->channels * shape->multiplier);
  const size_t bytes = table.depthwise_workspace_bytes(*shape, runtime::kMaxThreads);
  return runtime::make_kernel(
      [&table, s = *shape, clamp = runtime::clamp_of(c.node)](ConstViews in, Views out,
                                                              void* workspace, ThreadPool* pool) {
        const float* bias = in.size() > 2 && in[2] ? in[2].as<float>() : nullptr;
        table.depthwise(s, in[0].as<float>(), in[1].as<float>(), bias, clamp, out[0].as<float>(),
                        workspace, pool);
      },
      bytes);
}

}  // namespace ew::ops
