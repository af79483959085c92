#include "formats/keras/spatial.h"

#include <algorithm>
#include <cctype>

namespace ew::formats {

using ir::Attrs;

Result<ValueId> sole_input(const LayerContext& c) {
  if (c.inputs.size() != 1) {
    return invalid_data("expected one input, found ", c.inputs.size());
  }
  return c.inputs[0].value;
}

Result<std::string> lower_text(const Config& config, std::string_view key, const char* fallback) {
  EW_TRY(std::string text, config.get_string(key, fallback));
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char ch) { return static_cast<char>(std::tolower(ch)); });
  return text;
}

Result<bool> is_channels_first(const Config& config) {
  EW_TRY(const std::string format, lower_text(config, "data_format", "channels_last"));
  if (format != "channels_last" && format != "channels_first") {
    return invalid_data("data_format: expected channels_last or channels_first, found '", format,
                        "'");
  }
  return format == "channels_first";
}

ValueId to_channels_last(ir::Builder& b, ValueId x) {
  std::vector<int64_t> perm{0};
  for (int d = 2; d < b.shape(x).rank(); ++d) perm.push_back(d);
  perm.push_back(1);
  return b.add(ops::kTranspose, {x}, {{"perm", perm}});
}

ValueId to_channels_first(ir::Builder& b, ValueId x) {
  std::vector<int64_t> perm{0, b.shape(x).rank() - 1};
  for (int d = 1; d < b.shape(x).rank() - 1; ++d) perm.push_back(d);
  return b.add(ops::kTranspose, {x}, {{"perm", perm}});
}

Result<SpatialLayer> SpatialLayer::open(LayerContext& c, int rank) {
  SpatialLayer layer(c, rank);
  EW_TRY(const ValueId input, sole_input(c));
  EW_TRY(layer.is_channels_first_, is_channels_first(c.config));
  const Shape shape = c.b.shape(input);
  const int channel_axis = layer.is_channels_first_ ? 1 : rank + 1;
  if (shape.rank() != rank + 2 || shape[channel_axis] == kUnknown) {
    return invalid_data("expected an input of rank ", rank + 2, " with known channels, found ",
                        shape);
  }
  layer.x_ = layer.is_channels_first_ ? to_channels_last(c.b, input) : input;
  if (rank == 1) {
    layer.x_ = c.b.add(ops::kReshape, {layer.x_},
                       {{"shape", std::vector<int64_t>{0, 1, -1, shape[channel_axis]}}});
  }
  return layer;
}

Result<std::vector<int64_t>> SpatialLayer::sizes(const char* key,
                                                 std::vector<int64_t> fallback) const {
  const auto rank = static_cast<size_t>(rank_);
  EW_TRY(std::vector<int64_t> values, c_->config.get_ints(key, std::move(fallback), rank));
  const bool fits =
      values.size() == rank && std::all_of(values.begin(), values.end(),
                                           [](int64_t v) { return v >= 1 && v <= kMaxElements; });
  if (!fits) {
    return invalid_data(key, ": expected ", rank, " positive integers, found ", values);
  }
  return values;
}

std::vector<int64_t> SpatialLayer::widen(std::vector<int64_t> values, int64_t first) const {
  if (rank_ == 1) values.insert(values.begin(), first);
  return values;
}

ValueId SpatialLayer::widen_kernel(ValueId kernel) const {
  if (rank_ != 1) return kernel;
  return c_->b.add(ops::kReshape, {kernel}, {{"shape", widen(c_->b.shape(kernel).dims())}});
}

ValueId SpatialLayer::close(ValueId y) const {
  if (rank_ == 1) {
    y = c_->b.add(ops::kReshape, {y}, {{"shape", std::vector<int64_t>{0, -1, c_->b.shape(y)[-1]}}});
  }
  return is_channels_first_ ? to_channels_first(c_->b, y) : y;
}

Result<Attrs> window_attrs(const LayerContext& c, const SpatialLayer& layer,
                           const std::vector<int64_t>& kernel,
                           const std::vector<int64_t>& default_strides) {
  const std::vector<int64_t> ones(kernel.size(), 1);
  EW_TRY(const std::vector<int64_t> strides, layer.sizes("strides", default_strides));
  EW_TRY(const std::vector<int64_t> dilations, layer.sizes("dilation_rate", ones));
  EW_TRY(std::string padding, lower_text(c.config, "padding", "valid"));
  Attrs attrs{{"strides", layer.widen(strides)}, {"dilations", layer.widen(dilations)}};
  if (padding == "causal") {
    if (kernel.size() != 1) return invalid_data("padding 'causal' is for one dimension only");
    if (kernel[0] - 1 > kMaxElements / dilations[0]) return invalid_data("dilation_rate too large");
    attrs.set("pads", std::vector<int64_t>{0, (kernel[0] - 1) * dilations[0], 0, 0});
    padding = "explicit";
  } else if (padding != "valid" && padding != "same") {
    return invalid_data("padding: expected valid, same or causal, found '", padding, "'");
  }
  attrs.set("padding", padding);
  return attrs;
}

Result<ValueId> checked_weight(LayerContext& c, const std::string& name, const Shape& shape,
                               const WeightOptions& options) {
  if (const Status status = check_shape(shape); !status.ok()) return at(name, status.error());
  return c.weight(name, shape, options);
}

Result<ValueId> lower_pool(LayerContext& c, int rank, const ir::OpDef& op) {
  EW_TRY(const SpatialLayer layer, SpatialLayer::open(c, rank));
  EW_TRY(const std::vector<int64_t> pool,
         layer.sizes("pool_size", std::vector<int64_t>(static_cast<size_t>(rank), 2)));
  EW_TRY(Attrs attrs, window_attrs(c, layer, pool, pool));
  attrs.set("pool", layer.widen(pool));
  return layer.close(c.b.add(op, {layer.x()}, attrs));
}

Result<ValueId> lower_global_pool(LayerContext& c, int rank, const ir::OpDef& op) {
  EW_TRY(const ValueId x, sole_input(c));
  EW_TRY(const bool channels_first, is_channels_first(c.config));
  EW_TRY(const bool keepdims, c.config.get_bool("keepdims", false));
  if (c.b.shape(x).rank() != rank + 2) {
    return invalid_data("expected an input of rank ", rank + 2, ", found ", c.b.shape(x));
  }
  std::vector<int64_t> axes;
  for (int d = 0; d < rank; ++d) axes.push_back(d + (channels_first ? 2 : 1));
  return c.b.add(op, {x}, {{"axes", axes}, {"keepdims", keepdims}});
}

}  // namespace ew::formats
