// Keras' activation layers: Activation, ReLU, LeakyReLU, PReLU, ELU, ThresholdedReLU; and
// the activations that are no function of one element: glu.
#include "formats/keras/spatial.h"

namespace ew::ops {
namespace {

using formats::keeps_mask;
using formats::LayerContext;

Result<ValueId> activation(LayerContext& c) {
  EW_TRY(const ValueId x, formats::sole_input(c));
  return c.activation(x, c.config["activation"]);
}

// The plainest operator that fits, so that kernels and quantisation know it.
Result<ValueId> relu(LayerContext& c) {
  EW_TRY(const ValueId x, formats::sole_input(c));
  EW_TRY(const double max_value, c.config.get_double("max_value", -1));
  EW_TRY(const double slope, c.config.get_double("negative_slope", 0));
  EW_TRY(const double threshold, c.config.get_double("threshold", 0));
  if (threshold == 0 && slope == 0 && max_value < 0) return c.b.add(kRelu, {x});
  if (threshold == 0 && slope == 0 && max_value == 6) return c.b.add(kRelu6, {x});
  if (threshold == 0 && max_value < 0) return c.b.add(kLeakyRelu, {x}, {{"alpha", slope}});
  return c.b.add(kReluGeneral, {x}, {{"alpha", max_value}, {"beta", slope}, {"gamma", threshold}});
}

// "alpha" in tf-keras, "negative_slope" in Keras 3.
Result<ValueId> leaky_relu(LayerContext& c) {
  EW_TRY(const ValueId x, formats::sole_input(c));
  EW_TRY(const double alpha, c.config.get_double("alpha", 0.3));
  EW_TRY(const double slope, c.config.get_double("negative_slope", alpha));
  return c.b.add(kLeakyRelu, {x}, {{"alpha", slope}});
}

Result<ValueId> elu(LayerContext& c) {
  EW_TRY(const ValueId x, formats::sole_input(c));
  EW_TRY(const double alpha, c.config.get_double("alpha", 1));
  return c.b.add(kElu, {x}, {{"alpha", alpha}});
}

Result<ValueId> thresholded_relu(LayerContext& c) {
  EW_TRY(const ValueId x, formats::sole_input(c));
  EW_TRY(const double theta, c.config.get_double("theta", 1));
  return c.b.add(kThreshold, {x}, {{"alpha", theta}});
}

// relu(x) - alpha relu(-x) with one alpha per element, shared along shared_axes (counted with the
// batch).
Result<ValueId> prelu(LayerContext& c) {
  EW_TRY(const ValueId x, formats::sole_input(c));
  const Shape input = c.b.shape(x);
  if (input.rank() < 1) return invalid_data("expected an input with a batch dimension");
  Shape shape(std::vector<int64_t>(input.begin() + 1, input.end()));
  EW_TRY(const std::vector<int64_t> shared, c.config.get_ints("shared_axes", {}));
  for (const int64_t axis : shared) {
    if (axis < 1 || axis >= input.rank()) {
      return invalid_data("shared_axes ", shared, " do not fit an input of shape ", input);
    }
    shape[static_cast<int>(axis) - 1] = 1;
  }
  if (!shape.is_static()) {
    return invalid_data("alpha needs known sizes or shared axes, found input ", input);
  }
  EW_TRY(const ValueId alpha,
         formats::checked_weight(c, "alpha", shape, {.config_prefix = "alpha"}));
  const ValueId negative = c.b.add(kRelu, {c.b.add(kNeg, {x})});
  return c.b.add(kSub, {c.b.add(kRelu, {x}), c.b.add(kMul, {alpha, negative})});
}

// The first half of the last axis times the sigmoid of the second.
ValueId glu(Builder& b, ValueId x, ir::KerasGeneration) {
  if (!b.ok()) return kNoValue;
  const Shape shape = b.shape(x);
  if (shape.rank() < 1 || shape[-1] == kUnknown || shape[-1] % 2 != 0) {
    return b.fail(invalid_data("glu: expected an even last dimension, found ", shape));
  }
  const auto part = [&](int64_t from) {
    std::vector<int64_t> begin(static_cast<size_t>(shape.rank()), 0);
    std::vector<int64_t> end(static_cast<size_t>(shape.rank()), kMaxElements);
    begin.back() = from;
    end.back() = from + shape[-1] / 2;
    return b.add(kSlice, {x}, {{"begin", begin}, {"end", end}});
  };
  const ValueId gate = b.add(kSigmoid, {part(shape[-1] / 2)});
  return b.add(kMul, {part(0), gate});
}

const formats::KerasLayer kLayers[] = {
    {"Activation", keeps_mask<activation>},
    {"ELU", keeps_mask<elu>},
    {"LeakyReLU", keeps_mask<leaky_relu>},
    {"PReLU", keeps_mask<prelu>},
    {"ReLU", keeps_mask<relu>},
    {"ThresholdedReLU", keeps_mask<thresholded_relu>},
};
const formats::KerasActivation kActivations[] = {{"glu", glu}};

}  // namespace

extern const formats::OpIo activation_io{.keras_layers = kLayers,
                                         .keras_activations = kActivations};

}  // namespace ew::ops
