#include "formats/keras/import.h"

#include <doctest/doctest.h>

#include "formats/json.h"

namespace ew::formats {
namespace {

using ir::KerasGeneration;

Result<ImportedModel> import_text(const std::string& text, const ImportLimits& limits = {}) {
  auto config = parse_json(text);
  REQUIRE_MESSAGE(config.ok(), config.error().message);
  return import_architecture(*config, KerasGeneration::kKeras2, limits);
}

std::string error_of(const std::string& text, const ImportLimits& limits = {}) {
  const auto model = import_text(text, limits);
  REQUIRE_FALSE(model.ok());
  return model.error().message;
}

const std::string kInput =
    R"({"class_name": "InputLayer", "config": {"batch_input_shape": [null, 3], "name": "in"},
        "name": "in", "inbound_nodes": []})";

std::string dense(const std::string& name, int units, const std::string& nodes = "[]",
                  const std::string& more = "") {
  return str(R"({"class_name": "Dense", "config": {"name": ")", name, R"(", "units": )", units,
             more, R"(}, "name": ")", name, R"(", "inbound_nodes": )", nodes, "}");
}

std::string sequential(const std::string& layers) {
  return str(R"({"class_name": "Sequential", "config": {"name": "m", "layers": [)", layers, "]}}");
}

std::string functional(const std::string& layers, const std::string& output) {
  return str(R"({"class_name": "Functional", "config": {"name": "m", "layers": [)", layers,
             R"(], "input_layers": [["in", 0, 0]], "output_layers": [)", output, "]}}");
}

TEST_CASE("keras import: a Sequential gives named inputs, outputs and ordered parameters") {
  const auto model = import_text(sequential(kInput + "," + dense("a", 4) + "," + dense("b", 2)));
  REQUIRE_MESSAGE(model.ok(), model.error().message);
  const ir::Graph& graph = model->graph;
  CHECK(graph.value(graph.inputs[0]).name == "in");
  CHECK(graph.type(graph.inputs[0]).shape == Shape{kUnknown, 3});
  CHECK(graph.value(graph.outputs[0]).name == "b");
  const auto parameters = graph.parameters();
  REQUIRE(parameters.size() == 4);
  CHECK(graph.value(parameters[0]).name == "a/kernel");
  CHECK(graph.value(parameters[3]).name == "b/bias");
  CHECK(graph.value(parameters[2]).info->store_path == "layers/dense_1/vars/0");
}

TEST_CASE("keras import: the input shape may stand on the first layer or on the model") {
  const auto on_layer =
      import_text(sequential(dense("a", 4, "[]", R"(, "batch_input_shape": [8, 3])")));
  REQUIRE_MESSAGE(on_layer.ok(), on_layer.error().message);
  CHECK(on_layer->graph.type(on_layer->graph.inputs[0]).shape == Shape{8, 3});
  const auto on_model = import_text(R"({"class_name": "Sequential", "config": {"layers": [)" +
                                    dense("a", 4) + R"(], "build_input_shape": [null, 5]}})");
  REQUIRE_MESSAGE(on_model.ok(), on_model.error().message);
  CHECK(on_model->graph.type(on_model->graph.inputs[0]).shape == Shape{kUnknown, 5});
  CHECK(error_of(sequential(dense("a", 4))).find("no input shape") != std::string::npos);
}

TEST_CASE("keras import: a shared layer has one set of weights, whatever the order of calls") {
  // "late" is listed before the layer its first call needs.
  const auto model = import_text(functional(
      kInput + "," + dense("late", 3, R"([[["early", 0, 0, {}]], [["late", 0, 0, {}]]])") + "," +
          dense("early", 3, R"([[["in", 0, 0, {}]]])"),
      R"(["late", 1, 0])"));
  REQUIRE_MESSAGE(model.ok(), model.error().message);
  const auto parameters = model->graph.parameters();
  REQUIRE(parameters.size() == 4);
  CHECK(model->graph.value(parameters[0]).name == "late/kernel");
  CHECK(model->graph.value(parameters[2]).name == "early/kernel");
}

TEST_CASE("keras import: a frozen layer's weights are not trainable and come last in the file") {
  const auto model = import_text(sequential(
      kInput + R"(, {"class_name": "Sequential", "config": {"name": "inner", "layers": [)" +
      dense("frozen", 3, "[]", R"(, "trainable": false)") + "," + dense("free", 3) + "]}}"));
  REQUIRE_MESSAGE(model.ok(), model.error().message);
  const std::vector<ir::ValueId> order = model->tree->children[1]->file_order();
  REQUIRE(order.size() == 4);
  CHECK(model->graph.value(order[0]).name == "inner/free/kernel");
  CHECK(model->graph.value(order[2]).name == "inner/frozen/kernel");
  CHECK_FALSE(model->graph.value(order[2]).info->is_trainable);
  CHECK(model->graph.value(order[2]).info->store_path == "layers/sequential/layers/dense/vars/0");
}

