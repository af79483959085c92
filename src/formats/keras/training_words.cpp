#include "formats/keras/training_words.h"

#include <algorithm>
#include <string_view>

namespace ew::formats {
namespace {

struct Alias {
  std::string_view alias;
  std::string_view name;
};

// Keras 3 refuses these as losses in an `.h5`, its own file included.
constexpr Alias kLossAliases[] = {
    {"mse", "mean_squared_error"},
    {"MSE", "mean_squared_error"},
    {"mae", "mean_absolute_error"},
    {"MAE", "mean_absolute_error"},
    {"mape", "mean_absolute_percentage_error"},
    {"MAPE", "mean_absolute_percentage_error"},
    {"msle", "mean_squared_logarithmic_error"},
    {"MSLE", "mean_squared_logarithmic_error"},
    {"kld", "kl_divergence"},
    {"KLD", "kl_divergence"},
    {"bce", "binary_crossentropy"},
    {"BCE", "binary_crossentropy"},
    {"logcosh", "log_cosh"},
};

// Keys of Keras 3's and Keras 2's new optimizers that the legacy classes refuse.
constexpr std::string_view kNewKeys[] = {"weight_decay",      "use_ema",
                                         "ema_momentum",      "ema_overwrite_frequency",
                                         "loss_scale_factor", "gradient_accumulation_steps"};

Config plain_dtype(const Config& config) {
  Config out = config;
  if (out["dtype"].is_map()) out.set("dtype", out["dtype"]["config"]["name"]);
  return out;
}

// Losses and metrics: names, objects, lists and maps of them. `module` is null in an `.h5`.
Config objects(const Config& value, const char* module, bool is_loss) {
  if (value.is_list()) {
    Config out = Config::list();
    for (const Config& item : value.as_list()) out.push_back(objects(item, module, is_loss));
    return out;
  }
  if (value.is_string() && is_loss) {
    for (const Alias& alias : kLossAliases) {
      if (value.as_string() == alias.alias) return alias.name;
    }
  }
  if (!value.is_map()) return value;
  if (!value["class_name"].is_string()) {
    Config out = Config::map();
    for (const auto& [key, item] : value.as_map()) out.set(key, objects(item, module, is_loss));
    return out;
  }
  Config config = plain_dtype(value["config"]);
  if (is_loss) {
    config.erase("dtype");
    config.erase("fn");
    if (config["reduction"].as_string() == "auto") config.set("reduction", "sum_over_batch_size");
  }
  Config out = Config::map();
  if (module != nullptr) out.set("module", module);
  out.set("class_name", value["class_name"]);
  out.set("config", std::move(config));
  if (module != nullptr) out.set("registered_name", Config());
  return out;
}

Config schedule(const Config& rate) {
  if (!rate.is_map()) return rate;
  Config out = Config::map();
  out.set("module", "keras.optimizers.schedules");
  out.set("class_name", rate["class_name"]);
  Config config = rate["config"];
  // Keras 2 leaves the name null, which Keras 3 refuses.
  if (config["name"].is_null()) config.set("name", rate["class_name"]);
  out.set("config", std::move(config));
  out.set("registered_name", Config());
  return out;
}

// Keras 2's old "decay" is a schedule in newer words: rate / (1 + decay * step).
Config with_schedule(Config config) {
  const double decay = config["decay"].as_double();
  config.erase("decay");
  if (decay > 0 && config["learning_rate"].is_number()) {
    Config arguments = Config::map();
    arguments.set("initial_learning_rate", config["learning_rate"]);
    arguments.set("decay_steps", 1);
    arguments.set("decay_rate", decay);
    arguments.set("staircase", false);
    arguments.set("name", "InverseTimeDecay");
    Config rate = Config::map();
    rate.set("class_name", "InverseTimeDecay");
    rate.set("config", std::move(arguments));
    config.set("learning_rate", std::move(rate));
  }
  config.set("learning_rate", schedule(config["learning_rate"]));
  return config;
}

bool is_default(std::string_view key, const Config& value) {
  if (key == "ema_momentum" || key == "ema_overwrite_frequency") return true;
  return value.is_null() || (value.is_bool() && !value.as_bool()) ||
         (value.is_number() && value.as_double() == 0);
}

// The legacy classes of Keras 2 know these, and so does Keras 3 by the same name.
bool is_common_class(const std::string& name) {
  for (const char* known :
       {"SGD", "RMSprop", "Adam", "Adamax", "Nadam", "Adagrad", "Adadelta", "Ftrl"}) {
    if (name == known) return true;
  }
  return false;
}

Config object(const std::string& class_name, Config config) {
  Config out = Config::map();
  out.set("class_name", class_name);
  out.set("config", std::move(config));
  return out;
}

Config optimizer_object(const ir::CompiledState& state) {
  if (state.optimizer.is_map()) return state.optimizer;
  Config config = Config::map();
  return object(state.optimizer.as_string(), std::move(config));
}

// What both generations read; the reason why not, if there is one.
std::string why_not_common(const Config& optimizer) {
  const std::string& name = optimizer["class_name"].as_string();
  if (!is_common_class(name)) return "class " + name;
  for (const std::string_view key : kNewKeys) {
    if (!is_default(key, optimizer["config"][key])) return str("argument ", key);
  }
  return "";
}

Config common_optimizer(const Config& optimizer) {
  Config config = with_schedule(optimizer["config"]);
  for (const std::string_view key : kNewKeys) config.erase(key);
  return object(optimizer["class_name"].as_string(), std::move(config));
}

Config keras2_optimizer(const Config& optimizer) {
  Config config = with_schedule(optimizer["config"]);
  for (const char* key : {"loss_scale_factor", "gradient_accumulation_steps"}) config.erase(key);
  config.set("jit_compile", false);
  config.set("is_legacy_optimizer", false);
  return object("Custom>" + optimizer["class_name"].as_string(), std::move(config));
}

void add_losses(const ir::CompiledState& state, const char* losses, const char* metrics,
                Config& out) {
  out.set("loss", objects(state.loss, losses, true));
  out.set("metrics", objects(state.metrics, metrics, false));
  out.set("weighted_metrics", objects(state.weighted_metrics, metrics, false));
  out.set("loss_weights", state.loss_weights);
}

}  // namespace

WrittenTraining h5_training(const ir::CompiledState& state, KerasVersion target,
                            ir::KerasGeneration own) {
  WrittenTraining out;
  out.config = Config::map();
  add_losses(state, nullptr, nullptr, out.config);
  const Config optimizer = optimizer_object(state);
  const std::string& name = optimizer["class_name"].as_string();
  const std::string obstacle = why_not_common(optimizer);
  const bool for_keras2 =
      target == KerasVersion::kKeras2 ||
      (target == KerasVersion::kBoth && !obstacle.empty() && own == ir::KerasGeneration::kKeras2);
  if (for_keras2) {
    out.config.set("optimizer_config", keras2_optimizer(optimizer));
    if (has_slot_order(optimizer, SlotOrder::kKeras2)) out.slots = SlotOrder::kKeras2;
    if (target == KerasVersion::kBoth) {
      out.notes.push_back(str("Optimizer ", name, " (", obstacle,
                              ") has no form for both Keras generations: Keras 2 resumes training, "
                              "Keras 3 must compile anew."));
    }
  } else if (!obstacle.empty()) {
    out.config.set("optimizer_config", object(name, with_schedule(optimizer["config"])));
    if (target == KerasVersion::kBoth) {
      out.notes.push_back(str("Optimizer ", name, " (", obstacle,
                              ") has no form for both Keras generations: Keras 3 continues with "
                              "fresh slots, Keras 2 loads with compile=False. A .keras file keeps "
                              "the slots."));
    }
  } else {
    out.config.set("optimizer_config", common_optimizer(optimizer));
    if (target == KerasVersion::kBoth && has_slot_order(optimizer, SlotOrder::kLegacy)) {
      out.slots = SlotOrder::kLegacy;
      out.notes.push_back(
          "Keras 2 resumes training from this file; Keras 3 predicts and evaluates, but cannot "
          "fit() it: use a .keras file, or --keras-version 3 for fresh slots.");
    } else if (target == KerasVersion::kBoth) {
      out.notes.push_back(str("The slots of ", name,
                              " are not in the file: Keras 2's class keeps "
                              "others. Both generations start with fresh ones."));
    }
  }
  if (target == KerasVersion::kKeras3 && !state.slots.empty()) {
    out.notes.push_back(
        "The optimizer's slots are not in the file, so that Keras 3 can fit() it; a .keras file "
        "keeps them.");
  }
  return out;
}

WrittenTraining keras_training(const ir::CompiledState& state) {
  WrittenTraining out;
  const Config optimizer = optimizer_object(state);
  Config written = Config::map();
  written.set("module", "keras.optimizers");
  written.set("class_name", optimizer["class_name"]);
  written.set("config", with_schedule(optimizer["config"]));
  written.set("registered_name", Config());
  out.config = Config::map();
  out.config.set("optimizer", std::move(written));
  add_losses(state, "keras.losses", "keras.metrics", out.config);
  out.config.set("run_eagerly", false);
  out.config.set("steps_per_execution", 1);
  out.config.set("jit_compile", false);
  if (has_slot_order(optimizer, SlotOrder::kKeras3)) {
    out.slots = SlotOrder::kKeras3;
  } else {
    out.notes.push_back(str("The slots of optimizer ", optimizer["class_name"].as_string(),
                            " are not in the file: their order is not known."));
  }
  return out;
}

}  // namespace ew::formats
