#include "formats/keras/import.h"

#include <algorithm>

#include "formats/keras/importer.h"

namespace ew::formats {
namespace {

// Weights get the positions that follow from the layers' order, which is the order of Keras'
// model.weights, whatever the order of the first calls was. Returns them in that order. Other
// parameters (recurrent state, which no file holds) stay where they are.
std::vector<ir::ValueId> order_parameters(ir::Graph& graph, const LayerNode& tree) {
  const std::vector<ir::ValueId> wanted = tree.all_weights();
  std::vector<ir::ValueId> places = wanted;
  std::sort(places.begin(), places.end());
  if (wanted == places) return places;
  std::vector<ir::ValueId> moved(graph.values.size());
  for (size_t i = 0; i < moved.size(); ++i) moved[i] = static_cast<ir::ValueId>(i);
  std::vector<ir::Value> values = graph.values;
  for (size_t i = 0; i < wanted.size(); ++i) {
    moved[static_cast<size_t>(wanted[i])] = places[i];
    graph.value(places[i]) = std::move(values[static_cast<size_t>(wanted[i])]);
  }
  const auto move_all = [&](std::vector<ir::ValueId>& ids) {
    for (ir::ValueId& id : ids) {
      if (id != ir::kNoValue) id = moved[static_cast<size_t>(id)];
    }
  };
  for (ir::Node& node : graph.nodes) move_all(node.inputs);
  for (ir::Update& update : graph.updates) {
    update.parameter = moved[static_cast<size_t>(update.parameter)];
    update.value = moved[static_cast<size_t>(update.value)];
  }
  move_all(graph.outputs);
  return places;
}

void renumber(LayerNode& node, const std::vector<ir::ValueId>& ordered, size_t& next) {
  // all_weights() lists own weights trainable first, then the children's.
  for (const bool trainable : {true, false}) {
    for (LayerNode::Weight& weight : node.weights) {
      if (weight.is_trainable == trainable) weight.value = ordered[next++];
    }
  }
  for (auto& child : node.children) renumber(*child, ordered, next);
}

void set_store_paths(ir::Graph& graph, const LayerNode& node) {
  const std::vector<const LayerNode::Weight*> stored = node.stored_weights();
  for (size_t i = 0; i < stored.size(); ++i) {
    ir::Value& value = graph.value(stored[i]->value);
    ir::ParameterInfo info = *value.info;
    info.store_path = str(node.store_path, "/vars/", i);
    value.info = std::make_shared<const ir::ParameterInfo>(std::move(info));
  }
  for (const auto& child : node.children) set_store_paths(graph, *child);
}

Result<ImportedModel> import_with(const Config& model, ir::KerasGeneration generation,
                                  const ImportLimits& limits, Recording* recording) {
  ImportedModel out;
  out.tree = std::make_unique<LayerNode>();
  const Config& name = model["config"]["name"];
  out.tree->name = name.is_string() ? name.as_string() : "model";
  out.tree->class_name = model["class_name"].as_string();
  Importer importer(out.graph, generation, limits);
  importer.recording = recording;
  EW_TRY_VOID(importer.import_model(model, *out.tree));
  const std::vector<ir::ValueId> ordered = order_parameters(out.graph, *out.tree);
  size_t next = 0;
  renumber(*out.tree, ordered, next);
  set_store_paths(out.graph, *out.tree);
  EW_TRY_VOID(ir::verify(out.graph, ir::Stage::kImported));
  return out;
}

}  // namespace

Status Importer::import_model(const Config& model, LayerNode& root) {
  if (!model["class_name"].is_string() || !(is_sequential(model) || is_functional(model))) {
    return unsupported("expected a Sequential or Functional model, found class '",
                       model["class_name"].as_string(), "'");
  }
  EW_TRY(const Tensors outputs, call_model(model, root, nullptr));
  ir::Graph& graph = builder.graph();
  for (size_t i = 0; i < outputs.size(); ++i) {
    graph.outputs.push_back(outputs[i].value);
    graph.output_masks.push_back(outputs[i].mask);
    if (recording != nullptr) {
      recording->outputs.push_back(origins_[static_cast<size_t>(outputs[i].origin)]);
    }
    ir::Value& value = graph.value(outputs[i].value);
    const bool is_named = i < output_names_.size() && !output_names_[i].empty();
    if (is_named && value.kind == ir::ValueKind::kComputed) value.name = output_names_[i];
  }
  return {};
}

Result<ImportedModel> import_architecture(const Config& model, ir::KerasGeneration generation,
                                          const ImportLimits& limits) {
  return import_with(model, generation, limits, nullptr);
}

Result<Recording> record_architecture(const Config& model, ir::KerasGeneration generation) {
  Recording recording;
  EW_TRY(recording.model, import_with(model, generation, {}, &recording));
  recording.name = recording.model.tree->name;
  return recording;
}

// Recording: a tensor's origin is an index into origins_.
void Importer::record_input(const std::string& name, TrackedTensor& input) {
  if (recording == nullptr || !builder.ok()) return;
  const ir::TensorType& type = builder.type(input.value);
  Config shape = Config::list();
  for (const int64_t dim : type.shape) shape.push_back(dim == kUnknown ? Config() : Config(dim));
  Config config = Config::map();
  config.set("batch_input_shape", std::move(shape));
  config.set("dtype", dtype_name(type.dtype));
  config.set("sparse", false);
  config.set("ragged", false);
  config.set("name", name);
  Config entry = Config::map();
  entry.set("class_name", "InputLayer");
  entry.set("config", std::move(config));
  const RecordedTensor tensor{recording->layers.size(), 0, 0};
  RecordedCall call;
  call.outputs = {type};
  recording->layers.push_back({name, "InputLayer", std::move(entry), nullptr, {std::move(call)}});
  recording->inputs.push_back(tensor);
  input.origin = static_cast<int>(origins_.size());
  origins_.push_back(tensor);
}

void Importer::record_call(const Config& layer, const LayerNode& node,
                           const CallArguments& arguments, Tensors& outputs) {
  if (recording == nullptr || inside_layer_ > 0) return;
  const auto [known, is_new] = recorded_.emplace(&node, recording->layers.size());
  if (is_new) recording->layers.push_back({node.path, node.class_name, layer, &node, {}});
  RecordedLayer& recorded = recording->layers[known->second];
  RecordedCall call{arguments.args, arguments.kwargs, {}, {}, {}};
  for (const TrackedTensor& input : arguments.inputs) call.masks.push_back(input.mask);
  for (const int origin : arguments.origins) {
    call.refs.push_back(origins_[static_cast<size_t>(origin)]);
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    outputs[i].origin = static_cast<int>(origins_.size());
    origins_.push_back({known->second, recorded.calls.size(), i});
    call.outputs.push_back(builder.type(outputs[i].value));
  }
  recorded.calls.push_back(std::move(call));
}

}  // namespace ew::formats
