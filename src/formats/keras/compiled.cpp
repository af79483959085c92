#include "formats/keras/compiled.h"

#include "formats/keras/optimizer_slots.h"
#include "formats/keras/weights.h"

namespace ew::formats {
namespace {

std::string bare(const std::string& class_name) {
  return class_name.substr(class_name.rfind('>') + 1);
}

// "categorical_accuracy" as "CategoricalAccuracy".
std::string to_class_name(const std::string& function) {
  std::string out;
  bool upper = true;
  for (const char c : function) {
    if (c == '_') {
      upper = true;
      continue;
    }
    out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = false;
  }
  return out;
}

// {"class_name", "config"} without module and registered name; a function becomes its name.
Config plain_object(const Config& object) {
  if (!object.is_map() || !object["class_name"].is_string()) return object;
  const std::string class_name = bare(object["class_name"].as_string());
  if (class_name == "function") return object["config"];
  Config out = Config::map();
  out.set("class_name", class_name);
  out.set("config", object["config"].is_map() ? object["config"] : Config::map());
  return out;
}

Config canonical_optimizer(const Config& optimizer) {
  Config out = plain_object(optimizer);
  if (!out.is_map()) return out;
  Config config = out["config"];
  if (config.has("lr") && !config.has("learning_rate")) config.set("learning_rate", config["lr"]);
  for (const char* key : {"lr", "is_legacy_optimizer", "jit_compile"}) config.erase(key);
  if (config["decay"].as_double() == 0) config.erase("decay");
  if (config["learning_rate"].is_map()) {
    config.set("learning_rate", plain_object(config["learning_rate"]));
  }
  out.set("config", std::move(config));
  return out;
}

Config canonical_loss(const Config& loss) {
  if (loss.is_list()) {
    Config out = Config::list();
    for (const Config& item : loss.as_list()) out.push_back(canonical_loss(item));
    return out;
  }
  if (!loss.is_map()) return loss;
  if (!loss["class_name"].is_string()) {  // one per output name
    Config out = Config::map();
    for (const auto& [key, item] : loss.as_map()) {
      out.mutable_map().emplace_back(key, canonical_loss(item));
    }
    return out;
  }
  Config out = plain_object(loss);
  if (!out.is_map()) return out;
  Config config = out["config"];
  if (out["class_name"].as_string() == "LossFunctionWrapper") return plain_object(config["fn"]);
  config.erase("fn");
  if (config["reduction"].as_string() == "auto") config.set("reduction", "sum_over_batch_size");
  out.set("config", std::move(config));
  return out;
}

// MeanMetricWrapper(fn="categorical_accuracy", name="accuracy") was compiled as "accuracy".
Config canonical_wrapper(const Config& config) {
  const Config fn = plain_object(config["fn"]);
  const std::string& function = fn.as_string();
  const std::string& name = config["name"].as_string();
  if (name == "accuracy" || name == "acc" || name == function) return name;
  Config out = Config::map();
  Config arguments = config;
  arguments.erase("fn");
  out.set("class_name", to_class_name(function));
  out.set("config", std::move(arguments));
  return out;
}

Config canonical_metrics(const Config& metrics) {
  if (metrics.is_list()) {
    Config out = Config::list();
    for (const Config& item : metrics.as_list()) out.push_back(canonical_metrics(item));
    return out;
  }
  if (!metrics.is_map()) return metrics;
  if (!metrics["class_name"].is_string()) {
    Config out = Config::map();
    for (const auto& [key, item] : metrics.as_map()) {
      out.mutable_map().emplace_back(key, canonical_metrics(item));
    }
    return out;
  }
  Config out = plain_object(metrics);
  const std::string& class_name = out["class_name"].as_string();
  if (class_name == "MeanMetricWrapper" || class_name == "SumOverBatchSizeMetricWrapper") {
    return canonical_wrapper(out["config"]);
  }
  return out;
}

// Keras 2 keeps a list of lists, one per output.
Config unnest(Config metrics, size_t outputs) {
  const Config::List& list = metrics.as_list();
  if (outputs == 1 && list.size() == 1 && list[0].is_list()) return list[0];
  return metrics;
}

}  // namespace

Result<ir::CompiledState> read_compiled(const Config& training, size_t outputs) {
  ir::CompiledState state;
  const char* key = training.has("optimizer_config") ? "optimizer_config" : "optimizer";
  const Config& optimizer = training[key];
  if (!optimizer.is_string() && !optimizer["class_name"].is_string()) {
    return invalid_data("training configuration: ", key, " is no optimizer but a ",
                        optimizer.kind_name());
  }
  state.optimizer = canonical_optimizer(optimizer);
  state.loss = canonical_loss(training["loss"]);
  state.metrics = unnest(canonical_metrics(training["metrics"]), outputs);
  state.weighted_metrics = unnest(canonical_metrics(training["weighted_metrics"]), outputs);
  state.loss_weights = training["loss_weights"];
  return state;
}

Status read_h5_optimizer(const H5Group& group, const ir::Graph& graph, ir::CompiledState& state) {
  EW_TRY(const std::vector<std::string> names, read_names(group, "weight_names"));
  std::vector<ir::NamedTensor> file;
  for (const std::string& name : names) {
    const H5Dataset* dataset = group.find_dataset(name);
    if (dataset == nullptr || dataset->value.is_string) {
      return invalid_data("optimizer_weights lists '", name, "' but does not hold it");
    }
    file.push_back({name, to_tensor(*dataset, dataset->value.dtype)});
  }
  if (file.empty()) return {};
  return read_slots(file, slot_order_of(names[0]), slot_parameters(graph), state);
}

Status read_store_optimizer(const H5Group& root, const ir::Graph& graph,
                            ir::KerasGeneration generation, ir::CompiledState& state) {
  std::vector<ir::NamedTensor> file;
  while (const H5Dataset* dataset = root.find_dataset(str("optimizer/vars/", file.size()))) {
    if (dataset->value.is_string) return invalid_data("optimizer/vars holds text");
    file.push_back({dataset->name, to_tensor(*dataset, dataset->value.dtype)});
  }
  const SlotOrder order =
      generation == ir::KerasGeneration::kKeras3 ? SlotOrder::kKeras3 : SlotOrder::kKeras2;
  return read_slots(file, order, slot_parameters(graph), state);
}

}  // namespace ew::formats
