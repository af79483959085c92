// Sequential and functional models: which layer is called on what, in which order.
#include <algorithm>
#include <map>
#include <set>

#include "formats/keras/importer.h"

namespace ew::formats {
namespace {

using Tensors = std::vector<TrackedTensor>;

constexpr size_t kMaxLayers = 20'000;

Result<const Config::List*> layers_of(const Config& config, const LayerNode& node) {
  const Config& layers = config.is_list() ? config : config["layers"];  // Keras 1: only a list
  if (!layers.is_list() || layers.as_list().empty()) {
    return invalid_data("model '", node.name, "': expected a list of layers, found ",
                        layers.is_list() ? "an empty one" : layers.kind_name());
  }
  if (layers.as_list().size() > kMaxLayers) {
    return make_error(ErrorCode::kResourceLimit, "model '", node.name, "': more than ", kMaxLayers,
                      " layers");
  }
  for (const Config& layer : layers.as_list()) {
    if (!layer["class_name"].is_string()) {
      return invalid_data("model '", node.name, "': a layer without class_name");
    }
  }
  return &layers.as_list();
}

// The reference that {"tensor": i} stands for, or null.
const TensorRef* tensor_of(const LayerCall& call, const Config& value) {
  if (value.as_map().size() != 1 || !value["tensor"].is_int()) return nullptr;
  const int64_t index = value["tensor"].as_int();
  if (index < 0 || index >= static_cast<int64_t>(call.refs.size())) return nullptr;
  return &call.refs[static_cast<size_t>(index)];
}

}  // namespace

std::vector<const char*> positional_names(const std::string& class_name) {
  if (class_name == "MultiHeadAttention" || class_name == "GroupQueryAttention" ||
      class_name == "GroupedQueryAttention") {
    return {"query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask"};
  }
  for (const char* name : {"LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D",
                           "ConvLSTM2D", "ConvLSTM3D"}) {
    if (class_name == name) return {"sequences", "initial_state", "mask", "training"};
  }
  return {};
}

Result<Tensors> Importer::sequential(const Config& config, LayerNode& node,
                                     const CallArguments* given) {
  EW_TRY(const Config::List* layers, layers_of(config, node));
  EW_TRY_VOID(count_steps(static_cast<int64_t>(layers->size())));
  const bool is_first_call = node.children.empty();
  if (is_first_call) {
    for (const Config& layer : *layers) {
      EW_TRY(const std::string name, layer_name(layer));
      node.add_layer(name, layer["class_name"].as_string());
    }
  }
  Tensors current;
  const Config& first = layers->front();
  const bool has_input_layer = first["class_name"].as_string() == "InputLayer";
  if (given != nullptr) {
    current = given->inputs;
    if (current.size() == 1 && has_input_layer) {
      EW_TRY(current[0], bind_input(first, current[0]));
    }
  } else if (has_input_layer) {
    EW_TRY(TrackedTensor input, graph_input(first, node.children[0]->name));
    current = {input};
  } else if (is_sequential(first) || is_functional(first)) {
    // The nested model brings its own inputs.
    EW_TRY(current, call_model(first, *node.children[0], nullptr));
    output_names_.clear();
  } else {
    EW_TRY(TrackedTensor input, implied_input(config, first));
    current = {input};
  }
  const bool first_done =
      has_input_layer || (given == nullptr && (is_sequential(first) || is_functional(first)));
  for (size_t i = first_done ? 1 : 0; i < layers->size(); ++i) {
    CallArguments arguments;
    Config argument = Config::list();
    for (const TrackedTensor& tensor : current) {
      Config place = Config::map();
      place.set("tensor", static_cast<int64_t>(arguments.origins.size()));
      argument.push_back(std::move(place));
      arguments.origins.push_back(tensor.origin);
    }
    arguments.args.push_back(current.size() == 1 ? Config(argument.as_list()[0]) : argument);
    arguments.inputs = std::move(current);
    EW_TRY(current, call((*layers)[i], *node.children[i], std::move(arguments)));
  }
  return current;
}

/// One pass over one functional model.
class FunctionalWalk {
 public:
  FunctionalWalk(Importer& importer, const Config& config, LayerNode& node)
      : importer_(importer), config_(config), node_(node) {}

