// Keras Embedding.
#include "formats/keras/lowering.h"

namespace ew::ops {
namespace {

using formats::KerasTensor;
using formats::LayerContext;

std::vector<KerasTensor> embedding(LayerContext& c) {
  const Result<int64_t> rows = c.config.get_int("input_dim", 0);
  const Result<int64_t> columns = c.config.get_int("output_dim", 0);
  if (!rows.ok()) return c.fail(rows.error());
  if (!columns.ok()) return c.fail(columns.error());
  if (*rows < 1 || *columns < 1 || c.inputs.empty()) {
    return c.fail(invalid_data("expected an input, input_dim and output_dim >= 1, found ", *rows,
                               " and ", *columns));
  }
  const ValueId ids = c.inputs[0].value;
  const ValueId table = c.weight("embeddings", {*rows, *columns}, {.config_prefix = "embeddings"});
  const ValueId y = c.b.add(kGather, {table, ids});
  ValueId mask = kNoValue;
  if (c.config["mask_zero"].as_bool()) {
    mask = c.b.add(kNotEqual, {ids, c.b.scalar(0, c.b.type(ids).dtype)});
  }
  return {{y, mask}};
}

const formats::KerasLayer kLayers[] = {{"Embedding", embedding}};

}  // namespace

extern const formats::OpIo gather_io{.keras_layers = kLayers};

}  // namespace ew::ops
