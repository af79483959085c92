// Keras Dense.
#include "formats/keras/layer.h"

namespace ew::ops {
namespace {

using formats::KerasTensor;
using formats::LayerContext;

std::vector<KerasTensor> dense(LayerContext& c) {
  const Result<int64_t> units = c.config.get_int("units", 0);
  if (!units.ok()) return c.fail(units.error());
  const Shape& x = c.b.shape(c.inputs.at(0).value);
  if (*units < 1 || x.rank() < 2 || x[-1] == kUnknown) {
    return c.fail(
        invalid_data("expected units >= 1 and an input of rank 2 or more with known "
                     "features, found units ",
                     *units, " and input ", x));
  }
  const ValueId kernel = c.weight("kernel", {x[-1], *units}, {.config_prefix = "kernel"});
  const ValueId bias = c.config["use_bias"].as_bool(true)
                           ? c.weight("bias", {*units}, {.config_prefix = "bias"})
                           : kNoValue;
  const ValueId y = c.b.add(kDense, {c.inputs[0].value, kernel, bias});
  return c.output(c.activation(y, c.config["activation"]));
}

const formats::KerasLayer kLayers[] = {{"Dense", dense}};

}  // namespace

extern const formats::OpIo dense_io{.keras_layers = kLayers};

}  // namespace ew::ops
