// Convolutions over one or two spatial dimensions.
#include "runtime/band_chain.h"
#include "runtime/conv_shape.h"
#include "runtime/hybrid_kernel.h"
#include "runtime/packed_weights.h"

namespace ew::ops {
namespace {

const float* bias_of(ConstViews in) { return in.size() > 2 && in[2] ? in[2].as<float>() : nullptr; }

/// With a kernel that never changes, in the kernels' own layout.
class PackedConv final : public runtime::BandKernel {
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
    kernels::PackedB weights = packed_.view();
    if (widens()) {
      weights = {.floats = packed_.floats(workspace, pool)};
      workspace = runtime::offset(workspace, packed_.workspace_bytes());
    }
    table_.conv2d_packed(shape_, in[0].as<float>(), weights, bias_of(in), clamp_,
                         out[0].as<float>(), workspace, pool);
  }
  size_t workspace_bytes() const override {
    return (widens() ? packed_.workspace_bytes() : 0) +
           table_.conv2d_packed_workspace_bytes(shape_, runtime::kMaxThreads);
  }
  bool needs_input(size_t index) const override { return index != 1; }
  std::optional<runtime::PackedBlock> packed() const override { return packed_.block(); }

  // What lays weights out by the number of rows (Winograd, products of few rows) runs as a whole.
  const BandKernel* bands() const override {
    const kernels::Window2d& w = shape_.window;
    const bool is_pointwise = w.kernel_h == 1 && w.kernel_w == 1 && w.stride_h == 1 &&
                              w.stride_w == 1 && w.out_h == w.in_h && w.out_w == w.in_w;
    const bool may = shape_.batch == 1 && shape_.groups == 1 && w.out_w > 4;
    return may && (is_pointwise || w.stride_h > 1) ? this : nullptr;
  }
  runtime::BandGeometry geometry() const override {
    const kernels::Window2d& w = shape_.window;
    return {.window = w, .in_row = w.in_w * shape_.in_c, .out_row = w.out_w * shape_.out_c};
  }
  size_t weight_bytes() const override { return packed_.workspace_bytes(); }
  const float* weights(ConstViews, void* space, ThreadPool* pool) const override {
    return packed_.floats(space, pool);
  }
  void run_band(const kernels::Window2d& window, ConstViews in, const float* weights,
                const runtime::BandInput& x, float* y, void* workspace) const override {
    kernels::Conv2dShape band = shape_;
    band.window = window;
    table_.conv2d_packed(band, x.rows, {.floats = weights}, bias_of(in), clamp_, y, workspace,
                         nullptr);
  }
  size_t band_workspace_bytes(const kernels::Window2d& window) const override {
    kernels::Conv2dShape band = shape_;
    band.window = window;
    return table_.conv2d_packed_workspace_bytes(band, 1);
  }

 private:
  bool widens() const { return packed_.is_half() && !table_.conv2d_takes_halves(shape_); }

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