TEST_CASE("keras import: an unknown class is named with the nearest known one") {
  const std::string error =
      error_of(sequential(kInput + R"(, {"class_name": "Dens", "config": {"name": "x"}})"));
  CHECK(error.find("'x'") != std::string::npos);
  CHECK(error.find("did you mean 'Dense'") != std::string::npos);
  CHECK(error_of(sequential(kInput + R"(, {"class_name": "Lambda", "config": {"name": "l"}})"))
            .find("never executed") != std::string::npos);
}

TEST_CASE("keras import: loops, missing layers and double names are refused") {
  CHECK(error_of(functional(kInput + "," + dense("a", 3, R"([[["b", 0, 0, {}]]])") + "," +
                                dense("b", 3, R"([[["a", 0, 0, {}]]])"),
                            R"(["a", 0, 0])"))
            .find("loop") != std::string::npos);
  CHECK(error_of(functional(kInput + "," + dense("a", 3, R"([[["nowhere", 0, 0, {}]]])"),
                            R"(["a", 0, 0])"))
            .find("nowhere") != std::string::npos);
  CHECK(error_of(functional(kInput + "," + dense("a", 3, R"([[["in", 0, 0, {}]]])") + "," +
                                dense("a", 3, R"([[["in", 0, 0, {}]]])"),
                            R"(["a", 0, 0])"))
            .find("two layers") != std::string::npos);
  CHECK_FALSE(import_text(functional(kInput + "," + dense("a", 3, R"([[["in", 0, 0, {}]]])"),
                                     R"(["a", 7, 0])"))
                  .ok());
  CHECK_FALSE(import_text(functional(kInput, R"(["in", 0, 99])")).ok());
}

TEST_CASE("keras import: weights larger than the file are refused before they are allocated") {
  ImportLimits limits;
  limits.max_elements = 100;
  CHECK(error_of(sequential(kInput + "," + dense("a", 1'000'000)), limits).find("file holds") !=
        std::string::npos);
  CHECK_FALSE(import_text(sequential(kInput + "," + dense("a", 2'147'483'647)), limits).ok());
}

TEST_CASE("keras import: deep nesting and exponential sharing end in an error") {
  std::string model = sequential(kInput + "," + dense("a", 3));
  for (int i = 0; i < 50; ++i) {
    model = R"({"class_name": "Sequential", "config": {"name": "m", "layers": [)" + kInput + "," +
            model + "]}}";
  }
  CHECK(error_of(model).find("nested deeper") != std::string::npos);

  // Each model calls the one inside it twice: 2^20 calls of the innermost layer.
  std::string inner =
      functional(kInput + "," + dense("d", 3, R"([[["in", 0, 0, {}]]])"), R"(["d", 0, 0])");
  for (int i = 0; i < 20; ++i) {
    inner.insert(1, R"("name": "n", "inbound_nodes": [[["in", 0, 0, {}]], [["n", 1, 0, {}]]], )");
    inner = functional(kInput + "," + inner, R"(["n", 2, 0])");
  }
  ImportLimits limits;
  limits.max_calls = 1000;
  CHECK(error_of(inner, limits).find("layer calls") != std::string::npos);
}

TEST_CASE("keras import: configurations of the wrong kind are errors, never crashes") {
  for (const char* text :
       {"null", "3", "[]", "{}", R"({"class_name": "Sequential"})",
        R"({"class_name": "Sequential", "config": 3})",
        R"({"class_name": "Sequential", "config": {"layers": []}})",
        R"({"class_name": "Sequential", "config": {"layers": [3]}})",
        R"({"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense"}]}})",
        R"({"class_name": "Functional", "config": {"layers": [{"class_name": "InputLayer"}]}})",
        R"({"class_name": "Dense", "config": {"name": "d", "units": 3}})"}) {
    CAPTURE(text);
    CHECK_FALSE(import_text(text).ok());
  }
  const char* bad_inputs[] = {"[null, -3]", "[null, 3.5]", "[null, 99999999999]",
                              "[1,1,1,1,1,1,1,1,1,1]", "\"x\""};
  for (const char* shape : bad_inputs) {
    CAPTURE(shape);
    CHECK_FALSE(import_text(sequential(str(
                                R"({"class_name": "InputLayer", "config": {"name": "in",
                                    "batch_input_shape": )",
                                shape, "}}, ", dense("a", 3))))
                    .ok());
  }
  for (const char* units : {"-1", "0", "\"x\"", "[3]"}) {
    CAPTURE(units);
    CHECK_FALSE(import_text(sequential(kInput + str(R"(, {"class_name": "Dense", "config":
                                       {"name": "a", "units": )",
                                                    units, "}}")))
                    .ok());
  }
}

}  // namespace
}  // namespace ew::formats
