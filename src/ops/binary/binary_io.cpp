// Keras layers that are one elementwise function of two or more inputs.
#include "formats/keras/layer.h"

namespace ew::ops {
namespace {

using formats::KerasTensor;
using formats::LayerContext;

std::vector<KerasTensor> add(LayerContext& c) {
  if (c.inputs.size() < 2) return c.fail(invalid_data("expected two or more inputs"));
  ValueId sum = c.inputs[0].value;
  for (size_t i = 1; i < c.inputs.size(); ++i) sum = c.b.add(kAdd, {sum, c.inputs[i].value});
  return c.output(sum);
}

const formats::KerasLayer kLayers[] = {{"Add", add}};

}  // namespace

extern const formats::OpIo binary_io{.keras_layers = kLayers};

}  // namespace ew::ops
