// Keras Conv1D, Conv2D, Conv3D and SeparableConv1D, SeparableConv2D.
#include "formats/keras/spatial.h"

namespace ew::ops {
namespace {

using formats::checked_weight;
using formats::drops_mask;
using formats::LayerContext;
using formats::SpatialLayer;

Result<int64_t> filters_of(const LayerContext& c) {
  EW_TRY(const int64_t filters, c.config.get_int("filters", 0));
  if (filters < 1) return invalid_data("filters: expected at least 1, found ", filters);
  return filters;
}

template <int kRank>
Result<ValueId> conv(LayerContext& c) {
  EW_TRY(const SpatialLayer layer, SpatialLayer::open(c, kRank));
  EW_TRY(const int64_t filters, filters_of(c));
  EW_TRY(const int64_t groups, c.config.get_int("groups", 1));
  if (groups < 1 || layer.channels() % groups != 0) {
    return invalid_data(groups, " groups do not divide ", layer.channels(), " input channels");
  }
  EW_TRY(const std::vector<int64_t> kernel_size, layer.sizes("kernel_size"));
  EW_TRY(Attrs attrs,
         formats::window_attrs(c, layer, kernel_size, std::vector<int64_t>(kernel_size.size(), 1)));
  attrs.set("groups", groups);
  Shape shape(kernel_size);
  shape.dims().push_back(layer.channels() / groups);
  shape.dims().push_back(filters);
  EW_TRY(const ValueId kernel, checked_weight(c, "kernel", shape, {.config_prefix = "kernel"}));
  const ValueId bias = c.config["use_bias"].as_bool(true)
                           ? c.weight("bias", {filters}, {.config_prefix = "bias"})
                           : kNoValue;
  const ValueId y = c.b.add(kConv, {layer.x(), layer.widen_kernel(kernel), bias}, attrs);
  return c.activation(layer.close(y), c.config["activation"]);
}

// A depthwise convolution, then a convolution of size 1 over the channels.
template <int kRank>
Result<ValueId> separable_conv(LayerContext& c) {
  EW_TRY(const SpatialLayer layer, SpatialLayer::open(c, kRank));
  EW_TRY(const int64_t filters, filters_of(c));
  EW_TRY(const int64_t multiplier, c.config.get_int("depth_multiplier", 1));
  EW_TRY(const std::vector<int64_t> kernel_size, layer.sizes("kernel_size"));
  const std::vector<int64_t> ones(kernel_size.size(), 1);
  EW_TRY(const Attrs attrs, formats::window_attrs(c, layer, kernel_size, ones));
  if (multiplier < 1 || multiplier > kMaxElements / layer.channels()) {
    return invalid_data("depth_multiplier ", multiplier, " out of range");
  }
  Shape depthwise_shape(kernel_size);
  depthwise_shape.dims().push_back(layer.channels());
  depthwise_shape.dims().push_back(multiplier);
  EW_TRY(const ValueId depthwise,
         checked_weight(c, "depthwise_kernel", depthwise_shape, {.config_prefix = "depthwise"}));
  Shape pointwise_shape(ones);
  pointwise_shape.dims().push_back(layer.channels() * multiplier);
  pointwise_shape.dims().push_back(filters);
  EW_TRY(const ValueId pointwise,
         checked_weight(c, "pointwise_kernel", pointwise_shape, {.config_prefix = "pointwise"}));
  const ValueId bias = c.config["use_bias"].as_bool(true)
                           ? c.weight("bias", {filters}, {.config_prefix = "bias"})
                           : kNoValue;
  const ValueId mid = c.b.add(kDepthwiseConv, {layer.x(), layer.widen_kernel(depthwise)}, attrs);
  const ValueId y = c.b.add(kConv, {mid, layer.widen_kernel(pointwise), bias});
  return c.activation(layer.close(y), c.config["activation"]);
}

const formats::KerasLayer kLayers[] = {
    {"Conv1D", drops_mask<conv<1>>},
    {"Conv2D", drops_mask<conv<2>>},
    {"Conv3D", drops_mask<conv<3>>},
    {"Convolution1D", drops_mask<conv<1>>},
    {"Convolution2D", drops_mask<conv<2>>},
    {"Convolution3D", drops_mask<conv<3>>},
    {"SeparableConv1D", drops_mask<separable_conv<1>>},
    {"SeparableConv2D", drops_mask<separable_conv<2>>},
    {"SeparableConvolution1D", drops_mask<separable_conv<1>>},
    {"SeparableConvolution2D", drops_mask<separable_conv<2>>},
};

}  // namespace

extern const formats::OpIo conv_io{.keras_layers = kLayers};

}  // namespace ew::ops
