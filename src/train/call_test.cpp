#include "train/call.h"

#include <doctest/doctest.h>

#include "train/fixture_testing.h"
#include "train/keras_object.h"

namespace ew::train {
namespace {

std::string error_of(std::string_view text) {
  const auto parsed = parse_call(text);
  REQUIRE_FALSE(parsed.ok());
  CHECK(parsed.error().code == ErrorCode::kInvalidArgument);
  return parsed.error().message;
}

void check(std::string_view text, const char* json) {
  CAPTURE(text);
  const auto parsed = parse_call(text);
  REQUIRE_MESSAGE(parsed.ok(), parsed.error().message);
  // JSON objects are read in alphabetical order, so compare both ways through find().
  const Config expected = parse_json(json);
  CHECK(parsed->kind_name() == expected.kind_name());
  if (!expected.is_map()) {
    CHECK(*parsed == expected);
    return;
  }
  CHECK((*parsed)["class_name"] == expected["class_name"]);
  CHECK((*parsed)["config"].as_map().size() == expected["config"].as_map().size());
  for (const auto& [key, value] : expected["config"].as_map()) {
    CAPTURE(key);
    if (!value.is_map()) {
      CHECK((*parsed)["config"][key] == value);
    } else {
      CHECK((*parsed)["config"][key]["class_name"] == value["class_name"]);
    }
  }
}

}  // namespace

TEST_CASE("call: positional and keyword arguments get Keras' names") {
  check("ExponentialDecay(0.01, decay_steps=10000, decay_rate=0.9)",
        R"({"class_name": "ExponentialDecay", "config":
            {"initial_learning_rate": 0.01, "decay_steps": 10000, "decay_rate": 0.9}})");
  check(" SGD( 0.01 , momentum = 0.9, nesterov=True ) ",
        R"({"class_name": "SGD", "config":
            {"learning_rate": 0.01, "momentum": 0.9, "nesterov": true}})");
  check("AdamW(1e-3, 4e-3)",
        R"({"class_name": "AdamW", "config": {"learning_rate": 0.001, "weight_decay": 0.004}})");
  check("keras.optimizers.Adam(clipnorm=None,)",
        R"({"class_name": "Adam", "config": {"clipnorm": null}})");
  check("adam(-1)", R"({"class_name": "Adam", "config": {"learning_rate": -1}})");
}

TEST_CASE("call: nested calls and lists") {
  check("Adam(CosineDecay(0.1, 10))",
        R"({"class_name": "Adam", "config": {"learning_rate": {"class_name": "CosineDecay"}}})");
  check("PiecewiseConstantDecay([4, 9], values=(0.1, 0.01, .001))",
        R"({"class_name": "PiecewiseConstantDecay", "config":
            {"boundaries": [4, 9], "values": [0.1, 0.01, 0.001]}})");
  check("EarlyStopping('val_loss', patience=3)",
        R"({"class_name": "EarlyStopping", "config": {"monitor": "val_loss", "patience": 3}})");
}

TEST_CASE("call: words, numbers and class names without a call") {
  check("adam", "\"adam\"");
  check("categorical_crossentropy", "\"categorical_crossentropy\"");
  check("0.01", "0.01");
  check("None", "null");
  check("AUC", R"({"class_name": "AUC", "config": {}})");
}

TEST_CASE("call: an unknown class or keyword names the nearest word") {
  CHECK(error_of("Adamm(0.1)") == "'Adamm(0.1)': call: unknown name 'Adamm', did you mean 'Adam'?");
  CHECK(error_of("SGD(0.1, momentun=0.9)") ==
        "'SGD(0.1, momentun=0.9)': SGD argument: unknown name 'momentun', did you mean "
        "'momentum'?");
}

TEST_CASE("call: syntax errors say where") {
  CHECK(error_of("SGD(0.1") == "'SGD(0.1': column 8: expected ',' or ')', found the end");
  CHECK(error_of("SGD(0.1))") == "'SGD(0.1))': column 9: expected the end, found ')'");
  CHECK(error_of("SGD(,)") == "'SGD(,)': column 5: expected a value, found ',)'");
  CHECK(error_of("SGD('x)") == "'SGD('x)': column 5: expected a string closed by ', found ''x)'");
  CHECK(error_of("") == "'': column 1: expected a value, found the end");
  CHECK(error_of("12abc") == "'12abc': column 3: expected the end of the number, found 'abc'");
  CHECK(error_of("SGD(momentum=1, 2)").find("positional argument follows") != std::string::npos);
  CHECK(error_of("SGD(1, learning_rate=2)").find("given twice") != std::string::npos);
  CHECK(error_of("NonNeg(1)").find("takes at most 0 arguments") != std::string::npos);
  CHECK(error_of(std::string(100, '[')).find("nested too deeply") != std::string::npos);
}

TEST_CASE("keras object: names fold and split as Keras does") {
  CHECK(snake_case("CategoricalCrossentropy") == "categorical_crossentropy");
  CHECK(snake_case("AdamW") == "adam_w");
  CHECK(snake_case("RMSprop") == "rm_sprop");
  CHECK(snake_case("MeanIoU") == "mean_io_u");
  CHECK(snake_case("AUC") == "auc");
  CHECK(fold_name("Mean_Squared_Error") == fold_name("MeanSquaredError"));
  CHECK(read_keras_object(Config("Custom>Adam"), "x").value().name == "Adam");
  CHECK_FALSE(read_keras_object(Config(1), "x").ok());
  CHECK_FALSE(read_keras_object(parse_json(R"({"class_name": "A", "config": 3})"), "x").ok());
}

}  // namespace ew::train
