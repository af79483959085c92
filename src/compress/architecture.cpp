#include "compress/architecture.h"

#include <algorithm>
#include <vector>

namespace ew::compress {
namespace {

// The list of layers that holds the layer at a path, and its position there.
struct Place {
  Config* container = nullptr;  // the model's "config"
  size_t index = 0;
  std::string name;  // within the container
  bool is_sequential = false;
};

Config* mutable_entry(Config& map, std::string_view key) {
  return const_cast<Config*>(map.find(key));
}

const std::string& name_of(const Config& layer) {
  const std::string& name = layer["config"]["name"].as_string();
  return name.empty() ? layer["name"].as_string() : name;
}

Place find_place(Config& model, const std::string& path) {
  Config* config = model.is_map() ? mutable_entry(model, "config") : nullptr;
  Config* layers = config && config->is_map() ? mutable_entry(*config, "layers") : nullptr;
  if (layers == nullptr || !layers->is_list()) return {};
  Config::List& list = layers->mutable_list();
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string name = name_of(list[i]);
    if (name == path) {
      return {config, i, name, model["class_name"].as_string() == "Sequential"};
    }
    if (!name.empty() && path.starts_with(name + "/")) {
      const Place inner = find_place(list[i], path.substr(name.size() + 1));
      if (inner.container != nullptr) return inner;
    }
  }
  return {};
}

Config::List& layers_of(const Place& place) {
  return mutable_entry(*place.container, "layers")->mutable_list();
}

// References [layer, node, tensor, ...] anywhere below `value`, in both dialects.
void collect_refs(Config& value, std::vector<Config*>& refs) {
  if (value.is_list()) {
    Config::List& list = value.mutable_list();
    if (list.size() >= 3 && list[0].is_string() && list[1].is_int() && list[2].is_int()) {
      refs.push_back(&value);
      return;
    }
    for (Config& item : list) collect_refs(item, refs);
  } else if (value.is_map()) {
    for (auto& [key, item] : value.mutable_map()) collect_refs(item, refs);
  }
}

std::vector<Config*> refs_of_layer(Config& layer) {
  std::vector<Config*> refs;
  if (Config* inbound = mutable_entry(layer, "inbound_nodes")) collect_refs(*inbound, refs);
  return refs;
}

// Who reads `name`: other layers and the container's outputs.
std::vector<Config*> users_of(const Place& place, const std::string& name) {
  std::vector<Config*> refs;
  for (Config& layer : layers_of(place)) {
    for (Config* ref : refs_of_layer(layer)) refs.push_back(ref);
  }
  for (const char* ends : {"output_layers", "input_layers"}) {
    if (Config* list = mutable_entry(*place.container, ends)) collect_refs(*list, refs);
  }
  std::erase_if(refs, [&](Config* ref) { return ref->as_list()[0].as_string() != name; });
  return refs;
}

}  // namespace

Config* find_layer(Config& model, const std::string& path) {
  const Place place = find_place(model, path);
  return place.container ? &layers_of(place)[place.index] : nullptr;
}

bool can_bypass(Config& model, const std::string& path, const std::string& input) {
  const Place layer = find_place(model, path);
  const Place source = find_place(model, input);
  if (layer.container == nullptr || layer.container != source.container) return false;
  if (layer.is_sequential) return layer.index == source.index + 1;
  Config& entry = layers_of(layer)[layer.index];
  const std::vector<Config*> reads = refs_of_layer(entry);
  const bool reads_input = entry["inbound_nodes"].as_list().size() == 1 && reads.size() == 1 &&
                           reads[0]->as_list()[0].as_string() == source.name &&
                           reads[0]->as_list()[1].as_int(-1) == 0 &&
                           reads[0]->as_list()[2].as_int(-1) == 0;
  if (!reads_input) return false;
  for (const Config* ref : users_of(layer, layer.name)) {
    if (ref->as_list()[1].as_int(-1) != 0 || ref->as_list()[2].as_int(-1) != 0) return false;
  }
  return layers_of(source)[source.index]["inbound_nodes"].as_list().size() == 1 &&
         users_of(source, source.name).size() == 1;
}

void bypass_layer(Config& model, const std::string& path, const std::string& input) {
  const Place layer = find_place(model, path);
  const std::string source = find_place(model, input).name;
  for (Config* ref : users_of(layer, layer.name)) ref->mutable_list()[0] = source;
  Config::List& list = layers_of(layer);
  list.erase(list.begin() + static_cast<std::ptrdiff_t>(layer.index));
}

}  // namespace ew::compress