  Result<Tensors> run(const CallArguments* given, std::vector<std::string>* output_names);

 private:
  struct Layer {
    const Config* config = nullptr;
    LayerNode* node = nullptr;
    std::vector<LayerCall> calls;
    std::vector<Tensors> outputs;  // of the calls done
    int64_t first_call = 0;        // what references call the first call
    size_t ready_refs = 0;         // of the next call, found so far
    // Layers whose next call waits for an output of this one, by the number of the call.
    std::map<int64_t, std::vector<size_t>> waiting = {};
  };

  Status read_layers();
  void find_first_calls(const std::vector<TensorRef>& ends);
  Status bind_inputs(const CallArguments* given);
  Status run_calls();
  bool is_ready(size_t index);
  Status run_calls_of(size_t index, std::set<size_t>& now, std::set<size_t>& next);
  Result<CallArguments> arguments_of(const Layer& layer, const LayerCall& call) const;
  const TrackedTensor* find(const TensorRef& ref, bool is_end) const;
  Status known_layer(const TensorRef& ref) const;

  Importer& importer_;
  const Config& config_;
  LayerNode& node_;
  std::vector<Layer> layers_;
  std::map<std::string, size_t> index_;
  bool is_list_dialect_ = false;
};

Status FunctionalWalk::read_layers() {
  EW_TRY(const Config::List* entries, layers_of(config_, node_));
  EW_TRY_VOID(importer_.count_steps(static_cast<int64_t>(entries->size())));
  const bool is_first_call = node_.children.empty();
  for (const Config& entry : *entries) {
    // Functional models refer to layers by the entry's own name.
    std::string name = entry["name"].as_string();
    if (name.empty()) {
      EW_TRY(name, layer_name(entry));
    }
    EW_TRY_VOID(check_layer_name(name));
    if (!index_.emplace(name, layers_.size()).second) {
      return invalid_data("model '", node_.name, "': two layers are named '", name, "'");
    }
    if (is_first_call) node_.add_layer(name, entry["class_name"].as_string());
    layers_.push_back({&entry, node_.children[layers_.size()].get(), {}, {}});
  }
  for (Layer& layer : layers_) {
    Result<std::vector<LayerCall>> calls =
        parse_inbound_nodes((*layer.config)["inbound_nodes"],
                            [&](const std::string& name) { return index_.contains(name); });
    if (!calls.ok()) return at(str("layer '", layer.node->name, "'"), calls.error());
    layer.calls = std::move(*calls);
    for (const LayerCall& call : layer.calls) {
      EW_TRY_VOID(importer_.count_steps(static_cast<int64_t>(call.refs.size()) + 1));
      is_list_dialect_ |= call.is_list_dialect;
      for (const TensorRef& ref : call.refs) EW_TRY_VOID(known_layer(ref));
    }
  }
  return {};
}

Status FunctionalWalk::known_layer(const TensorRef& ref) const {
  if (index_.contains(ref.layer) && ref.node >= 0 && ref.tensor >= 0) return {};
  return invalid_data("model '", node_.name, "': a node refers to layer '", ref.layer, "' (",
                      ref.node, ", ", ref.tensor, "), which is not there");
}

// In the list dialect the calls of a nested model count from 1 (its own making was call 0), unless
// it was built without input shape: then some reference says 0.
void FunctionalWalk::find_first_calls(const std::vector<TensorRef>& ends) {
  if (!is_list_dialect_) return;
  for (Layer& layer : layers_) {
    layer.first_call = is_sequential(*layer.config) || is_functional(*layer.config) ? 1 : 0;
  }
  const auto see = [&](const TensorRef& ref) {
    if (ref.node == 0) layers_[index_.at(ref.layer)].first_call = 0;
  };
  for (const Layer& layer : layers_) {
    for (const LayerCall& call : layer.calls)
      std::for_each(call.refs.begin(), call.refs.end(), see);
  }
  std::for_each(ends.begin(), ends.end(), see);
}

Status FunctionalWalk::bind_inputs(const CallArguments* given) {
  std::vector<std::string> keys;
  Result<std::vector<TensorRef>> refs = parse_model_ends(config_["input_layers"], &keys);
  if (!refs.ok()) return at(str("model '", node_.name, "': input_layers"), refs.error());
  if (refs->empty()) return invalid_data("model '", node_.name, "' has no inputs");
  if (given != nullptr && given->inputs.size() != refs->size()) {
    return invalid_data("model '", node_.name, "' has ", refs->size(), " inputs, is called with ",
                        given->inputs.size());
  }
  for (size_t i = 0; i < refs->size(); ++i) {
    EW_TRY_VOID(known_layer((*refs)[i]));
    Layer& layer = layers_[index_.at((*refs)[i].layer)];
    if ((*layer.config)["class_name"].as_string() != "InputLayer" || !layer.outputs.empty()) {
      return invalid_data("model '", node_.name, "': input '", layer.node->name,
                          "' is no InputLayer of its own");
    }
    EW_TRY(const TrackedTensor tensor,
           given != nullptr ? importer_.bind_input(*layer.config, given->inputs[i])
                            : importer_.graph_input(*layer.config, layer.node->name));
    layer.outputs.push_back({tensor});
  }
  return {};
}

const TrackedTensor* FunctionalWalk::find(const TensorRef& ref, bool is_end) const {
  const Layer& layer = layers_[index_.at(ref.layer)];
  int64_t call = ref.node - layer.first_call;
  // Keras 3 counts a functional model's own making only in output_layers.
  if (is_end && !is_list_dialect_ && call > 0 && is_functional(*layer.config)) --call;
  if (call < 0 || call >= static_cast<int64_t>(layer.outputs.size())) return nullptr;
  const Tensors& outputs = layer.outputs[static_cast<size_t>(call)];
  if (ref.tensor >= static_cast<int64_t>(outputs.size())) return nullptr;
  return &outputs[static_cast<size_t>(ref.tensor)];
}

// Whether the layer's next call has all its tensors; if not, the layer waits for the first that is
// missing.
bool FunctionalWalk::is_ready(size_t index) {
  Layer& layer = layers_[index];
  if (layer.outputs.size() >= layer.calls.size()) return false;
  const std::vector<TensorRef>& refs = layer.calls[layer.outputs.size()].refs;
  for (; layer.ready_refs < refs.size(); ++layer.ready_refs) {
    const TensorRef& ref = refs[layer.ready_refs];
    if (find(ref, false) != nullptr) continue;
    Layer& source = layers_[index_.at(ref.layer)];
    source.waiting[ref.node - source.first_call].push_back(index);
    return false;
  }
  layer.ready_refs = 0;
  return true;
}

Result<CallArguments> FunctionalWalk::arguments_of(const Layer& layer,
                                                   const LayerCall& call) const {
  CallArguments out;
  // Replaces {"tensor": i} of the call by an index into `inputs`, or moves it to the keywords.
  const auto index_inputs = [&](auto& self, const Config& value) -> Config {
    if (value.is_list()) {
      Config list = Config::list();
      for (const Config& item : value.as_list()) list.push_back(self(self, item));
      return list;
    }
    if (!value.is_map()) return value;
    Config map = Config::map();
    if (const TensorRef* ref = tensor_of(call, value)) {
      map.set("tensor", static_cast<int64_t>(out.inputs.size()));
      out.inputs.push_back(*find(*ref, false));
      return map;
    }
    // A map of tensors is flattened in the order of its keys.
    Config::Map sorted = value.as_map();
    std::sort(sorted.begin(), sorted.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [key, item] : sorted) {
      map.mutable_map().emplace_back(key, self(self, item));
    }
    return map;
  };
  const auto to_keywords = [&](auto& self, const std::string& name, const Config& value) -> bool {
    if (value.is_list()) {
      bool any = false;
      for (const Config& item : value.as_list()) any |= self(self, name, item);
      return any;
    }
    const TensorRef* ref = tensor_of(call, value);
    if (ref != nullptr) out.keyword_tensors.emplace_back(name, *find(*ref, false));
    return ref != nullptr;
  };
  const std::vector<const char*> names =
      positional_names((*layer.config)["class_name"].as_string());
  const Config::List& args = call.args.as_list();
  Config positional = Config::list();
  for (size_t i = 0; i < args.size(); ++i) {
    if (i == 0 || names.empty()) {
      positional.push_back(index_inputs(index_inputs, args[i]));
    } else if (i < names.size() && !to_keywords(to_keywords, names[i], args[i])) {
      out.call.set(names[i], args[i]);
    }
  }
  for (const auto& [key, value] : call.kwargs.as_map()) {
    if (!names.empty() && key == names[0] && args.empty()) {
      positional.push_back(index_inputs(index_inputs, value));
    } else {
      to_keywords(to_keywords, key, value);
      out.call.set(key, value);
    }
  }
  // Operations and layers called with keywords only: inputs=x.
  if (args.empty() && out.inputs.empty()) {
    for (const auto& [name, tensor] : out.keyword_tensors) out.inputs.emplace_back(tensor);
    out.keyword_tensors.clear();
  }
  out.call.set("args", std::move(positional));
  out.args = call.args;
  out.kwargs = call.kwargs;
  for (const TensorRef& ref : call.refs) out.origins.push_back(find(ref, false)->origin);
  return out;
}

Status FunctionalWalk::run_calls_of(size_t index, std::set<size_t>& now, std::set<size_t>& next) {
  Layer& layer = layers_[index];
  while (is_ready(index)) {
    EW_TRY(CallArguments arguments, arguments_of(layer, layer.calls[layer.outputs.size()]));
    EW_TRY(Tensors outputs, importer_.call(*layer.config, *layer.node, std::move(arguments)));
    const auto waiting = layer.waiting.extract(static_cast<int64_t>(layer.outputs.size()));
    layer.outputs.push_back(std::move(outputs));
    if (waiting.empty()) continue;
    for (const size_t user : waiting.mapped()) (user > index ? now : next).insert(user);
  }
  return {};
}

Status FunctionalWalk::run_calls() {
  // Layers are listed by depth, so one pass in their order does nearly all; shared layers need
  // more, which look only at layers whose tensors have come up since.
  std::set<size_t> now;
  std::set<size_t> next;
  for (size_t i = 0; i < layers_.size(); ++i) now.insert(now.end(), i);
  while (!now.empty()) {
    const size_t index = *now.begin();
    now.erase(now.begin());
    EW_TRY_VOID(run_calls_of(index, now, next));
    if (now.empty()) now.merge(next);
  }
  for (const Layer& layer : layers_) {
    if (layer.outputs.size() < layer.calls.size()) {
      return invalid_data("model '", node_.name, "': layer '", layer.node->name,
                          "' is part of a loop, or its inputs do not exist");
    }
  }
  return {};
}

Result<Tensors> FunctionalWalk::run(const CallArguments* given,
                                    std::vector<std::string>* output_names) {
  EW_TRY_VOID(read_layers());
  Result<std::vector<TensorRef>> ends = parse_model_ends(config_["output_layers"], output_names);
  if (!ends.ok()) return at(str("model '", node_.name, "': output_layers"), ends.error());
  if (ends->empty()) return invalid_data("model '", node_.name, "' has no outputs");
  for (const TensorRef& ref : *ends) EW_TRY_VOID(known_layer(ref));
  find_first_calls(*ends);
  EW_TRY_VOID(bind_inputs(given));
  EW_TRY_VOID(run_calls());
  Tensors outputs;
  for (const TensorRef& ref : *ends) {
    const TrackedTensor* tensor = find(ref, true);
    if (tensor == nullptr) {
      return invalid_data("model '", node_.name, "': output ['", ref.layer, "', ", ref.node, ", ",
                          ref.tensor, "] does not exist");
    }
    outputs.push_back(*tensor);
  }
  return outputs;
}

Result<Tensors> Importer::functional(const Config& config, LayerNode& node,
                                     const CallArguments* given) {
  if (recording != nullptr && inside_layer_ == 0) recording->is_chain = false;
  FunctionalWalk walk(*this, config, node);
  return walk.run(given, given == nullptr ? &output_names_ : nullptr);
}

}  // namespace ew::formats
