#include "formats/keras/keras_file.h"

#include "base/file.h"
#include "formats/h5_reader.h"
#include "formats/json.h"
#include "formats/keras/checkpoint.h"
#include "formats/keras/compiled.h"
#include "formats/keras/import.h"
#include "formats/keras/quantization.h"
#include "formats/keras/weights.h"
#include "formats/zip.h"

namespace ew::formats {
namespace {

using ir::KerasGeneration;

Result<Config> parse_json_bytes(std::span<const uint8_t> bytes) {
  return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// Without a version the spelling decides: Keras 3 names modules, and input shapes "batch_shape".
bool looks_like_keras3(const Config& model) {
  if (model.has("module") || model.has("registered_name")) return true;
  const Config& config = model["config"];
  if (!config["layers"].is_list()) return false;
  for (const Config& layer : config["layers"].as_list()) {
    if (layer["config"].has("batch_shape") || layer["config"]["dtype"].is_map()) return true;
  }
  return false;
}

KerasArchitecture architecture_of(Config config, std::string version) {
  KerasArchitecture out;
  if (version.empty()) version = config["keras_version"].as_string();
  const bool is_keras3 = version.empty() ? looks_like_keras3(config) : version.starts_with("3");
  out.generation = is_keras3 ? KerasGeneration::kKeras3 : KerasGeneration::kKeras2;
  out.config = std::move(config);
  out.version = std::move(version);
  return out;
}

std::string text_attribute(const H5Group& group, const char* name) {
  const H5Value* value = group.find_attribute(name);
  return value != nullptr && value->is_string && value->strings.size() == 1 ? value->strings[0]
                                                                            : "";
}

Result<KerasArchitecture> architecture_of_h5(const H5Group& root) {
  EW_TRY(const H5Value* attribute, root.attribute("model_config"));
  EW_TRY(const std::string text, attribute->as_string());
  Result<Config> config = parse_json(text);
  if (!config.ok()) return at("model_config", config.error());
  return architecture_of(std::move(*config), text_attribute(root, "keras_version"));
}

Result<KerasArchitecture> architecture_of_zip(const ZipView& zip) {
  EW_TRY(const std::vector<uint8_t> text, zip.read("config.json"));
  Result<Config> config = parse_json_bytes(text);
  if (!config.ok()) return at("config.json", config.error());
  std::string version;
  if (zip.find("metadata.json") != nullptr) {
    EW_TRY(const std::vector<uint8_t> metadata, zip.read("metadata.json"));
    Result<Config> parsed = parse_json_bytes(metadata);
    if (!parsed.ok()) return at("metadata.json", parsed.error());
    version = (*parsed)["keras_version"].as_string();
  }
  return architecture_of(std::move(*config), std::move(version));
}

bool is_store_layout(const H5Group& root) {
  return root.find_group("layers") != nullptr ||
         root.find_group("_layer_checkpoint_dependencies") != nullptr;
}

bool has_layer_names(const H5Group& group) {
  return group.find_attribute("layer_names") != nullptr ||
         group.find_attribute("layer_names0") != nullptr;
}

Result<ir::Model> build(KerasArchitecture architecture, const H5Group& weights) {
  ImportLimits limits;
  limits.max_elements = stored_elements(weights);
  EW_TRY(ImportedModel imported,
         import_architecture(architecture.config, architecture.generation, limits));
  if (is_store_layout(weights) && !has_layer_names(weights)) {
    EW_TRY_VOID(read_store_weights(imported.graph, *imported.tree, weights));
  } else {
    EW_TRY_VOID(read_h5_weights(imported.graph, *imported.tree, weights));
  }
  ir::Model model;
  model.graph = std::move(imported.graph);
  model.architecture.generation = architecture.generation;
  model.architecture.version = std::move(architecture.version);
  model.architecture.config = std::move(architecture.config);
  return model;
}

Status read_h5_training(const H5Group& root, ir::Model& model) {
  const std::string text = text_attribute(root, "training_config");
  if (text.empty()) return {};
  Result<Config> config = parse_json(text);
  if (!config.ok()) return at("training_config", config.error());
  EW_TRY(ir::CompiledState state, read_compiled(*config, model.graph.outputs.size()));
  if (const H5Group* slots = root.find_group("optimizer_weights")) {
    EW_TRY_VOID(read_h5_optimizer(*slots, model.graph, state));
  }
  EW_TRY_VOID(read_checkpoint(root, state));
  model.compiled = std::move(state);
  return {};
}

// What the writer keeps for itself in an attribute that Keras does not look at.
Status read_quantization(const H5Group& root, ir::Model& model) {
  const std::string text = text_attribute(root, kQuantizationAttribute);
  if (text.empty()) return {};
  Result<Config> config = parse_json(text);
  if (!config.ok()) return at(kQuantizationAttribute, config.error());
  Result<ir::QuantizationRecord> record = quantization_from_config(*config);
  if (!record.ok()) return at(kQuantizationAttribute, record.error());
  model.quantization = std::move(*record);
  return {};
}

Status read_progress(const H5Group& root, ir::Model& model) {
  const std::string text = text_attribute(root, kProgressAttribute);
  if (text.empty() || !model.compiled) return {};
  Result<Config> config = parse_json(text);
  if (!config.ok()) return at(kProgressAttribute, config.error());
  model.compiled->progress = std::move(*config);
  return {};
}

}  // namespace

Result<KerasArchitecture> read_architecture(const std::string& path) {
  EW_TRY(const std::vector<uint8_t> bytes, read_file(path));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  Result<KerasArchitecture> out = [&]() -> Result<KerasArchitecture> {
    if (text.starts_with("PK")) {
      EW_TRY(const ZipView zip, ZipView::open(bytes));
      return architecture_of_zip(zip);
    }
    if (text.starts_with("\x89HDF")) {
      EW_TRY(const H5Group root, read_h5(bytes, path));
      return architecture_of_h5(root);
    }
    EW_TRY(Config config, parse_json(text));
    return architecture_of(std::move(config), "");
  }();
  if (!out.ok() && !out.error().message.starts_with(path)) return at(path, out.error());
  return out;
}

Result<ir::Model> keras_model_of(const H5Group& root, const std::string& architecture) {
  if (root.find_attribute("model_config") != nullptr) {
    EW_TRY(KerasArchitecture own, architecture_of_h5(root));
    EW_TRY(const H5Group* weights, root.group("model_weights"));
    EW_TRY(ir::Model model, build(std::move(own), *weights));
    EW_TRY_VOID(read_h5_training(root, model));
    EW_TRY_VOID(read_progress(root, model));
    EW_TRY_VOID(read_quantization(root, model));
    return model;
  }
  const H5Group* weights = root.find_group("model_weights");
  if (weights == nullptr || !has_layer_names(*weights)) weights = &root;
  if (!has_layer_names(*weights) && !is_store_layout(*weights)) {
    return invalid_data("no Keras model: neither model_config nor weights of layers");
  }
  if (architecture.empty()) {
    return make_error(ErrorCode::kNotFound,
                      "holds only weights; name the architecture too (--architecture, a JSON file "
                      "or another model)");
  }
  EW_TRY(KerasArchitecture other, read_architecture(architecture));
  return build(std::move(other), *weights);
}

Result<ir::Model> read_keras_h5(const std::string& path, const std::string& architecture) {
  EW_TRY(const H5Group root, read_h5(path));
  Result<ir::Model> model = keras_model_of(root, architecture);
  if (!model.ok()) return at(path, model.error());
  return model;
}

Result<ir::Model> read_keras_zip(std::span<const uint8_t> bytes, const std::string& path,
                                 const H5ReadLimits& limits) {
  const auto read = [&]() -> Result<ir::Model> {
    EW_TRY(const ZipView zip, ZipView::open(bytes));
    EW_TRY(KerasArchitecture architecture, architecture_of_zip(zip));
    EW_TRY(const std::vector<uint8_t> packed, zip.read("model.weights.h5"));
    EW_TRY(const H5Group weights, read_h5(packed, "model.weights.h5", limits));
    EW_TRY(ir::Model model, build(std::move(architecture), weights));
    EW_TRY_VOID(read_quantization(weights, model));
    const Config& training = model.architecture.config["compile_config"];
    if (training["optimizer"].is_null()) return model;
    EW_TRY(ir::CompiledState state, read_compiled(training, model.graph.outputs.size()));
    EW_TRY_VOID(read_store_optimizer(weights, model.graph, model.architecture.generation, state));
    model.compiled = std::move(state);
    EW_TRY_VOID(read_progress(weights, model));
    return model;
  };
  Result<ir::Model> model = read();
  if (!model.ok()) return at(path, model.error());
  return model;
}

}  // namespace ew::formats
