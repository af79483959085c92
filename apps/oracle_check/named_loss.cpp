// The losses that the oracle's cases name, as objects with their arguments.
#include "oracle_case.h"

namespace ew::oracle {

Config named_loss(std::string_view word) {
  const auto make = [](const char* name, Config::Map config) {
    return Config(Config::Map{{"class_name", name}, {"config", Config(std::move(config))}});
  };
  const std::vector<std::pair<std::string, Config>> losses = {
      {"cce", make("CategoricalCrossentropy", {})},
      {"cce_logits", make("CategoricalCrossentropy", {{"from_logits", true}})},
      {"cce_smooth", make("CategoricalCrossentropy", {{"label_smoothing", 0.1}})},
      {"cce_logits_smooth",
       make("CategoricalCrossentropy", {{"from_logits", true}, {"label_smoothing", 0.2}})},
      {"scce", make("SparseCategoricalCrossentropy", {})},
      {"scce_logits", make("SparseCategoricalCrossentropy", {{"from_logits", true}})},
      {"scce_ignore",
       make("SparseCategoricalCrossentropy", {{"from_logits", true}, {"ignore_class", 2}})},
      {"bce", make("BinaryCrossentropy", {})},
      {"bce_logits", make("BinaryCrossentropy", {{"from_logits", true}})},
      {"bce_smooth", make("BinaryCrossentropy", {{"label_smoothing", 0.1}})},
      {"bfocal",
       make("BinaryFocalCrossentropy", {{"gamma", 2.0}, {"apply_class_balancing", true}})},
      {"cfocal", make("CategoricalFocalCrossentropy", {})},
      {"mse", make("MeanSquaredError", {})},
      {"mae", make("MeanAbsoluteError", {})},
      {"huber", make("Huber", {{"delta", 0.7}})},
      {"logcosh", make("LogCosh", {})},
      {"mape", make("MeanAbsolutePercentageError", {})},
      {"msle", make("MeanSquaredLogarithmicError", {})},
      {"poisson", make("Poisson", {})},
      {"kld", make("KLDivergence", {})},
      {"cosine", make("CosineSimilarity", {})},
      {"hinge", make("Hinge", {})},
      {"sqhinge", make("SquaredHinge", {})},
      {"chinge", make("CategoricalHinge", {})}};
  for (const auto& [name, config] : losses) {
    if (name == word) return config;
  }
  return {};
}

}  // namespace ew::oracle
