// `.keras` of Keras 3: a ZIP with the configuration, and the weights as HDF5.
#include <map>

#include "base/file.h"
#include "formats/h5_writer.h"
#include "formats/json.h"
#include "formats/keras/keras3_architecture.h"
#include "formats/keras/quantization.h"
#include "formats/keras/tensor_value.h"
#include "formats/keras/training_words.h"
#include "formats/keras/write_h5.h"
#include "formats/zip.h"

namespace ew::formats {
namespace {

void add_weights(H5Group& group, const LayerNode& node, const StoredWeights& stored,
                 const ir::Graph& graph) {
  H5Group& vars = group.make_group("vars");
  vars.set_attribute("name", H5Value::string(node.name));
  const std::vector<const LayerNode::Weight*> weights = node.stored_weights();
  for (size_t i = 0; i < weights.size(); ++i) {
    const ir::ValueId id = stored.at(weights[i]->value);
    group.set_dataset(str("vars/", i), tensor_value(graph.value(id).data));
  }
  for (const auto& child : node.children) {
    const std::string name =
        child->store_path.substr(node.store_path.empty() ? 0 : node.store_path.size() + 1);
    add_weights(group.make_group(name), *child, stored, graph);
  }
}

Status add_optimizer(H5Group& root, const ir::Model& model, const Keras3Architecture& written) {
  const ir::CompiledState& state = *model.compiled;
  std::map<ir::ValueId, size_t> index;
  for (const ir::ValueId id : model.graph.parameters()) {
    if (model.graph.value(id).info->is_trainable) index.emplace(id, index.size());
  }
  std::vector<SlotParameter> parameters;
  std::vector<size_t> place;
  for (const ir::ValueId zero : written.model.tree->all_weights()) {
    const ir::ValueId id = written.stored.at(zero);
    const auto found = index.find(id);
    if (found == index.end()) continue;
    parameters.push_back({model.graph.value(id).name, model.graph.type(id).shape});
    place.push_back(found->second);
  }
  EW_TRY(const std::vector<SlotEntry> entries,
         slot_entries(state.optimizer, SlotOrder::kKeras3, parameters));
  EW_TRY(const std::vector<ir::Tensor> values, slot_values(state, entries, place));
  H5Group& optimizer = root.make_group("optimizer");
  optimizer.make_group("vars").set_attribute(
      "name", H5Value::string(state.optimizer["config"]["name"].as_string()));
  for (size_t i = 0; i < values.size(); ++i) {
    optimizer.set_dataset(str("vars/", i), tensor_value(values[i]));
  }
  return {};
}

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

Result<SaveReport> write_keras_zip(const ir::Model& model, const std::string& path,
                                   const SaveOptions& options) {
  SaveReport report;
  EW_TRY(Keras3Architecture written, keras3_architecture(model));
  report.notes = written.notes;
  H5Group root;
  add_weights(root, *written.model.tree, written.stored, model.graph);
  Config training = Config::map();
  if (model.compiled && options.include_optimizer) {
    WrittenTraining words = keras_training(*model.compiled);
    training = std::move(words.config);
    report.notes.insert(report.notes.end(), words.notes.begin(), words.notes.end());
    if (words.slots) EW_TRY_VOID(add_optimizer(root, model, written));
  }
  written.config.set("compile_config", std::move(training));
  if (model.quantization) {
    const ir::QuantizationRecord record = renamed(*model.quantization, written.renamed);
    root.set_attribute(kQuantizationAttribute,
                       H5Value::string(to_json(quantization_to_config(record))));
  }
  if (model.compiled && options.include_optimizer && !model.compiled->progress.is_null()) {
    root.set_attribute(kProgressAttribute, H5Value::string(to_json(model.compiled->progress)));
  }
  Config metadata = Config::map();
  const bool has_version = model.architecture.version.starts_with("3");
  metadata.set("keras_version", has_version ? model.architecture.version : "3.0.0");
  metadata.set("date_saved", "1980-01-01@00:00:00");
  const std::string metadata_text = to_json(metadata);
  const std::string config_text = to_json(written.config);
  H5WriteOptions write;
  write.gzip_level = options.compress ? 9 : 0;
  EW_TRY(const std::vector<uint8_t> weights, write_h5_bytes(root, write));
  const ZipInput members[] = {{"metadata.json", bytes_of(metadata_text)},
                              {"config.json", bytes_of(config_text)},
                              {"model.weights.h5", weights}};
  EW_TRY(const std::vector<uint8_t> zip, write_zip(members));
  EW_TRY_VOID(write_file_atomic(path, zip));
  return report;
}

}  // namespace ew::formats
