#include "formats/keras/written_model.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "formats/keras/importer.h"
#include "formats/keras/recording.h"

namespace ew::formats {
namespace {

class ModelWriter {
 public:
  ModelWriter(const ir::Model& model, KerasVersion target) : model_(model), target_(target) {}

  Result<WrittenModel> run();

 private:
  void note_differences();
  void name_layers();
  Status add_weights(WrittenLayer& written, const LayerNode& node);
  Config ends(const std::vector<RecordedTensor>& tensors) const;
  Config inbound_nodes(const RecordedLayer& layer, const std::string& name);
  Config list_call(const RecordedCall& call, const Config& kwargs) const;
  Config dict_call(const RecordedCall& call, const Config& kwargs) const;
  Config ref(const RecordedTensor& tensor) const;
  Config place_tensors(const Config& value, const RecordedCall& call, bool as_lists) const;
  Config chain(const std::vector<size_t>& order);
  Config functional(const std::vector<size_t>& order);
  Config entry(const RecordedLayer& layer, const std::string& name);
  Result<WrittenModel> as_it_is();

  const ir::Model& model_;
  KerasVersion target_;
  Recording recording_;
  std::vector<std::string> names_;  // per recorded layer
  std::map<std::string, ir::ValueId> stored_;
  WrittenModel out_;
};

bool holds_tensor(const Config& value) {
  if (value.is_list()) {
    const Config::List& list = value.as_list();
    return std::any_of(list.begin(), list.end(), holds_tensor);
  }
  return value.as_map().size() == 1 && value["tensor"].is_int();
}

// One tensor, or one list of tensors: what a list of lists can say.
bool is_plain_argument(const Config& value) {
  if (!value.is_list()) return holds_tensor(value);
  const Config::List& list = value.as_list();
  return !list.empty() && std::all_of(list.begin(), list.end(), [](const Config& item) {
    return !item.is_list() && holds_tensor(item);
  });
}

// Masks are made anew by either Keras; what is null is the default.
Config needed_kwargs(const RecordedCall& call) {
  Config out = Config::map();
  for (const auto& [key, value] : call.kwargs.as_map()) {
    if (key == "mask" || value.is_null()) continue;
    out.set(key, value);
  }
  return out;
}

// Numbers the references anew in the order in which `value` names them.
Config renumber(const Config& value, const std::vector<RecordedTensor>& from,
                std::vector<RecordedTensor>& to) {
  if (value.is_list()) {
    Config out = Config::list();
    for (const Config& item : value.as_list()) out.push_back(renumber(item, from, to));
    return out;
  }
  if (!holds_tensor(value)) return value;
  Config out = Config::map();
  out.set("tensor", static_cast<int64_t>(to.size()));
  to.push_back(from[static_cast<size_t>(value["tensor"].as_int())]);
  return out;
}

// Where both load a layer but compute different things.
bool differs_in_keras2(const RecordedLayer& layer, const RecordedCall& call,
                       const Recording& recording) {
  constexpr std::string_view kMerges[] = {"Add",     "Subtract", "Multiply",   "Average",
                                          "Maximum", "Minimum",  "Concatenate"};
  const std::string& name = layer.class_name;
  if (layer.node != nullptr && std::count(std::begin(kMerges), std::end(kMerges), name) > 0) {
    // Keras 2 takes the conjunction of the masks that there are; Keras 3 none if one is missing,
    // and otherwise the disjunction.
    const bool may_differ = name != "Concatenate";
    return std::any_of(call.masks.begin(), call.masks.end(), [&](const ir::ValueId mask) {
      const bool is_half = (mask == ir::kNoValue) != (call.masks[0] == ir::kNoValue);
      return is_half || (may_differ && mask != call.masks[0]);
    });
  }
  if (name == "Resizing" && !call.refs.empty()) {
    // Keras 3 rounds to the integers that came in.
    const RecordedTensor& in = call.refs[0];
    const auto& type = recording.layers[in.layer].calls[in.call].outputs[in.tensor];
    return !is_floating(type.dtype);
  }
  return false;
}

// Without the masks, the operations that made them fall away: no output depends on them.
void drop_masks(Recording& recording) {
  for (RecordedLayer& layer : recording.layers) {
    for (RecordedCall& call : layer.calls) {
      std::vector<RecordedTensor> refs;
      Config kwargs = Config::map();
      call.args = renumber(call.args, call.refs, refs);
      const Config needed = needed_kwargs(call);
      for (const auto& [key, value] : needed.as_map()) {
        kwargs.set(key, renumber(value, call.refs, refs));
      }
      call.kwargs = std::move(kwargs);
      call.refs = std::move(refs);
    }
  }
}

bool joins_masks(const RecordedLayer& layer) {
  return std::any_of(layer.calls.begin(), layer.calls.end(), [](const RecordedCall& call) {
    return std::any_of(call.masks.begin(), call.masks.end(),
                       [](ir::ValueId mask) { return mask != ir::kNoValue; });
  });
}

void ModelWriter::note_differences() {
  const bool is_keras3 = model_.architecture.generation == ir::KerasGeneration::kKeras3;
  auto& notes = is_keras3 ? out_.portability.only_keras3 : out_.portability.only_keras2;
  for (const RecordedLayer& layer : recording_.layers) {
    for (const RecordedCall& call : layer.calls) {
      if (!differs_in_keras2(layer, call, recording_)) continue;
      notes.push_back(str("what ", layer.class_name, " '", layer.path, "' does with ",
                          layer.class_name == "Resizing" ? "integers" : "masks"));
    }
  }
}

void ModelWriter::name_layers() {
  std::set<std::string> taken;
  for (const RecordedLayer& layer : recording_.layers) {
    std::string name = layer.path;
    std::replace(name.begin(), name.end(), '/', '_');
    if (name == "concatenate" && target_ != KerasVersion::kKeras2 && joins_masks(layer)) {
      name += "_layer";  // the operation that joins the masks in Keras 3 takes the short name
    }
    const std::string stem = name;
    for (int i = 1; !taken.insert(name).second; ++i) name = str(stem, "_", i);
    if (layer.node != nullptr && name != layer.path) out_.renamed.emplace_back(layer.path, name);
    names_.push_back(std::move(name));
  }
}

Status ModelWriter::add_weights(WrittenLayer& written, const LayerNode& node) {
  const ir::Graph& zero = recording_.model.graph;
  for (const ir::ValueId id : node.file_order()) {
    const ir::ParameterInfo& info = *zero.value(id).info;
    const auto found = stored_.find(info.store_path);
    if (found == stored_.end()) {
      return invalid_data("layer '", node.path, "': the graph has no weight '", info.name, "'");
    }
    if (model_.graph.type(found->second).shape != zero.type(id).shape) {
      return invalid_data("layer '", node.path, "': weight '", info.name, "' has shape ",
                          model_.graph.type(found->second).shape, ", the architecture says ",
                          zero.type(id).shape);
    }
    std::string below = info.layer.substr(std::min(info.layer.size(), node.path.size()));
    written.weights.push_back({written.name + below + "/" + info.name, found->second});
  }
  return {};
}

Config ModelWriter::ref(const RecordedTensor& tensor) const {
  return Config(Config::List{names_[tensor.layer], static_cast<int64_t>(tensor.call),
                             static_cast<int64_t>(tensor.tensor)});
}

Config ModelWriter::ends(const std::vector<RecordedTensor>& tensors) const {
  if (tensors.size() == 1) return ref(tensors[0]);
  Config out = Config::list();
  for (const RecordedTensor& tensor : tensors) out.push_back(ref(tensor));
  return out;
}

// Puts references for {"tensor": i}: [layer, call, tensor], or Keras 3's __keras_tensor__.
Config ModelWriter::place_tensors(const Config& value, const RecordedCall& call,
                                  bool as_lists) const {
  if (value.is_list()) {
    Config out = Config::list();
    for (const Config& item : value.as_list()) {
      out.push_back(place_tensors(item, call, as_lists));
    }
    return out;
  }
  if (!holds_tensor(value)) return value;
  const RecordedTensor& tensor = call.refs[static_cast<size_t>(value["tensor"].as_int())];
  if (as_lists) return ref(tensor);
  const ir::TensorType& type =
      recording_.layers[tensor.layer].calls[tensor.call].outputs[tensor.tensor];
  Config shape = Config::list();
  for (const int64_t dim : type.shape) shape.push_back(dim == kUnknown ? Config() : Config(dim));
  Config config = Config::map();
  config.set("shape", std::move(shape));
  config.set("dtype", dtype_name(type.dtype));
  config.set("keras_history", ref(tensor));
  Config out = Config::map();
  out.set("class_name", "__keras_tensor__");
  out.set("config", std::move(config));
  return out;
}

Config ModelWriter::list_call(const RecordedCall& call, const Config& kwargs) const {
  Config written = Config::map();
  for (const auto& [key, value] : kwargs.as_map()) {
    written.set(key, place_tensors(value, call, true));
  }
  const Config& first = call.args.as_list()[0];
  Config out = Config::list();
  for (const Config& item : first.is_list() ? first.as_list() : Config::List{first}) {
    Config tensor = place_tensors(item, call, true);
    tensor.push_back(written);
    out.push_back(std::move(tensor));
  }
  return out;
}

Config ModelWriter::dict_call(const RecordedCall& call, const Config& kwargs) const {
  Config written = Config::map();
  for (const auto& [key, value] : kwargs.as_map()) {
    written.set(key, place_tensors(value, call, false));
  }
  Config out = Config::map();
  out.set("args", place_tensors(call.args, call, false));
  out.set("kwargs", std::move(written));
  return out;
}

// Keras 2 puts the initial states of a recurrent layer beside its input, in one list.
RecordedCall with_named_states(const std::string& class_name, RecordedCall call) {
  const Config::List& args = call.args.as_list();
  const bool is_recurrent = class_name.ends_with("RNN") || class_name.ends_with("LSTM") ||
                            class_name.ends_with("GRU") || class_name == "Bidirectional" ||
                            class_name.starts_with("ConvLSTM");
  if (!is_recurrent || args.size() != 1 || args[0].as_list().size() < 2) return call;
  const Config::List& tensors = args[0].as_list();
  call.kwargs.set("initial_state", Config(Config::List(tensors.begin() + 1, tensors.end())));
  call.args = Config(Config::List{tensors[0]});
  return call;
}

Config ModelWriter::inbound_nodes(const RecordedLayer& layer, const std::string& name) {
  Config out = Config::list();
  for (const RecordedCall& recorded : layer.calls) {
    const RecordedCall call = with_named_states(layer.class_name, recorded);
    Config kwargs = call.kwargs;
    const Config::List& args = call.args.as_list();
    const auto has_tensor = [](const auto& entry) { return holds_tensor(entry.second); };
    const bool tensor_in_kwargs =
        std::any_of(kwargs.as_map().begin(), kwargs.as_map().end(), has_tensor);
    if (args.size() == 1 && is_plain_argument(args[0]) && !tensor_in_kwargs) {
      out.push_back(list_call(call, kwargs));
      continue;
    }
    // Keras 2 wants further arguments by name, Keras 3 wants them as a map; nothing serves both.
    const std::vector<const char*> parameters = positional_names(layer.class_name);
    const bool can_name = !args.empty() && is_plain_argument(args[0]) &&
                          (args.size() == 1 || parameters.size() >= args.size());
    const bool prefers_keras2 = target_ == KerasVersion::kKeras2 ||
                                (target_ == KerasVersion::kBoth &&
                                 model_.architecture.generation == ir::KerasGeneration::kKeras2);
    const std::string what = str("the call of layer '", name, "' with several tensors");
    if (can_name && prefers_keras2) {
      out_.portability.only_keras2.push_back(what);
      for (size_t i = 1; i < args.size(); ++i) kwargs.set(parameters[i], args[i]);
      RecordedCall named = call;
      out.push_back(list_call(named, kwargs));
    } else {
      out_.portability.only_keras3.push_back(what);
      out.push_back(dict_call(call, kwargs));
    }
  }
  return out;
}

// TensorFlow's pattern for the name of a scope, which Keras 2 opens for every layer.
bool is_scope_name(const std::string& name) {
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.';
  };
  return !name.empty() && is_word(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
    return is_word(c) || std::string_view("_\\/>-").find(c) != std::string_view::npos;
  });
}

