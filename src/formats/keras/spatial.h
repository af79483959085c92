#pragma once
// What io facets of layers share: adapters for lowering functions that fail by Result, and layers
// over spatial dimensions in either data format.

#include <string>
#include <vector>

#include "formats/keras/layer.h"

namespace ew::formats {

/// A lowering with one output; an error is reported as the layer's.
using LowerFn = Result<ValueId> (*)(LayerContext& c);

/// As a KerasLayerFn whose output keeps the first input's mask.
template <LowerFn lower>
std::vector<KerasTensor> keeps_mask(LayerContext& c) {
  const Result<ValueId> y = lower(c);
  return y.ok() ? c.output(*y) : c.fail(y.error());
}

/// As a KerasLayerFn whose output has no mask.
template <LowerFn lower>
std::vector<KerasTensor> drops_mask(LayerContext& c) {
  const Result<ValueId> y = lower(c);
  return y.ok() ? LayerContext::unmasked(*y) : c.fail(y.error());
}

/// The only input. Error kInvalidData if there is none.
Result<ValueId> sole_input(const LayerContext& c);

/// `text` under `key` in lower case, or `fallback`.
Result<std::string> lower_text(const Config& config, std::string_view key, const char* fallback);

/// Whether `data_format` says channels_first. Error kInvalidData for any other word.
Result<bool> is_channels_first(const Config& config);

/// [N, C, spatial...] as [N, spatial..., C], and back.
ValueId to_channels_last(ir::Builder& b, ValueId x);
ValueId to_channels_first(ir::Builder& b, ValueId x);

/// A layer over 1 to 3 spatial dimensions with its input in channels-last layout. One spatial
/// dimension is run as two, the first of size 1, so that the 2-D kernels serve it.
class SpatialLayer {
 public:
  /// Error kInvalidData if the input is not of rank `rank` + 2 with a known number of channels.
  static Result<SpatialLayer> open(LayerContext& c, int rank);

  /// [N, spatial..., C].
  ValueId x() const { return x_; }
  int64_t channels() const { return c_->b.shape(x_)[-1]; }
  int rank() const { return rank_; }

  /// A config entry with one positive integer per dimension of the layer ("kernel_size").
  Result<std::vector<int64_t>> sizes(const char* key, std::vector<int64_t> fallback = {}) const;
  /// Values per dimension of the layer as values per dimension of x(); `first` for the added one.
  std::vector<int64_t> widen(std::vector<int64_t> values, int64_t first = 1) const;
  /// A kernel [sizes..., A, B] as x() needs it.
  ValueId widen_kernel(ValueId kernel) const;
  /// y in the layout and rank of the layer's input.
  ValueId close(ValueId y) const;

 private:
  SpatialLayer(LayerContext& c, int rank) : c_(&c), rank_(rank) {}
  LayerContext* c_;
  int rank_;
  bool is_channels_first_ = false;
  ValueId x_ = kNoValue;
};

/// The attributes that a Keras convolution or pooling gives its window: strides, dilations, padding
/// and pads ("causal" becomes explicit). `kernel` per dimension of the layer.
Result<ir::Attrs> window_attrs(const LayerContext& c, const SpatialLayer& layer,
                               const std::vector<int64_t>& kernel,
                               const std::vector<int64_t>& default_strides);

/// Declares the weight `name` of `shape` after checking the shape, which may come from a hostile
/// file.
Result<ValueId> checked_weight(LayerContext& c, const std::string& name, const Shape& shape,
                               const WeightOptions& options);

/// A pooling layer by `op` (max_pool or avg_pool), and one over all spatial dimensions by `op`
/// (reduce_max or reduce_mean).
Result<ValueId> lower_pool(LayerContext& c, int rank, const ir::OpDef& op);
Result<ValueId> lower_global_pool(LayerContext& c, int rank, const ir::OpDef& op);

}  // namespace ew::formats
