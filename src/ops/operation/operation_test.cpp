#include "formats/keras/operation.h"

#include <doctest/doctest.h>

#include "formats/keras/import.h"
#include "runtime/executor.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Map = Config::Map;
using List = Config::List;

Config keras_tensor(const char* layer) {
  return Map{{"class_name", "__keras_tensor__"},
             {"config", Map{{"keras_history", List{layer, 0, 0}}}}};
}

// A Keras 3 model of one input x and one operation on it.
Config model_of(const char* class_name, Config config, List args, const Shape& x) {
  Config shape = Config::list();
  shape.push_back(Config());
  for (int d = 1; d < x.rank(); ++d) shape.push_back(x[d]);
  config.set("name", "y");
  const Config input = Map{{"class_name", "InputLayer"},
                           {"name", "x"},
                           {"config", Map{{"batch_shape", shape}, {"name", "x"}}},
                           {"inbound_nodes", Config::list()}};
  const Config operation = Map{
      {"class_name", class_name},
      {"name", "y"},
      {"config", config},
      {"inbound_nodes", List{Map{{"args", Config(std::move(args))}, {"kwargs", Config::map()}}}}};
  return Map{{"class_name", "Functional"},
             {"config", Map{{"name", "model"},
                            {"layers", List{input, operation}},
                            {"input_layers", List{List{"x", 0, 0}}},
                            {"output_layers", List{List{"y", 0, 0}}}}}};
}

Result<ir::Tensor> run_operation(const char* class_name, Config config, List args,
                                 const ir::Tensor& x) {
  EW_TRY(const formats::ImportedModel model,
         formats::import_architecture(
             model_of(class_name, std::move(config), std::move(args), x.shape()),
             ir::KerasGeneration::kKeras3));
  const std::vector<ir::Tensor> inputs = {x};
  EW_TRY(const std::vector<ir::Tensor> y,
         runtime::run_graph(model.graph, inputs, {.reference_only = true}));
  return y[0];
}

}  // namespace

TEST_CASE("operation: a constant may stand on either side") {
  const ir::Tensor x = tensor({1, 2}, {1, 4});
  const auto left = run_operation("Subtract", Config::map(), {10, keras_tensor("x")}, x);
  REQUIRE_MESSAGE(left.ok(), left.error().message);
  CHECK(all_near(*left, {9, 6}));
  const auto right = run_operation("TrueDivide", Config::map(), {keras_tensor("x"), 2}, x);
  REQUIRE_MESSAGE(right.ok(), right.error().message);
  CHECK(all_near(*right, {0.5, 2}));
}

TEST_CASE("operation: arrays written into the file take part") {
  const Config array =
      Map{{"class_name", "__numpy__"},
          {"config", Map{{"value", List{List{1, 2}, List{3, 4}}}, {"dtype", "int64"}}}};
  const auto y = run_operation("Multiply", Config::map(), {keras_tensor("x"), array},
                               tensor({1, 2, 2}, {1, 1, 2, 0.5}));
  REQUIRE_MESSAGE(y.ok(), y.error().message);
  CHECK(all_near(*y, {1, 2, 6, 2}));
  const Config ragged = List{List{1, 2}, List{3}};
  CHECK_FALSE(
      run_operation("Multiply", Config::map(), {keras_tensor("x"), ragged}, tensor({1, 2}, {1, 1}))
          .ok());
}

TEST_CASE("operation: indices take, drop and add dimensions") {
  const auto all = [] {
    return Config(
        Map{{"class_name", "__slice__"},
            {"config", Map{{"start", Config()}, {"stop", Config()}, {"step", Config()}}}});
  };
  const ir::Tensor x = tensor({1, 2, 3}, {1, 2, 3, 4, 5, 6});
  const auto last = run_operation("GetItem", Config::map(),
                                  {keras_tensor("x"), List{all(), Config(), -1, all()}}, x);
  REQUIRE_MESSAGE(last.ok(), last.error().message);
  CHECK(last->shape() == Shape{1, 1, 3});
  CHECK(all_near(*last, {4, 5, 6}));
  for (const Config& key : {Config(List{0, 0, 0, 0}), Config("a"), Config(INT64_MAX),
                            Config(List{Map{{"start", 0.5}, {"stop", Config()}, {"step", 1}}})}) {
    CHECK_FALSE(run_operation("GetItem", Config::map(), {keras_tensor("x"), key}, x).ok());
  }
}

TEST_CASE("operation: refuses bad arguments instead of failing later") {
  const ir::Tensor x = tensor({1, 4}, {1, 2, 3, 4});
  const auto refused = [&](const char* name, Config config, List more = {}) {
    List args = {keras_tensor("x")};
    args.insert(args.end(), more.begin(), more.end());
    const auto y = run_operation(name, std::move(config), std::move(args), x);
    return y.ok() ? std::string() : y.error().message;
  };
  CHECK(refused("Transpose", Map{{"axes", List{0, 0}}}) != "");
  CHECK(refused("Sum", Map{{"axis", 5}}) != "");
  CHECK(refused("Sum", Map{{"axis", "all"}}) != "");
  CHECK(refused("Cast", Map{{"dtype", "float24"}}) != "");
  CHECK(refused("Tile", Map{{"repeats", List{4096, 1 << 30}}}) != "");
  CHECK(refused("Split", Map{{"indices_or_sections", 3}, {"axis", 1}}) != "");
  CHECK(refused("Split", Map{{"indices_or_sections", List{-1}}, {"axis", 1}}) != "");
  CHECK(refused("BroadcastTo", Map{{"shape", List{-5, 4}}}) != "");
  CHECK(refused("OneHot", Map{{"num_classes", INT64_MAX}}) != "");
  CHECK(refused("Matmul", Config::map()).find("argument y is missing") != std::string::npos);
  CHECK(refused("Add", Config::map(), {Map{{"tensor", 7}}}) != "");
  CHECK(refused("Stack", Map{{"axis", 9}}) != "");
}

TEST_CASE("operation: tells operations from layers of the same name") {
  CHECK(formats::is_operation(Map{{"class_name", "Add"}, {"config", Map{{"name", "add"}}}}));
  CHECK_FALSE(formats::is_operation(
      Map{{"class_name", "Add"}, {"config", Map{{"name", "add"}, {"trainable", true}}}}));
  CHECK_FALSE(formats::is_operation(Map{{"class_name", "Dense"}, {"config", Map{{"name", "d"}}}}));
}

TEST_CASE("operation: dtypes meet as NumPy's do") {
  CHECK(formats::promote(DType::kBool, DType::kI32) == DType::kI32);
  CHECK(formats::promote(DType::kI64, DType::kF16) == DType::kF16);
  CHECK(formats::promote(DType::kF16, DType::kBF16) == DType::kF32);
  CHECK(formats::promote(DType::kF32, DType::kF64) == DType::kF64);
  CHECK(formats::promote(DType::kU8, DType::kI64) == DType::kI64);
}

}  // namespace ew::testing
