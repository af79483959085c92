// Keras Conv1DTranspose, Conv2DTranspose, Conv3DTranspose.
#include "formats/keras/spatial.h"

namespace ew::ops {
namespace {

using formats::checked_weight;
using formats::drops_mask;
using formats::LayerContext;
using formats::SpatialLayer;

template <int kRank>
Result<ValueId> conv_transpose(LayerContext& c) {
  EW_TRY(const SpatialLayer layer, SpatialLayer::open(c, kRank));
  EW_TRY(const int64_t filters, c.config.get_int("filters", 0));
  if (filters < 1) return invalid_data("filters: expected at least 1, found ", filters);
  EW_TRY(const std::vector<int64_t> kernel_size, layer.sizes("kernel_size"));
  EW_TRY(Attrs attrs,
         formats::window_attrs(c, layer, kernel_size, std::vector<int64_t>(kernel_size.size(), 1)));
  // The added dimension of a 1-D layer has length 1 with and without output padding.
  EW_TRY(const std::vector<int64_t> output_padding,
         c.config.get_ints("output_padding", {}, kernel_size.size()));
  if (!output_padding.empty()) attrs.set("output_padding", layer.widen(output_padding, 0));
  Shape shape(kernel_size);
  shape.dims().push_back(filters);
  shape.dims().push_back(layer.channels());
  EW_TRY(const ValueId kernel, checked_weight(c, "kernel", shape, {.config_prefix = "kernel"}));
  const ValueId bias = c.config["use_bias"].as_bool(true)
                           ? c.weight("bias", {filters}, {.config_prefix = "bias"})
                           : kNoValue;
  const ValueId y = c.b.add(kConvTranspose, {layer.x(), layer.widen_kernel(kernel), bias}, attrs);
  return c.activation(layer.close(y), c.config["activation"]);
}

const formats::KerasLayer kLayers[] = {
    {"Conv1DTranspose", drops_mask<conv_transpose<1>>},
    {"Conv2DTranspose", drops_mask<conv_transpose<2>>},
    {"Conv3DTranspose", drops_mask<conv_transpose<3>>},
    {"Convolution1DTranspose", drops_mask<conv_transpose<1>>},
    {"Convolution2DTranspose", drops_mask<conv_transpose<2>>},
    {"Convolution3DTranspose", drops_mask<conv_transpose<3>>},
};

}  // namespace

extern const formats::OpIo conv_transpose_io{.keras_layers = kLayers};

}  // namespace ew::ops
