#include "runtime/band_chain.h"
#include "runtime/conv_shape.h"
#include "runtime/hybrid_kernel.h"

namespace ew::ops {
namespace {

const float* bias_of(ConstViews in) { return in.size() > 2 && in[2] ? in[2].as<float>() : nullptr; }

class FloatDepthwise final : public runtime::BandKernel {
 public:
  FloatDepthwise(const kernels::KernelTable& table, const kernels::DepthwiseShape& shape,
                 kernels::Clamp clamp)
      : table_(table), shape_(shape), clamp_(clamp) {}
  void run(ConstViews in, Views out, void* workspace, ThreadPool* pool) const override {
    table_.depthwise(shape_, in[0].as<float>(), in[1].as<float>(), bias_of(in), clamp_,
                     out[0].as<float>(), workspace, pool);
  }
  size_t workspace_bytes() const override {
    return table_.depthwise_workspace_bytes(shape_, runtime::kMaxThreads);
  }

  const BandKernel* bands() const override { return shape_.batch == 1 ? this : nullptr; }
  runtime::BandGeometry geometry() const override {
    const kernels::Window2d& w = shape_.window;
    return {.window = w,
            .in_row = w.in_w * shape_.channels,
            .out_row = w.out_w * shape_.channels * shape_.multiplier};
  }
  bool takes_ring() const override { return table_.depthwise_takes_ring(shape_); }
  const float* weights(ConstViews in, void*, ThreadPool*) const override {
    return in[1].as<float>();
  }
  void run_band(const kernels::Window2d& window, ConstViews in, const float* weights,
                const runtime::BandInput& x, float* y, void* workspace) const override {
    kernels::DepthwiseShape band = shape_;
    band.window = window;
    band.ring = x.ring;
    band.ring_first = x.first;
    table_.depthwise(band, x.rows, weights, bias_of(in), clamp_, y, workspace, nullptr);
  }
  size_t band_workspace_bytes(const kernels::Window2d& window) const override {
    kernels::DepthwiseShape band = shape_;
    band.window = window;
    return table_.depthwise_workspace_bytes(band, 1);
  }

 private:
  const kernels::KernelTable& table_;
  kernels::DepthwiseShape shape_;
  kernels::Clamp clamp_;
};

}  // namespace

std::unique_ptr<runtime::Kernel> depthwise_conv_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> depthwise_conv_cpu(const runtime::KernelContext& c) {
  if (runtime::is_hybrid(c)) return runtime::hybrid_depthwise(c);
  const auto shape = runtime::depthwise_shape(c, c.in[0]->shape, c.in[1]->shape);
  if (!shape) return nullptr;
  const kernels::KernelTable& table = runtime::cpu_for(shape->channels * shape->multiplier);
  return std::make_unique<FloatDepthwise>(table, *shape, runtime::clamp_of(c.node));
}

}  // namespace ew::ops
