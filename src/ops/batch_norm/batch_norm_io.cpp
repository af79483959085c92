// Keras BatchNormalization.
#include "formats/keras/spatial.h"

namespace ew::ops {
namespace {

using formats::keeps_mask;
using formats::LayerContext;
using formats::WeightOptions;
using ir::KerasGeneration;

// A number, or in tf-keras' files a list of one.
Result<int> axis_of(const LayerContext& c, int rank) {
  EW_TRY(const std::vector<int64_t> axis, c.config.get_ints("axis", {-1}));
  if (axis.size() != 1) return unsupported("normalisation over several axes ", axis);
  return normalize_axis(axis[0], rank);
}

ValueId as_dtype(Builder& b, ValueId value, DType dtype) {
  if (b.type(value).dtype == dtype) return value;
  return b.add(kCast, {value}, {{"to", std::string(dtype_name(dtype))}});
}

Result<ValueId> batch_norm(LayerContext& c) {
  EW_TRY(const ValueId input, formats::sole_input(c));
  const Shape shape = c.b.shape(input);
  EW_TRY(const int axis, axis_of(c, shape.rank()));
  EW_TRY(const double epsilon, c.config.get_double("epsilon", 1e-3));
  EW_TRY(const double momentum, c.config.get_double("momentum", 0.99));
  EW_TRY(const bool has_scale, c.config.get_bool("scale", true));
  EW_TRY(const bool has_center, c.config.get_bool("center", true));
  if (c.config["renorm"].as_bool(false)) return unsupported("renorm=True");
  const int64_t size = shape[axis];
  if (size == kUnknown) return invalid_data("axis ", axis, " of the input ", shape, " is unknown");
  // tf-keras runs these inputs through TensorFlow's fused kernel, which feeds the sample variance
  // to the moving average.
  const bool is_fused = c.generation == KerasGeneration::kKeras2 &&
                        (shape.rank() == 4 || shape.rank() == 5) &&
                        (axis == 1 || axis == shape.rank() - 1);

  // Half types overflow in the statistics: computed in float32.
  const DType outer = c.b.type(input).dtype;
  const DType dtype = outer == DType::kF64 ? DType::kF64 : DType::kF32;
  const auto weight = [&](const char* name, const WeightOptions& options) {
    return as_dtype(c.b, c.raw_weight(name, {size}, options), dtype);
  };
  const ValueId gamma =
      has_scale ? weight("gamma", {.config_prefix = "gamma", .initial_value = 1}) : kNoValue;
  const ValueId beta = has_center ? weight("beta", {.config_prefix = "beta"}) : kNoValue;
  const ValueId mean = weight("moving_mean", {.is_trainable = false});
  const ValueId variance = weight("moving_variance", {.is_trainable = false, .initial_value = 1});
  const ValueId y = c.b.add(kBatchNorm, {as_dtype(c.b, input, dtype), gamma, beta, mean, variance},
                            {{"axis", int64_t{axis}},
                             {"epsilon", epsilon},
                             {"momentum", momentum},
                             {"is_frozen", !c.config["trainable"].as_bool(true)},
                             {"sample_variance", is_fused}});
  return as_dtype(c.b, y, outer);
}

const formats::KerasLayer kLayers[] = {{"BatchNormalization", keeps_mask<batch_norm>},
                                       {"BatchNormalizationV1", keeps_mask<batch_norm>},
                                       {"SyncBatchNormalization", keeps_mask<batch_norm>}};

}  // namespace

extern const formats::OpIo batch_norm_io{.keras_layers = kLayers};

}  // namespace ew::ops
