#include "compress/fold_batch_norm.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "compress/architecture.h"
#include "compress/test_models.h"
#include "ops/ops.h"

namespace ew::compress {
namespace {

using testing::Dialect;

std::vector<std::string> layer_names(const Config& model) {
  std::vector<std::string> names;
  for (const Config& layer : model["config"]["layers"].as_list()) {
    names.push_back(layer["config"]["name"].as_string());
  }
  return names;
}

const std::vector<std::string> kFoldedNames = {"input", "conv",  "relu",  "dw",   "relu6",
                                               "drop",  "point", "relu2", "mean", "out"};

TEST_CASE("fold_batch_norm: predictions stay the same up to rounding") {
  const ir::Model model = testing::small_cnn();
  std::vector<std::string> folded;
  const auto result = fold_batch_norm(model, &folded);
  REQUIRE(result.ok());
  CHECK(folded == std::vector<std::string>{"bn1", "bn2"});
  const ir::Tensor x = testing::samples({5, 8, 8, 3}, 2);
  // Values are of order 1; two float roundings per weight.
  CHECK(testing::max_difference(testing::run(model.graph, x)[0],
                                testing::run(result->graph, x)[0]) < 2e-6);
  const bool has_norm = std::any_of(result->graph.nodes.begin(), result->graph.nodes.end(),
                                    [](const ir::Node& n) { return n.op == &ops::kBatchNorm; });
  CHECK_FALSE(has_norm);
}

TEST_CASE(
    "fold_batch_norm: every dialect of the architecture loses the layer and keeps its chain") {
  for (const Dialect dialect : {Dialect::kSequential, Dialect::kKeras2, Dialect::kKeras3}) {
    const auto result = fold_batch_norm(testing::small_cnn(dialect));
    REQUIRE(result.ok());
    Config config = result->architecture.config;
    CHECK(layer_names(config) == kFoldedNames);
    CHECK((*find_layer(config, "conv"))["config"]["use_bias"].as_bool(false));
    if (dialect == Dialect::kSequential) continue;
    const Config relu = (*find_layer(config, "relu"))["inbound_nodes"].as_list()[0];
    const Config& ref = dialect == Dialect::kKeras2
                            ? relu.as_list()[0]
                            : relu["args"].as_list()[0]["config"]["keras_history"];
    CHECK(ref.as_list()[0].as_string() == "conv");
  }
}

TEST_CASE("fold_batch_norm: a new bias stands behind its kernel, as Keras orders weights") {
  const auto result = fold_batch_norm(testing::small_cnn());
  REQUIRE(result.ok());
  std::vector<std::string> names;
  for (const ir::ValueId id : result->graph.parameters()) {
    names.push_back(result->graph.value(id).name);
  }
  CHECK(names == std::vector<std::string>{"conv/kernel", "conv/bias", "dw/depthwise_kernel",
                                          "dw/bias", "point/kernel", "out/kernel", "out/bias"});
  const ir::ParameterInfo& bias = *result->graph.value(result->graph.parameters()[1]).info;
  CHECK(bias.layer == "conv");
  CHECK(bias.name == "bias");
  CHECK(bias.store_path == "layers/conv/vars/1");
}

TEST_CASE("fold_batch_norm: leaves a layer whose input has another user") {
  ir::Model model = testing::small_cnn();
  // The convolution's own output leaves the graph as well.
  model.graph.outputs.push_back(model.graph.nodes[0].outputs[0]);
  std::vector<std::string> folded;
  REQUIRE(fold_batch_norm(model, &folded).ok());
  CHECK(folded == std::vector<std::string>{"bn2"});
}

TEST_CASE("fold_batch_norm: leaves a layer that the architecture uses twice") {
  ir::Model model = testing::small_cnn();
  Config* out = find_layer(model.architecture.config, "out");
  Config twice = (*find_layer(model.architecture.config, "bn1"))["inbound_nodes"];
  (*out).set("inbound_nodes", twice);  // reads "conv" too
  std::vector<std::string> folded;
  REQUIRE(fold_batch_norm(model, &folded).ok());
  CHECK(folded == std::vector<std::string>{"bn2"});
}

TEST_CASE("fold_batch_norm: drops optimizer slots, which count parameters") {
  ir::Model model = testing::small_cnn();
  model.compiled.emplace();
  model.compiled->iterations = 7;
  model.compiled->slots["momentum/0"] = ir::Tensor(DType::kF32, Shape{3, 3, 3, 8});
  const auto result = fold_batch_norm(model);
  REQUIRE(result.ok());
  CHECK(result->compiled->slots.empty());
  CHECK(result->compiled->iterations == 0);
}

TEST_CASE("architecture: finds layers inside nested models") {
  Config inner = testing::small_cnn(Dialect::kKeras2).architecture.config;
  Config nested = inner;
  Config config = nested["config"];
  config.set("name", "block");
  nested.set("config", config);
  Config list = Config::list();
  list.push_back(nested);
  Config outer_config = Config::map();
  outer_config.set("layers", list);
  Config outer = Config::map();
  outer.set("class_name", "Functional");
  outer.set("config", outer_config);
  REQUIRE(find_layer(outer, "block/bn1") != nullptr);
  CHECK(can_bypass(outer, "block/bn1", "block/conv"));
  bypass_layer(outer, "block/bn1", "block/conv");
  CHECK(find_layer(outer, "block/bn1") == nullptr);
  CHECK(find_layer(outer, "missing") == nullptr);
  CHECK_FALSE(can_bypass(outer, "block/relu", "block/dw"));
}

}  // namespace
}  // namespace ew::compress
