#include "runtime/hybrid_kernel.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "ops/hybrid.h"
#include "runtime/conv_shape.h"
#include "runtime/packed_weights.h"

namespace ew::runtime {
namespace {

using kernels::HybridTable;

/// A scale for every output channel.
std::vector<float> channel_scales(const ir::TensorType& w, int64_t channels) {
  const std::vector<float>& scales = w.quant->scales;
  if (scales.size() > 1) return scales;
  return std::vector<float>(static_cast<size_t>(channels), scales[0]);
}

const float* bias_of(ir::ConstViews in) {
  return in.size() > 2 && in[2] ? in[2].as<float>() : nullptr;
}

/// Whether weights fit half a byte, and are many enough for that to matter.
bool fit_nibbles(const ir::Tensor& w) {
  constexpr int64_t kLeast = 4096;
  const auto values = w.values<int8_t>();
  return w.size() >= kLeast &&
         std::all_of(values.begin(), values.end(), [](int8_t v) { return v >= -8 && v <= 7; });
}

class Product final : public Kernel {
 public:
  Product(const KernelContext& c, const HybridTable& table, const kernels::HybridShape& shape,
          const kernels::HybridArgs& args)
      : table_(table), shape_(shape), args_(args) {
    if (!take(c, false) && !take(c, true)) pack(*c.constants[1]);
    args_.weights = weights_->data();
  }
  void run(ir::ConstViews in, ir::Views out, void* workspace, ThreadPool* pool) const override {
    kernels::HybridArgs args = args_;
    args.x = in[0].as<float>();
    args.bias = bias_of(in);
    args.y = out[0].as<float>();
    table_.product(shape_, args, workspace, pool);
  }
  size_t workspace_bytes() const override { return table_.workspace_bytes(shape_, kMaxThreads); }

  bool needs_input(size_t index) const override { return index != 1; }
  std::optional<PackedBlock> packed() const override {
    return PackedBlock{.layout = layout(),
                       .bytes = {static_cast<const uint8_t*>(weights_->data()), weights_->size()},
                       .is_from_file = weights_->owner() != nullptr};
  }

 private:
  std::array<uint8_t, 2> layout() const {
    const bool is_bytes = std::string_view(table_.name) == "vnni";
    PackedKind kind = is_bytes ? PackedKind::kBytes : PackedKind::kWords;
    if (shape_.nibbles) kind = is_bytes ? PackedKind::kByteNibbles : PackedKind::kWordNibbles;
    return packed_layout(kind, target_of(cpu()));
  }
  bool take(const KernelContext& c, bool nibbles) {
    shape_.nibbles = nibbles;
    weights_ = take_packed(c, layout(), table_.weight_bytes(shape_));
    return weights_ != nullptr;
  }
  void pack(const ir::Tensor& w) {
    shape_.nibbles = fit_nibbles(w);
    auto weights = std::make_unique<ir::Buffer>(table_.weight_bytes(shape_));
    const std::vector<float> scales = channel_scales(w.type(), shape_.conv.out_c);
    table_.pack(shape_, w.values<int8_t>().data(), scales.data(), weights->data());
    weights_ = std::move(weights);
  }

  const HybridTable& table_;
  kernels::HybridShape shape_;
  kernels::HybridArgs args_;
  std::unique_ptr<const ir::Buffer> weights_;
};

std::unique_ptr<Kernel> product(const KernelContext& c, const HybridTable& table,
                                kernels::HybridShape shape, bool channel_first) {
  const ir::Tensor* w = c.constants[1];
  if (w == nullptr || shape.taps() > kernels::kMaxHybridTaps) return nullptr;
  kernels::HybridArgs args;
  args.clamp = clamp_of(c.node);
  args.asymmetric = c.node.attrs.flag("asymmetric_inputs");
  args.channel_first = channel_first;
  return std::make_unique<Product>(c, table, shape, args);
}

/// A depthwise convolution of integers held in floats by the float kernel; its sums are exact.
class Depthwise final : public Kernel {
 public:
  Depthwise(const KernelContext& c, const HybridTable& table, const kernels::DepthwiseShape& shape,
            const ir::Tensor& w)
      : table_(table),
        shape_(shape),
        clamp_(clamp_of(c.node)),
        asymmetric_(c.node.attrs.flag("asymmetric_inputs")),
        scales_(channel_scales(w.type(), shape.channels * shape.multiplier)),
        bytes_(aligned(cpu().depthwise_workspace_bytes(one(), kMaxThreads))) {
    for (const int8_t value : w.values<int8_t>()) weights_.push_back(value);
  }

