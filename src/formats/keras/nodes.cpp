#include "formats/keras/nodes.h"

#include <algorithm>

namespace ew::formats {
namespace {

using IsLayer = std::function<bool(const std::string&)>;

bool is_ref(const Config& value) {
  const Config::List& list = value.as_list();
  return list.size() >= 3 && list[0].is_string() && list[1].is_int() && list[2].is_int();
}

TensorRef to_ref(const Config& value) {
  const Config::List& list = value.as_list();
  return {list[0].as_string(), list[1].as_int(), list[2].as_int()};
}

Config placeholder(LayerCall& call, TensorRef ref) {
  Config out = Config::map();
  out.set("tensor", static_cast<int64_t>(call.refs.size()));
  call.refs.push_back(std::move(ref));
  return out;
}

// Keras 3: tensors may stand anywhere in the arguments; tuples are wrapped.
Result<Config> replace_keras_tensors(const Config& value, LayerCall& call) {
  if (value.is_list()) {
    Config out = Config::list();
    for (const Config& item : value.as_list()) {
      EW_TRY(Config replaced, replace_keras_tensors(item, call));
      out.push_back(std::move(replaced));
    }
    return out;
  }
  if (!value.is_map()) return value;
  const std::string& kind = value["class_name"].as_string();
  if (kind == "__keras_tensor__") {
    const Config& history = value["config"]["keras_history"];
    if (!is_ref(history)) return invalid_data("a __keras_tensor__ without keras_history");
    return placeholder(call, to_ref(history));
  }
  if (kind == "__tuple__") return replace_keras_tensors(value["items"], call);
  Config out = Config::map();
  for (const auto& [key, item] : value.as_map()) {
    EW_TRY(Config replaced, replace_keras_tensors(item, call));
    out.mutable_map().emplace_back(key, std::move(replaced));
  }
  return out;
}

// Keras 2: tensors among keyword arguments are lists [layer, node, tensor].
Config replace_lists(const Config& value, LayerCall& call, const IsLayer& is_layer) {
  if (is_ref(value) && value.as_list().size() == 3 && is_layer(value.as_list()[0].as_string())) {
    return placeholder(call, to_ref(value));
  }
  if (value.is_list()) {
    Config out = Config::list();
    for (const Config& item : value.as_list()) out.push_back(replace_lists(item, call, is_layer));
    return out;
  }
  if (value.is_map()) {
    Config out = Config::map();
    for (const auto& [key, item] : value.as_map()) {
      out.mutable_map().emplace_back(key, replace_lists(item, call, is_layer));
    }
    return out;
  }
  return value;
}

Result<Config> list_argument(const Config& entry, LayerCall& call, const Config** kwargs) {
  const Config::List& list = entry.as_list();
  if (!is_ref(entry) || list.size() > 4) {
    return invalid_data("inbound_nodes: expected [layer, node, tensor, {}], found a ",
                        entry.kind_name());
  }
  if (list.size() == 4 && !list[3].as_map().empty()) *kwargs = &list[3];
  return placeholder(call, to_ref(entry));
}

Result<LayerCall> parse_list_call(const Config& node, const IsLayer& is_layer) {
  LayerCall call;
  call.is_list_dialect = true;
  const Config* kwargs = nullptr;
  Config first;
  const auto is_constant = [](const Config& entry) {
    const Config::List& list = entry.as_list();
    return list.size() >= 3 && list[0].as_string() == "_CONSTANT_VALUE";
  };
  const auto add = [&](const Config& entry) -> Result<Config> {
    if (!is_constant(entry)) return list_argument(entry, call, &kwargs);
    if (entry.as_list().size() > 3 && !entry.as_list()[3].as_map().empty()) {
      kwargs = &entry.as_list()[3];
    }
    return entry.as_list()[2];
  };
  if (is_ref(node) || is_constant(node)) {
    EW_TRY(first, add(node));
  } else if (node.is_list()) {
    first = Config::list();
    for (const Config& entry : node.as_list()) {
      EW_TRY(Config argument, add(entry));
      first.push_back(std::move(argument));
    }
    if (first.as_list().size() == 1) first = Config(first.as_list()[0]);
  } else if (node.is_map()) {
    first = Config::map();
    for (const auto& [key, entry] : node.as_map()) {
      EW_TRY(Config argument, add(entry));
      first.mutable_map().emplace_back(key, std::move(argument));
    }
  } else {
    return invalid_data("inbound_nodes: expected a list or a map, found a ", node.kind_name());
  }
  call.args.push_back(std::move(first));
  if (kwargs != nullptr) call.kwargs = replace_lists(*kwargs, call, is_layer);
  return call;
}

Result<LayerCall> parse_any_call(const Config& node, const IsLayer& is_layer) {
  if (!node.is_map() || !node.has("args")) return parse_list_call(node, is_layer);
  LayerCall call;
  if (!node["args"].is_list()) return invalid_data("inbound_nodes: args is no list");
  EW_TRY(call.args, replace_keras_tensors(node["args"], call));
  EW_TRY(call.kwargs, replace_keras_tensors(node["kwargs"], call));
  return call;
}

// Keyword arguments are looked up one by one.
constexpr size_t kMaxKeywords = 1000;

Result<LayerCall> parse_call(const Config& node, const IsLayer& is_layer) {
  EW_TRY(LayerCall call, parse_any_call(node, is_layer));
  if (call.kwargs.as_map().size() > kMaxKeywords) {
    return make_error(ErrorCode::kResourceLimit, "inbound_nodes: more than ", kMaxKeywords,
                      " keyword arguments");
  }
  return call;
}

Status collect_ends(const Config& ends, const std::string& name, std::vector<TensorRef>& refs,
                    std::vector<std::string>* names) {
  if (is_ref(ends)) {
    refs.push_back(to_ref(ends));
    if (names != nullptr) names->push_back(name);
    return {};
  }
  if (ends.is_list()) {
    for (const Config& item : ends.as_list()) {
      EW_TRY_VOID(collect_ends(item, "", refs, names));
    }
    return {};
  }
  if (!ends.is_map()) {
    return invalid_data("expected [layer, node, tensor], found a ", ends.kind_name());
  }
  std::vector<std::pair<std::string, const Config*>> sorted;
  for (const auto& [key, item] : ends.as_map()) sorted.emplace_back(key, &item);
  std::sort(sorted.begin(), sorted.end());
  for (const auto& [key, item] : sorted) {
    EW_TRY_VOID(collect_ends(*item, key, refs, names));
  }
  return {};
}

}  // namespace

Result<std::vector<LayerCall>> parse_inbound_nodes(const Config& inbound, const IsLayer& is_layer) {
  std::vector<LayerCall> calls;
  if (inbound.is_null()) return calls;
  if (!inbound.is_list()) {
    return invalid_data("inbound_nodes: expected a list, found a ", inbound.kind_name());
  }
  for (const Config& node : inbound.as_list()) {
    EW_TRY(LayerCall call, parse_call(node, is_layer));
    calls.push_back(std::move(call));
  }
  return calls;
}

Result<std::vector<TensorRef>> parse_model_ends(const Config& ends,
                                                std::vector<std::string>* names) {
  std::vector<TensorRef> refs;
  EW_TRY_VOID(collect_ends(ends, "", refs, names));
  return refs;
}

}  // namespace ew::formats