Config ModelWriter::entry(const RecordedLayer& layer, const std::string& name) {
  if (!is_scope_name(name)) {
    out_.portability.only_keras3.push_back(str("the name of layer '", name, "'"));
  }
  if (layer.node != nullptr && !layer.entry["config"].has("dtype") &&
      model_.architecture.generation == ir::KerasGeneration::kKeras3) {
    out_.portability.neither.push_back(str("operation ", layer.class_name));
  }
  Config config =
      layer_words(layer.class_name, layer.entry["config"], target_, name, out_.portability);
  config.set("name", name);
  if (layer.node != nullptr && !layer.node->is_trainable) config.set("trainable", false);
  Config out = Config::map();
  out.set("class_name", layer.class_name);
  out.set("config", std::move(config));
  return out;
}

Config ModelWriter::chain(const std::vector<size_t>& order) {
  Config layers = Config::list();
  for (const size_t i : order) layers.push_back(entry(recording_.layers[i], names_[i]));
  Config config = Config::map();
  config.set("name", recording_.name);
  config.set("layers", std::move(layers));
  return config;
}

Config ModelWriter::functional(const std::vector<size_t>& order) {
  Config layers = Config::list();
  for (const size_t i : order) {
    const RecordedLayer& layer = recording_.layers[i];
    Config written = entry(layer, names_[i]);
    written.set("name", names_[i]);
    written.set("inbound_nodes",
                layer.node == nullptr ? Config::list() : inbound_nodes(layer, names_[i]));
    layers.push_back(std::move(written));
  }
  // Lists and maps must not mix in one file: Keras 2 reads only lists.
  Config config = Config::map();
  config.set("name", recording_.name);
  config.set("trainable", true);
  config.set("layers", std::move(layers));
  config.set("input_layers", ends(recording_.inputs));
  config.set("output_layers", ends(recording_.outputs));
  return config;
}

