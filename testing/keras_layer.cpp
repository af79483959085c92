#include "testing/keras_layer.h"

#include <doctest/doctest.h>

#include "base/rng.h"
#include "formats/keras/import.h"
#include "ops/ops.h"
#include "runtime/executor.h"
#include "testing/op_check.h"

namespace ew::testing {

using ir::Tensor;

Result<ir::Graph> import_layer(const LayerCase& c) {
  std::vector<int64_t> dims = c.x.shape().dims();
  Config shape = Config::list();
  shape.push_back(c.has_fixed_batch ? Config(dims[0]) : Config());
  for (size_t d = 1; d < dims.size(); ++d) shape.push_back(dims[d]);
  Config config = c.config;
  config.set("name", "layer");
  if (!config.has("dtype")) config.set("dtype", "float32");
  if (!config.has("trainable")) config.set("trainable", true);
  const Config input(Config::Map{{"class_name", "InputLayer"},
                                 {"config", Config::Map{{"batch_input_shape", shape},
                                                        {"dtype", dtype_name(c.x.dtype())},
                                                        {"name", "input"}}}});
  const Config layer(Config::Map{{"class_name", c.class_name}, {"config", config}});
  const Config model(Config::Map{
      {"class_name", "Sequential"},
      {"config", Config::Map{{"name", "model"}, {"layers", Config::List{input, layer}}}}});
  EW_TRY(formats::ImportedModel imported, formats::import_architecture(model, c.generation));
  Rng rng(11);
  for (ir::Value& value : imported.graph.values) {
    if (value.kind != ir::ValueKind::kParameter || !is_floating(value.type.dtype)) continue;
    Tensor drawn(DType::kF32, value.type.shape);
    for (float& v : drawn.mutable_values<float>()) v = static_cast<float>(0.5 + rng.uniform());
    const auto given = c.weights.find(value.info->name);
    value.data = (given == c.weights.end() ? drawn : given->second).cast(value.type.dtype);
  }
  return std::move(imported.graph);
}

Tensor run_layer(const LayerCase& c) {
  const Result<ir::Graph> graph = import_layer(c);
  REQUIRE_MESSAGE(graph.ok(), graph.error().message);
  const std::vector<Tensor> inputs{c.x};
  auto outputs = runtime::run_graph(*graph, inputs, {.reference_only = true});
  REQUIRE_MESSAGE(outputs.ok(), outputs.error().message);
  return (*outputs)[0];
}

std::string refusal(const LayerCase& c) {
  const Result<ir::Graph> graph = import_layer(c);
  return graph.ok() ? "" : graph.error().message;
}

namespace {

Tensor transposed(const Tensor& x, const std::vector<int64_t>& perm) {
  return run(ops::kTranspose, {x}, {{"perm", perm}})[0];
}

}  // namespace

Tensor channels_first(const Tensor& x) {
  std::vector<int64_t> perm{0, x.shape().rank() - 1};
  for (int d = 1; d + 1 < x.shape().rank(); ++d) perm.push_back(d);
  return transposed(x, perm);
}

Tensor channels_last(const Tensor& x) {
  std::vector<int64_t> perm{0};
  for (int d = 2; d < x.shape().rank(); ++d) perm.push_back(d);
  perm.push_back(1);
  return transposed(x, perm);
}

Tensor random_tensor(const Shape& shape) {
  Rng rng(3);
  Tensor t(DType::kF32, shape);
  for (float& v : t.mutable_values<float>()) v = static_cast<float>(2 * rng.uniform() - 1);
  return t;
}

}  // namespace ew::testing
