#include "train/optimizer_rule.h"

#include "train/keras_object.h"

namespace ew::train {
namespace {

const OptimizerClass* const kClasses[] = {&kSgd,    &kRmsprop,  &kAdam, &kAdamW,
                                          &kAdamax, &kNadam,    &kFtrl, &kAdagrad,
                                          &kLion,   &kAdadelta, &kLamb, &kAdafactor};

const char* const kUnsupportedClasses[] = {"LossScaleOptimizer", "LossScaleOptimizerV3", "Muon",
                                           "MultiOptimizer", "ScheduleFreeAdamW"};

}  // namespace

Result<const OptimizerClass*> find_optimizer_class(std::string_view name) {
  const std::string key = fold_name(name);
  std::vector<std::string> known;
  for (const OptimizerClass* c : kClasses) {
    // Keras 2.9 to 2.10 wrote the new classes as "ExperimentalAdam".
    if (fold_name(c->name) == key || "experimental" + fold_name(c->name) == key) return c;
    known.emplace_back(c->name);
  }
  for (const char* other : kUnsupportedClasses) {
    if (fold_name(other) == key) return unsupported("optimizer: ", other, " is not supported");
  }
  return unknown_name("optimizer", name, known);
}

Config complete_arguments(const OptimizerClass& optimizer, const Config& config,
                          ir::KerasGeneration generation) {
  const bool is_keras3 = generation == ir::KerasGeneration::kKeras3;
  Config out = Config::map();
  out.set("name", is_keras3 ? snake_case(optimizer.name) : std::string(optimizer.name));
  out.set("learning_rate", 0.001);
  for (const char* key : {"weight_decay", "clipnorm", "global_clipnorm", "clipvalue"}) {
    out.set(key, Config());
  }
  out.set("use_ema", false);
  out.set("ema_momentum", 0.99);
  out.set("ema_overwrite_frequency", Config());
  if (is_keras3) {
    out.set("loss_scale_factor", Config());
    out.set("gradient_accumulation_steps", Config());
  }
  const Config defaults = optimizer.defaults(generation);
  for (const auto& [key, value] : defaults.as_map()) out.set(key, value);
  // "decay" is no argument of the new classes, but files of the old ones still mean it.
  for (const auto& [key, value] : config.as_map()) {
    if (key == "lr") {
      if (!config.has("learning_rate")) out.set("learning_rate", value);
    } else if (out.has(key) || (key == "decay" && value.as_double() != 0)) {
      out.set(key, value);
    }
  }
  return out;
}

}  // namespace ew::train
