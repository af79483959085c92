#include "formats/keras/write_h5.h"

#include <algorithm>
#include <map>

#include "formats/h5_writer.h"
#include "formats/json.h"
#include "formats/keras/quantization.h"
#include "formats/keras/tensor_value.h"
#include "formats/keras/training_words.h"
#include "formats/keras/written_model.h"

namespace ew::formats {
namespace {

// HDF5 keeps attributes in object headers of 64 KB; Keras cuts lists of names by their size as
// numpy text: 4 bytes for each character of the longest name.
constexpr size_t kHeaderLimit = 64512;

size_t characters(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0u) != 0x80;
  }));
}

void set_names(H5Group& group, const std::string& attribute,
               const std::vector<std::string>& names) {
  size_t longest = 1;
  for (const std::string& name : names) longest = std::max(longest, characters(name));
  const auto fits = [&](size_t count) { return 4 * longest * count <= kHeaderLimit; };
  if (fits(names.size())) {
    group.set_attribute(attribute, H5Value::string_list(names));
    return;
  }
  // As numpy.array_split: the first (size mod parts) parts are one longer.
  size_t parts = 1;
  while (parts < names.size() && !fits((names.size() + parts - 1) / parts)) ++parts;
  size_t next = 0;
  for (size_t part = 0; part < parts; ++part) {
    const size_t count = names.size() / parts + (part < names.size() % parts ? 1 : 0);
    const auto begin = names.begin() + static_cast<std::ptrdiff_t>(next);
    group.set_attribute(str(attribute, part),
                        H5Value::string_list({begin, begin + static_cast<std::ptrdiff_t>(count)}));
    next += count;
  }
}

void add_weights(H5Group& root, const ir::Model& model, const WrittenModel& written) {
  H5Group& weights = root.make_group("model_weights");
  weights.set_attribute("backend", H5Value::string("tensorflow"));
  std::vector<std::string> layer_names;
  for (const WrittenLayer& layer : written.layers) {
    layer_names.push_back(layer.name);
    H5Group& group = weights.make_group(layer.name);
    std::vector<std::string> names;
    for (const WrittenWeight& weight : layer.weights) {
      names.push_back(weight.path + ":0");
      group.set_dataset(names.back(), tensor_value(model.graph.value(weight.value).data));
    }
    set_names(group, "weight_names", names);
  }
  H5Group& top = weights.make_group("top_level_model_weights");
  top.set_attribute("weight_names", H5Value::string_list({}));
  set_names(weights, "layer_names", layer_names);
}

Status add_slots(H5Group& root, const ir::Model& model, const WrittenModel& written,
                 SlotOrder order) {
  const ir::CompiledState& state = *model.compiled;
  std::map<ir::ValueId, size_t> index;  // among the graph's trainable parameters
  for (const ir::ValueId id : model.graph.parameters()) {
    if (model.graph.value(id).info->is_trainable) index.emplace(id, index.size());
  }
  std::vector<SlotParameter> parameters;
  std::vector<size_t> place;  // of the file's parameter in the graph's order
  for (const WrittenLayer& layer : written.layers) {
    for (const WrittenWeight& weight : layer.weights) {
      const auto found = index.find(weight.value);
      if (found == index.end()) continue;
      parameters.push_back({weight.path, model.graph.type(weight.value).shape});
      place.push_back(found->second);
    }
  }
  EW_TRY(const std::vector<SlotEntry> entries, slot_entries(state.optimizer, order, parameters));
  EW_TRY(const std::vector<ir::Tensor> values, slot_values(state, entries, place));
  H5Group& group = root.make_group("optimizer_weights");
  std::vector<std::string> names;
  for (size_t i = 0; i < entries.size(); ++i) {
    names.push_back(entries[i].name);
    group.set_dataset(names.back(), tensor_value(values[i]));
  }
  set_names(group, "weight_names", names);
  return {};
}

void add_portability_notes(const WrittenModel& written, KerasVersion target, SaveReport& report) {
  const auto note = [&](const std::vector<std::string>& reasons, const char* only) {
    if (reasons.empty()) return;
    report.notes.push_back(str("Only ", only, " opens this file: ", join(reasons, ", "), "."));
  };
  if (!written.portability.neither.empty()) {
    report.notes.push_back(str("Neither Keras opens this .h5, a .keras file works: ",
                               join(written.portability.neither, ", "), "."));
    return;
  }
  if (target != KerasVersion::kKeras3) note(written.portability.only_keras3, "Keras 3");
  if (target != KerasVersion::kKeras2) note(written.portability.only_keras2, "Keras 2");
}

bool mentions(const Config& value, std::string_view word) {
  if (value.is_string()) return value.as_string() == word;
  const auto in = [&](const Config& item) { return mentions(item, word); };
  if (value.is_list()) return std::any_of(value.as_list().begin(), value.as_list().end(), in);
  return std::any_of(value.as_map().begin(), value.as_map().end(),
                     [&](const auto& entry) { return in(entry.second); });
}

std::string version_text(const ir::Architecture& architecture) {
  if (!architecture.version.empty()) return architecture.version;
  return architecture.generation == ir::KerasGeneration::kKeras3 ? "3.0.0" : "2.15.0";
}

}  // namespace

Result<SaveReport> write_keras_h5(const ir::Model& model, const std::string& path,
                                  const SaveOptions& options) {
  SaveReport report;
  EW_TRY(const WrittenModel written, written_model(model, options.keras_version));
  add_portability_notes(written, options.keras_version, report);
  if (mentions(written.config, "hard_sigmoid")) {
    report.notes.push_back(
        str("hard_sigmoid differs between the Keras generations; the model was "
            "computed with the rule of Keras ",
            static_cast<int>(model.architecture.generation), "."));
  }
  H5Group root;
  const H5Value version = H5Value::string(version_text(model.architecture));
  root.set_attribute("keras_version", version);
  root.set_attribute("backend", H5Value::string("tensorflow"));
  root.set_attribute("model_config", H5Value::string(to_json(written.config)));
  add_weights(root, model, written);
  root.make_group("model_weights").set_attribute("keras_version", version);
  if (model.compiled && options.include_optimizer) {
    const WrittenTraining training =
        h5_training(*model.compiled, options.keras_version, model.architecture.generation);
    root.set_attribute("training_config", H5Value::string(to_json(training.config)));
    if (training.slots) EW_TRY_VOID(add_slots(root, model, written, *training.slots));
    report.notes.insert(report.notes.end(), training.notes.begin(), training.notes.end());
  }
  if (model.quantization) {
    const ir::QuantizationRecord record = renamed(*model.quantization, written.renamed);
    root.set_attribute(kQuantizationAttribute,
                       H5Value::string(to_json(quantization_to_config(record))));
  }
  if (model.compiled && options.include_optimizer && !model.compiled->progress.is_null()) {
    root.set_attribute(kProgressAttribute, H5Value::string(to_json(model.compiled->progress)));
  }
  H5WriteOptions write;
  write.gzip_level = options.compress ? 9 : 0;
  EW_TRY_VOID(write_h5(path, root, write));
  return report;
}

}  // namespace ew::formats
