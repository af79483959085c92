// Convolutions over one or two spatial dimensions.
#include "runtime/conv_shape.h"
#include "runtime/hybrid_kernel.h"
#include "runtime/packed_weights.h"

namespace ew::ops {
namespace {

const float* bias_of(ConstViews in) { return in.size() > 2 && in[2] ? in[2].as<float>() : nullptr; }

/// With a kernel that never changes, in the kernels' own layout.
class PackedConv final : public runtime::Kernel {
 public:
  PackedConv(const runtime::KernelContext& c, const kernels::KernelTable& table,
             const kernels::Conv2dShape& shape)
      : table_(table),
        shape_(shape),
        clamp_(runtime::clamp_of(c.node)),
        packed_(c, table, table.conv2d_packed_bytes(shape), [&](float* packed) {
          table.conv2d_pack(shape, c.constants[1]->values<float>().data(), packed);
        }) {}
  void run(ConstViews in, Views out, void* workspace, ThreadPool* pool) const override {
    const float* packed = packed_.floats(workspace, pool);
    table_.conv2d_packed(shape_, in[0].as<float>(), packed, bias_of(in), clamp_, out[0].as<float>(),
                         runtime::offset(workspace, packed_.workspace_bytes()), pool);
  }
  size_t workspace_bytes() const override {
    return packed_.workspace_bytes() +
           table_.conv2d_packed_workspace_bytes(shape_, runtime::kMaxThreads);
  }
  bool needs_input(size_t index) const override { return index != 1; }
  std::optional<runtime::PackedBlock> packed() const override { return packed_.block(); }

 private:
  const kernels::KernelTable& table_;
  kernels::Conv2dShape shape_;
  kernels::Clamp clamp_;
  runtime::PackedWeights packed_;
};

}  // namespace

std::unique_ptr<runtime::Kernel> conv_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> conv_cpu(const runtime::KernelContext& c) {
  if (runtime::is_hybrid(c)) return runtime::hybrid_conv(c);
  const auto shape = runtime::conv_shape(c, c.in[0]->shape, c.in[1]->shape);
  if (!shape) return nullptr;
  const kernels::KernelTable& table = runtime::cpu_for(shape->out_c / shape->groups);
  if (c.constants[1] != nullptr) return std::make_unique<PackedConv>(c, table, *shape);
  const kernels::Clamp clamp = runtime::clamp_of(c.node);
  return runtime::make_kernel(
      [&table, s = *shape, clamp](ConstViews in, Views out, void* workspace, ThreadPool* pool) {
        table.conv2d(s, in[0].as<float>(), in[1].as<float>(), bias_of(in), clamp,
                     out[0].as<float>(), workspace, pool);
      },
      table.conv2d_workspace_bytes(*shape, runtime::kMaxThreads));
}

}  // namespace ew::ops
