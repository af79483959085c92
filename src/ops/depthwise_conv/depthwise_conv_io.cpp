// Keras DepthwiseConv1D, DepthwiseConv2D.
#include "formats/keras/spatial.h"

namespace ew::ops {
namespace {

using formats::checked_weight;
using formats::drops_mask;
using formats::LayerContext;
using formats::SpatialLayer;

template <int kRank>
Result<ValueId> depthwise_conv(LayerContext& c) {
  EW_TRY(const SpatialLayer layer, SpatialLayer::open(c, kRank));
  EW_TRY(const int64_t multiplier, c.config.get_int("depth_multiplier", 1));
  if (multiplier < 1 || multiplier > kMaxElements / std::max<int64_t>(layer.channels(), 1)) {
    return invalid_data("depth_multiplier ", multiplier, " out of range");
  }
  EW_TRY(const std::vector<int64_t> kernel_size, layer.sizes("kernel_size"));
  EW_TRY(const Attrs attrs,
         formats::window_attrs(c, layer, kernel_size, std::vector<int64_t>(kernel_size.size(), 1)));
  Shape shape(kernel_size);
  shape.dims().push_back(layer.channels());
  shape.dims().push_back(multiplier);
  const char* name = c.generation == ir::KerasGeneration::kKeras2 ? "depthwise_kernel" : "kernel";
  EW_TRY(const ValueId kernel, checked_weight(c, name, shape, {.config_prefix = "depthwise"}));
  const ValueId bias =
      c.config["use_bias"].as_bool(true)
          ? c.weight("bias", {layer.channels() * multiplier}, {.config_prefix = "bias"})
          : kNoValue;
  const ValueId y = c.b.add(kDepthwiseConv, {layer.x(), layer.widen_kernel(kernel), bias}, attrs);
  return c.activation(layer.close(y), c.config["activation"]);
}

const formats::KerasLayer kLayers[] = {{"DepthwiseConv1D", drops_mask<depthwise_conv<1>>},
                                       {"DepthwiseConv2D", drops_mask<depthwise_conv<2>>}};

}  // namespace

extern const formats::OpIo depthwise_conv_io{.keras_layers = kLayers};

}  // namespace ew::ops
