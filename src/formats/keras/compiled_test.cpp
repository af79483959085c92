#include "formats/keras/compiled.h"

#include <doctest/doctest.h>

#include "formats/json.h"
#include "formats/keras/training_words.h"

namespace ew::formats {
namespace {

ir::CompiledState read(const char* text, size_t outputs = 1) {
  auto state = read_compiled(*parse_json(text), outputs);
  REQUIRE_MESSAGE(state.ok(), state.error().message);
  return std::move(*state);
}

TEST_CASE("keras training: Keras 2's words become Keras 3's") {
  const ir::CompiledState state = read(R"({"loss": {"class_name": "CategoricalCrossentropy",
      "config": {"reduction": "auto", "from_logits": false, "fn": "categorical_crossentropy"}},
      "metrics": [[{"class_name": "MeanMetricWrapper", "config": {"name": "accuracy",
      "dtype": "float32", "fn": "categorical_accuracy"}}, {"class_name": "MeanMetricWrapper",
      "config": {"name": "error", "dtype": "float32", "fn": "mean_squared_error"}}]],
      "weighted_metrics": null, "loss_weights": null, "optimizer_config": {"class_name":
      "Custom>Adam", "config": {"is_legacy_optimizer": false, "jit_compile": true, "learning_rate":
      {"module": "keras.optimizers.schedules", "class_name": "ExponentialDecay", "config":
      {"decay_rate": 0.9}, "registered_name": null}}}})");
  CHECK(to_json(state.optimizer) ==
        R"({"class_name": "Adam", "config": {"learning_rate": {"class_name": "ExponentialDecay", )"
        R"("config": {"decay_rate": 0.9}}}})");
  CHECK(state.loss["config"]["reduction"].as_string() == "sum_over_batch_size");
  CHECK_FALSE(state.loss["config"].has("fn"));
  REQUIRE(state.metrics.as_list().size() == 2);
  CHECK(state.metrics.as_list()[0].as_string() == "accuracy");
  CHECK(state.metrics.as_list()[1]["class_name"].as_string() == "MeanSquaredError");
}

TEST_CASE("keras training: two outputs keep a list of metrics each") {
  const ir::CompiledState state = read(
      R"({"loss": ["mse", "mae"], "metrics": [["mae"], ["accuracy"]], "loss_weights": null,
          "optimizer_config": {"class_name": "SGD", "config": {}}})",
      2);
  CHECK(to_json(state.metrics) == R"([["mae"], ["accuracy"]])");
}

TEST_CASE("keras training: the common form holds what both generations take") {
  ir::CompiledState state = read(R"({"loss": "mse", "metrics": ["accuracy"], "loss_weights": null,
      "optimizer_config": {"class_name": "Adam", "config": {"learning_rate": 0.1, "beta_1": 0.9,
      "weight_decay": null, "use_ema": false, "ema_momentum": 0.99, "clipnorm": null,
      "loss_scale_factor": null}}})");
  const auto own = ir::KerasGeneration::kKeras3;
  WrittenTraining both = h5_training(state, KerasVersion::kBoth, own);
  CHECK(to_json(both.config["optimizer_config"]) ==
        R"({"class_name": "Adam", "config": {"learning_rate": 0.1, "beta_1": 0.9, )"
        R"("clipnorm": null}})");
  CHECK(both.config["loss"].as_string() == "mean_squared_error");
  CHECK(both.config.has("loss_weights"));
  CHECK(both.slots == SlotOrder::kLegacy);
  CHECK_FALSE(h5_training(state, KerasVersion::kKeras3, own).slots.has_value());
  const WrittenTraining keras2 = h5_training(state, KerasVersion::kKeras2, own);
  CHECK(keras2.config["optimizer_config"]["class_name"].as_string() == "Custom>Adam");
  CHECK(keras2.slots == SlotOrder::kKeras2);
}

TEST_CASE("keras training: what only one generation knows is said") {
  ir::CompiledState state = read(R"({"loss": "mse", "metrics": null, "loss_weights": null,
      "optimizer_config": {"class_name": "AdamW", "config": {"learning_rate": 0.1}}})");
  const WrittenTraining both =
      h5_training(state, KerasVersion::kBoth, ir::KerasGeneration::kKeras3);
  CHECK_FALSE(both.slots.has_value());
  REQUIRE(both.notes.size() == 1);
  CHECK(both.notes[0].find("AdamW") != std::string::npos);
}

TEST_CASE("keras training: an old decay becomes the schedule it means") {
  ir::CompiledState state = read(R"({"loss": "mse", "metrics": null, "loss_weights": null,
      "optimizer_config": {"class_name": "SGD", "config": {"lr": 0.5, "decay": 0.25}}})");
  const Config rate = h5_training(state, KerasVersion::kBoth, ir::KerasGeneration::kKeras2)
                          .config["optimizer_config"]["config"]["learning_rate"];
  CHECK(rate["class_name"].as_string() == "InverseTimeDecay");
  CHECK(rate["config"]["decay_rate"].as_double() == 0.25);
  CHECK(rate["config"]["initial_learning_rate"].as_double() == 0.5);
}

}  // namespace
}  // namespace ew::formats
