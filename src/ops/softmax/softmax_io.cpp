// Keras' softmax activation and Softmax layer.
#include <algorithm>

#include "formats/keras/spatial.h"

namespace ew::ops {
namespace {

using formats::KerasTensor;
using formats::LayerContext;
using ir::KerasGeneration;

ValueId activation(Builder& b, ValueId x, KerasGeneration) { return b.add(kSoftmax, {x}); }

// Over several axes at once: exp(x - max) / sum.
ValueId softmax_over(Builder& b, ValueId x, const std::vector<int64_t>& axes) {
  if (axes.size() == 1) return b.add(kSoftmax, {x}, {{"axis", axes[0]}});
  const Attrs over{{"axes", axes}, {"keepdims", true}};
  const ValueId e = b.add(kExp, {b.add(kSub, {x, b.add(kReduceMax, {x}, over)})});
  return b.add(kDiv, {e, b.add(kReduceSum, {e}, over)});
}

// Masked positions get a large negative score. Keras 3 (and tf-keras' robust_masking) replaces the
// score, and Keras 3 makes rows without any unmasked position 0; tf-keras adds to the score.
ValueId masked_softmax(LayerContext& c, ValueId x, ValueId mask, const std::vector<int64_t>& axes) {
  Builder& b = c.b;
  const DType dtype = b.type(x).dtype;
  const bool is_keras2 = c.generation == KerasGeneration::kKeras2;
  const double large = dtype == DType::kF16 ? (is_keras2 ? -65504.0 : -3e4) : -1e9;
  const ValueId keep = b.add(kCast, {mask}, {{"to", std::string(dtype_name(dtype))}});
  const ValueId drop = b.add(kSub, {b.scalar(1, dtype), keep});
  const ValueId penalty = b.add(kMul, {drop, b.scalar(large, dtype)});
  const bool replaces = !is_keras2 || c.config["robust_masking"].as_bool(false);
  const ValueId scores = b.add(kAdd, {replaces ? b.add(kMul, {x, keep}) : x, penalty});
  const ValueId y = softmax_over(b, scores, axes);
  return is_keras2 ? y : b.add(kMul, {y, keep});
}

std::vector<KerasTensor> layer(LayerContext& c) {
  const Result<std::vector<int64_t>> axes = c.config.get_ints("axis", {-1});
  if (!axes.ok()) return c.fail(axes.error());
  if (axes->empty()) return c.fail(invalid_data("axis: expected at least one"));
  const KerasTensor x = c.inputs.at(0);
  // The mask may be the second positional argument.
  const ValueId mask = c.inputs.size() > 1 ? c.inputs[1].value : x.mask;
  if (mask == kNoValue) return c.output(softmax_over(c.b, x.value, *axes));
  return c.output(masked_softmax(c, x.value, mask, *axes));
}

const formats::KerasActivation kActivations[] = {{"softmax", activation}};
const formats::KerasLayer kLayers[] = {{"Softmax", layer}};

}  // namespace

extern const formats::OpIo softmax_io{.keras_layers = kLayers, .keras_activations = kActivations};

}  // namespace ew::ops
