// Keras layers that merge inputs elementwise.
#include <algorithm>

#include "formats/keras/lowering.h"

namespace ew::ops {
namespace {

using formats::KerasTensor;
using formats::LayerContext;

// Inputs of lower rank get dimensions of size 1 behind the batch.
std::vector<ValueId> of_one_rank(LayerContext& c) {
  int rank = 0;
  for (const KerasTensor& x : c.inputs) rank = std::max(rank, c.b.shape(x.value).rank());
  std::vector<ValueId> out;
  for (const KerasTensor& x : c.inputs) {
    ValueId value = x.value;
    while (c.b.ok() && c.b.shape(value).rank() < rank && c.b.shape(value).rank() > 0) {
      value = formats::expand_dims(c.b, value, 1);
    }
    out.push_back(value);
  }
  return out;
}

// Keras 3 keeps a step that any input keeps, if all have masks; Keras 2 one that all keep.
ValueId merged_mask(LayerContext& c) {
  const bool is_keras2 = c.generation == ir::KerasGeneration::kKeras2;
  ValueId mask = kNoValue;
  for (const KerasTensor& x : c.inputs) {
    if (x.mask == kNoValue) {
      if (!is_keras2) return kNoValue;
      continue;
    }
    mask =
        mask == kNoValue ? x.mask : c.b.add(is_keras2 ? kLogicalAnd : kLogicalOr, {mask, x.mask});
  }
  return mask;
}

template <const OpDef& op>
std::vector<KerasTensor> merge(LayerContext& c) {
  if (c.inputs.empty()) return c.fail(invalid_data("expected inputs to merge"));
  const std::vector<ValueId> inputs = of_one_rank(c);
  ValueId y = inputs[0];
  for (size_t i = 1; i < inputs.size(); ++i) y = c.b.add(op, {y, inputs[i]});
  return {{y, merged_mask(c)}};
}

std::vector<KerasTensor> subtract(LayerContext& c) {
  if (c.inputs.size() != 2) {
    return c.fail(invalid_data("expected two inputs, found ", c.inputs.size()));
  }
  return merge<kSub>(c);
}

std::vector<KerasTensor> average(LayerContext& c) {
  std::vector<KerasTensor> y = merge<kAdd>(c);
  if (!c.b.ok()) return {};
  const ValueId count =
      c.b.scalar(static_cast<double>(c.inputs.size()), c.b.type(y[0].value).dtype);
  y[0].value = c.b.add(kDiv, {y[0].value, count});
  return y;
}

const formats::KerasLayer kLayers[] = {
    {"Add", merge<kAdd>}, {"Subtract", subtract},       {"Multiply", merge<kMul>},
    {"Average", average}, {"Maximum", merge<kMaximum>}, {"Minimum", merge<kMinimum>},
};

}  // namespace

extern const formats::OpIo binary_io{.keras_layers = kLayers};

}  // namespace ew::ops
