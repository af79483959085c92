// Keras Masking: steps whose features all equal mask_value are zeroed and masked.
#include "formats/keras/lowering.h"

namespace ew::ops {
namespace {

using formats::KerasTensor;
using formats::LayerContext;

std::vector<KerasTensor> masking(LayerContext& c) {
  const Result<double> value = c.config.get_double("mask_value", 0);
  if (!value.ok()) return c.fail(value.error());
  if (c.inputs.empty()) return c.fail(invalid_data("expected an input"));
  const ValueId x = c.inputs[0].value;
  const DType dtype = c.b.type(x).dtype;
  const ValueId differs = c.b.add(kNotEqual, {x, c.b.scalar(*value, dtype)});
  const ValueId kept = formats::any(c.b, differs, {-1}, true);
  const ValueId y = c.b.add(kWhere, {kept, x, c.b.scalar(0, dtype)});
  return {{y, formats::squeeze(c.b, kept, -1)}};
}

const formats::KerasLayer kLayers[] = {{"Masking", masking}};

}  // namespace

extern const formats::OpIo where_io{.keras_layers = kLayers};

}  // namespace ew::ops
