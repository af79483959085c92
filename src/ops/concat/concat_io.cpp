// Keras Concatenate.
#include "formats/keras/lowering.h"

namespace ew::ops {
namespace {

using formats::KerasTensor;
using formats::LayerContext;

// bool [batch, steps] of ones, from x [batch, steps, ...].
ValueId ones_mask(Builder& b, ValueId x, int rank) {
  while (b.ok() && b.shape(x).rank() > rank) x = formats::take(b, x, -1, 0);
  return b.add(kLogicalOr, {b.add(kEqual, {x, x}), b.add(kNotEqual, {x, x})});
}

// Masks are joined like the values. Joined along the features they meet in every step: Keras 2
// keeps a step that all inputs keep, Keras 3 one that any keeps (an input without a mask keeps
// all).
ValueId joined_mask(LayerContext& c, int axis) {
  std::vector<ValueId> masks;
  int rank = 0;
  for (const KerasTensor& x : c.inputs) {
    masks.push_back(x.mask);
    if (x.mask != kNoValue) rank = c.b.shape(x.mask).rank();
  }
  if (rank == 0) return kNoValue;
  const bool is_keras2 = c.generation == ir::KerasGeneration::kKeras2;
  if (axis < rank) {
    for (size_t i = 0; i < masks.size(); ++i) {
      if (masks[i] == kNoValue) masks[i] = ones_mask(c.b, c.inputs[i].value, rank);
    }
    return c.b.add(kConcat, masks, {{"axis", int64_t{axis}}});
  }
  ValueId mask = kNoValue;
  for (const ValueId m : masks) {
    if (m == kNoValue && is_keras2) continue;
    if (m == kNoValue) return ones_mask(c.b, c.inputs[0].value, rank);
    mask = mask == kNoValue ? m : c.b.add(is_keras2 ? kLogicalAnd : kLogicalOr, {mask, m});
  }
  return mask;
}

std::vector<KerasTensor> concatenate(LayerContext& c) {
  if (c.inputs.empty()) return c.fail(invalid_data("expected inputs to concatenate"));
  const Result<int64_t> axis = c.config.get_int("axis", -1);
  if (!axis.ok()) return c.fail(axis.error());
  const Result<int> at = normalize_axis(*axis, c.b.shape(c.inputs[0].value).rank());
  if (!at.ok()) return c.fail(at.error());
  std::vector<ValueId> values;
  for (const KerasTensor& x : c.inputs) values.push_back(x.value);
  const ValueId y = c.b.add(kConcat, values, {{"axis", int64_t{*at}}});
  return {{y, joined_mask(c, *at)}};
}

const formats::KerasLayer kLayers[] = {{"Concatenate", concatenate}};

}  // namespace

extern const formats::OpIo concat_io{.keras_layers = kLayers};

}  // namespace ew::ops