// Keras 2's own model for Keras 2: nothing to translate.
Result<WrittenModel> ModelWriter::as_it_is() {
  out_.config = Config::map();
  out_.config.set("class_name", model_.architecture.config["class_name"]);
  out_.config.set("config", model_.architecture.config["config"]);
  for (const auto& child : recording_.model.tree->children) {
    WrittenLayer written{child->name, {}};
    EW_TRY_VOID(add_weights(written, *child));
    out_.layers.push_back(std::move(written));
  }
  return std::move(out_);
}

Result<WrittenModel> ModelWriter::run() {
  const ir::Architecture& architecture = model_.architecture;
  if (architecture.config.is_null()) {
    return unsupported("the model did not come from a Keras file, so it has no Keras layers");
  }
  EW_TRY(recording_, record_architecture(architecture.config, architecture.generation));
  for (const ir::ValueId id : model_.graph.parameters()) {
    stored_.emplace(model_.graph.value(id).info->store_path, id);
  }
  if (target_ == KerasVersion::kKeras2 && architecture.generation == ir::KerasGeneration::kKeras2) {
    return as_it_is();
  }
  note_differences();
  drop_masks(recording_);
  name_layers();
  const std::vector<size_t> order = keras_order(recording_);
  out_.config = Config::map();
  out_.config.set("class_name", recording_.is_chain ? "Sequential" : "Functional");
  out_.config.set("config", recording_.is_chain ? chain(order) : functional(order));
  for (const size_t i : order) {
    const RecordedLayer& layer = recording_.layers[i];
    // Keras does not list a Sequential's InputLayer among its layers.
    if (layer.node == nullptr && recording_.is_chain) continue;
    WrittenLayer written{names_[i], {}};
    if (layer.node != nullptr) EW_TRY_VOID(add_weights(written, *layer.node));
    out_.layers.push_back(std::move(written));
  }
  if (target_ == KerasVersion::kBoth && architecture.generation == ir::KerasGeneration::kKeras2 &&
      !out_.portability.only_keras2.empty()) {
    WrittenModel translated = std::exchange(out_, {});
    out_.portability = std::move(translated.portability);
    return as_it_is();
  }
  return std::move(out_);
}

}  // namespace

Result<WrittenModel> written_model(const ir::Model& model, KerasVersion target) {
  return ModelWriter(model, target).run();
}

}  // namespace ew::formats