  void run(ir::ConstViews in, ir::Views out, void* workspace, ThreadPool* pool) const override {
    const kernels::Window2d& v = shape_.window;
    const auto channels = static_cast<int64_t>(scales_.size());
    auto* factor = static_cast<float*>(offset(workspace, bytes_));
    auto* zeros = factor + channels;
    auto* integers = zeros + channels;
    std::fill(zeros, zeros + channels, -0.F);  // adding it changes nothing
    const float* bias = bias_of(in);
    const int64_t in_size = v.in_h * v.in_w * shape_.channels;
    const int64_t pixels = v.out_h * v.out_w;
    for (int64_t n = 0; n < shape_.batch; ++n) {
      const float* x = in[0].as<float>() + n * in_size;
      float* y = out[0].as<float>() + n * pixels * channels;
      const float scale = table_.to_integers(in_size, x, asymmetric_, integers);
      for (size_t i = 0; i < scales_.size(); ++i) factor[i] = scale * scales_[i];
      cpu().depthwise(one(), integers, weights_.data(), nullptr, {}, y, workspace, pool);
      table_.scale_rows(pixels, channels, factor, bias == nullptr ? zeros : bias, clamp_, y);
    }
  }
  size_t workspace_bytes() const override {
    const kernels::Window2d& v = shape_.window;
    const size_t floats =
        2 * scales_.size() + static_cast<size_t>(v.in_h * v.in_w * shape_.channels);
    return bytes_ + floats * sizeof(float);
  }

  bool needs_input(size_t index) const override { return index != 1; }

 private:
  kernels::DepthwiseShape one() const {
    kernels::DepthwiseShape shape = shape_;
    shape.batch = 1;
    return shape;
  }

  const HybridTable& table_;
  kernels::DepthwiseShape shape_;
  kernels::Clamp clamp_;
  bool asymmetric_;
  std::vector<float> scales_;
  std::vector<float> weights_;
  size_t bytes_;
};

// The kernels of this machine, or null in a build without any (EW_KERNELS).
const HybridTable* best_table() {
#ifdef EW_NO_HYBRID_KERNELS
  return nullptr;
#else
  static const HybridTable& best = kernels::hybrid_kernels(kernels::detect_cpu());
  return &best;
#endif
}

}  // namespace

bool is_hybrid(const KernelContext& c) {
  return c.in[0]->quant == nullptr && c.in[1]->quant != nullptr;
}

std::unique_ptr<Kernel> hybrid_conv(const KernelContext& c, const HybridTable& table) {
  const auto shape = conv_geometry(c.node, c.in[0]->shape, c.in[1]->shape);
  if (!shape || shape->groups != 1) return nullptr;
  return product(c, table, {.conv = *shape}, c.in[1]->quant->scales.size() > 1);
}

std::unique_ptr<Kernel> hybrid_dense(const KernelContext& c, const HybridTable& table) {
  const Shape& x = c.in[0]->shape;
  kernels::HybridShape shape{.rows = true};
  shape.group = ops::scale_group(*c.in[1]);
  shape.conv.in_c = c.in[1]->shape[0];
  shape.conv.out_c = c.in[1]->shape[1];
  shape.conv.window.in_w = shape.conv.window.out_w = x.product(0, x.rank() - 1);
  return product(c, table, shape, false);
}

std::unique_ptr<Kernel> hybrid_depthwise(const KernelContext& c, const HybridTable& table) {
  const auto shape = depthwise_geometry(c.node, c.in[0]->shape, c.in[1]->shape);
  const ir::Tensor* w = c.constants[1];
  if (!shape || w == nullptr) return nullptr;
  if (shape->window.kernel_h * shape->window.kernel_w > kernels::kMaxHybridDepthwiseTaps) {
    return nullptr;
  }
  return std::make_unique<Depthwise>(c, table, *shape, *w);
}

std::unique_ptr<Kernel> hybrid_conv(const KernelContext& c) {
  const HybridTable* table = best_table();
  return table == nullptr ? nullptr : hybrid_conv(c, *table);
}

std::unique_ptr<Kernel> hybrid_dense(const KernelContext& c) {
  const HybridTable* table = best_table();
  return table == nullptr ? nullptr : hybrid_dense(c, *table);
}

std::unique_ptr<Kernel> hybrid_depthwise(const KernelContext& c) {
  const HybridTable* table = best_table();
  return table == nullptr ? nullptr : hybrid_depthwise(c, *table);
}

}  // namespace ew::runtime
