// Model::add_rescaling: a layer put behind every input, in the architecture and in the graph.
#include <algorithm>
#include <set>

#include "api/model_impl.h"
#include "formats/keras/import.h"

namespace ew {
namespace {

Config rescaling_layer(const std::string& name, double factor) {
  const Config::Map config{{"name", name},
                           {"trainable", true},
                           {"dtype", "float32"},
                           {"scale", factor},
                           {"offset", 0.0}};
  return Config::Map{{"class_name", "Rescaling"}, {"config", config}, {"name", name}};
}

std::string layer_name(const Config& layer) {
  const std::string& inner = layer["config"]["name"].as_string();
  return inner.empty() ? layer["name"].as_string() : inner;
}

bool is_input(const Config& layer) { return layer["class_name"].as_string() == "InputLayer"; }

/// "rescaling", "rescaling_1", ...: the first that no layer has.
std::string free_name(const Config::List& layers) {
  std::set<std::string> taken;
  for (const Config& layer : layers) taken.insert(layer_name(layer));
  std::string name = "rescaling";
  for (int i = 1; taken.contains(name); ++i) name = str("rescaling_", i);
  return name;
}

/// Lets every reference [from, node, tensor, ...] inside inbound_nodes name `to` instead.
void rename_references(Config& nodes, const std::string& from, const std::string& to) {
  if (nodes.is_map()) {
    for (auto& [key, value] : nodes.mutable_map()) rename_references(value, from, to);
  }
  if (!nodes.is_list()) return;
  Config::List& list = nodes.mutable_list();
  if (list.size() >= 3 && list[0].as_string() == from && list[1].is_int() && list[2].is_int()) {
    list[0] = Config(to);
    return;
  }
  for (Config& item : list) rename_references(item, from, to);
}

/// A Sequential: behind its InputLayer, or as the first layer, which then carries the input's
/// shape.
void insert_first(Config::List& layers, double factor) {
  Config layer = rescaling_layer(free_name(layers), factor);
  if (!layers.empty() && is_input(layers[0])) {
    layers.insert(layers.begin() + 1, std::move(layer));
    return;
  }
  Config config = layer["config"];
  for (const char* key : {"batch_input_shape", "batch_shape", "input_shape"}) {
    if (layers.empty() || !layers[0]["config"].has(key)) continue;
    config.set(key, layers[0]["config"][key]);
    Config first = layers[0]["config"];
    first.erase(key);
    layers[0].set("config", std::move(first));
  }
  layer.set("config", std::move(config));
  layers.insert(layers.begin(), std::move(layer));
}

/// A functional model: a new layer behind every InputLayer; its readers read the new one.
void insert_behind_inputs(Config::List& layers, double factor) {
  for (size_t i = 0; i < layers.size(); ++i) {
    if (!is_input(layers[i])) continue;
    const std::string input = layer_name(layers[i]);
    const std::string name = free_name(layers);
    for (Config& layer : layers) {
      Config nodes = layer["inbound_nodes"];
      rename_references(nodes, input, name);
      if (layer.has("inbound_nodes")) layer.set("inbound_nodes", std::move(nodes));
    }
    Config layer = rescaling_layer(name, factor);
    const Config reference = Config::List{input, 0, 0, Config::map()};
    layer.set("inbound_nodes", Config::List{Config(Config::List{reference})});
    layers.insert(layers.begin() + static_cast<std::ptrdiff_t>(i) + 1, std::move(layer));
  }
}

}  // namespace

Result<void> Model::add_rescaling(double factor) {
  ir::Model& model = impl_->model;
  if (model.architecture.config.is_null()) {
    return unsupported("a model that did not come from Keras cannot take a Rescaling layer");
  }
  if (model.quantization) {
    return invalid_argument("the model is quantised for its present inputs; scale before optimize");
  }
  Config architecture = model.architecture.config;
  Config config = architecture["config"];
  const bool is_wrapped = config.is_map();  // old Sequential files hold the list itself
  Config layer_list = is_wrapped ? config["layers"] : config;
  Config::List layers = layer_list.as_list();
  if (architecture["class_name"].as_string() == "Sequential") {
    insert_first(layers, factor);
  } else {
    insert_behind_inputs(layers, factor);
  }
  if (is_wrapped) {
    config.set("layers", Config(std::move(layers)));
  } else {
    config = Config(std::move(layers));
  }
  architecture.set("config", std::move(config));
  EW_TRY(formats::ImportedModel imported,
         formats::import_architecture(architecture, model.architecture.generation));
  const std::vector<ir::ValueId> from = model.graph.parameters();
  const std::vector<ir::ValueId> to = imported.graph.parameters();
  if (from.size() != to.size()) {
    return make_error(ErrorCode::kInternal, "the model with Rescaling has other parameters");
  }
  for (size_t k = 0; k < from.size(); ++k) {
    imported.graph.value(to[k]).data = model.graph.value(from[k]).data;
  }
  model.graph = std::move(imported.graph);
  model.architecture.config = std::move(architecture);
  return {};
}

}  // namespace ew
