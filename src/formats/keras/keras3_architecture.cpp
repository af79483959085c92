#include "formats/keras/keras3_architecture.h"

#include <string_view>

#include "formats/keras/importer.h"
#include "formats/keras/operation.h"
#include "formats/keras/written_model.h"

namespace ew::formats {
namespace {

// Where Keras 3 keeps the operations that stand in models as layers; those not named here are in
// keras.src.ops.numpy.
constexpr std::string_view kMath[] = {"TopK", "Logsumexp", "Rsqrt", "Erf",  "Erfc",
                                      "FFT",  "RFFT",      "STFT",  "FFT2", "Logdet"};
constexpr std::string_view kNn[] = {
    "AveragePool",   "BatchNorm",    "Celu",          "Conv",
    "ConvTranspose", "DepthToSpace", "DepthwiseConv", "DotProductAttention",
    "Elu",           "Gelu",         "Glu",           "HardShrink",
    "HardSigmoid",   "HardSilu",     "HardTanh",      "LayerNorm",
    "LeakyRelu",     "LogSigmoid",   "LogSoftmax",    "MaxPool",
    "Moments",       "Normalize",    "OneHot",        "RMSNorm",
    "Relu",          "Relu6",        "Selu",          "SeparableConv",
    "Sigmoid",       "Silu",         "SoftShrink",    "Softmax",
    "Softplus",      "Softsign",     "SpaceToDepth",  "SparsePlus",
    "SparseSigmoid", "Sparsemax",    "Squareplus",    "TanhShrink",
    "Threshold"};
constexpr std::string_view kCore[] = {"Slice",   "SliceUpdate",  "Cast",    "SaturateCast",
                                      "Unstack", "StopGradient", "Scatter", "ScatterUpdate"};
constexpr std::string_view kLinalg[] = {"Norm", "Det", "Inv", "Solve", "Cholesky"};
constexpr std::string_view kImage[] = {"Resize",   "PadImages",      "CropImages",
                                       "RGBToHSV", "RGBToGrayscale", "HSVToRGB"};

template <typename List>
bool contains(const List& list, std::string_view word) {
  for (const std::string_view item : list) {
    if (item == word) return true;
  }
  return false;
}

std::string module_of(const Config& layer) {
  const std::string& name = layer["class_name"].as_string();
  if (is_sequential(layer)) return "keras";
  if (is_functional(layer)) return "keras.src.models.functional";
  // Operations cannot be frozen: the config of a layer says "trainable", with few exceptions.
  if (layer["config"].has("trainable") || find_operation(name) == nullptr) return "keras.layers";
  if (contains(kMath, name)) return "keras.src.ops.math";
  if (contains(kNn, name)) return "keras.src.ops.nn";
  if (contains(kCore, name)) return "keras.src.ops.core";
  if (contains(kLinalg, name)) return "keras.src.ops.linalg";
  if (contains(kImage, name)) return "keras.src.ops.image";
  return "keras.src.ops.numpy";
}

// An `.h5` leaves out where classes live; `.keras` needs it.
Config with_modules(const Config& layer) {
  Config out = Config::map();
  out.set("module", layer["module"].is_string() ? layer["module"] : Config(module_of(layer)));
  for (const auto& [key, value] : layer.as_map()) {
    if (key != "module") out.set(key, value);
  }
  // The class and the name under which Keras registers it differ.
  if (layer["class_name"].as_string() == "GroupedQueryAttention") {
    out.set("class_name", "GroupQueryAttention");
  }
  Config config = layer["config"];
  if (layer["class_name"].as_string() == "InputLayer" && config.has("batch_input_shape")) {
    config.set("batch_shape", config["batch_input_shape"]);
    config.erase("batch_input_shape");
  }
  if (config["layers"].is_list()) {
    Config layers = Config::list();
    for (const Config& inner : config["layers"].as_list()) layers.push_back(with_modules(inner));
    config.set("layers", std::move(layers));
  }
  out.set("config", std::move(config));
  if (!out.has("registered_name")) {
    const bool is_model = is_functional(layer) && !is_sequential(layer);
    out.set("registered_name", is_model ? Config("Functional") : Config());
  }
  return out;
}

Status match_by_path(const ir::Graph& graph, Keras3Architecture& out) {
  std::map<std::string, ir::ValueId> stored;
  for (const ir::ValueId id : graph.parameters()) {
    stored.emplace(graph.value(id).info->store_path, id);
  }
  for (const ir::ValueId zero : out.model.graph.parameters()) {
    const ir::Value& wanted = out.model.graph.value(zero);
    const auto found = stored.find(wanted.info->store_path);
    if (found == stored.end() || graph.type(found->second).shape != wanted.type.shape) {
      return invalid_data("weight '", wanted.name, "' ", wanted.type.shape,
                          " of the architecture is not in the graph");
    }
    out.stored.emplace(zero, found->second);
  }
  return {};
}

Status match_by_order(const WrittenModel& written, Keras3Architecture& out) {
  std::map<std::string, const LayerNode*> layers;
  for (const auto& child : out.model.tree->children) layers.emplace(child->name, child.get());
  for (const WrittenLayer& layer : written.layers) {
    if (layer.weights.empty()) continue;
    const std::vector<ir::ValueId> zeros = layers.at(layer.name)->file_order();
    if (zeros.size() != layer.weights.size()) {
      return make_error(ErrorCode::kInternal, "layer '", layer.name, "': ", zeros.size(),
                        " weights, ", layer.weights.size(), " written");
    }
    for (size_t i = 0; i < zeros.size(); ++i) {
      out.stored.emplace(zeros[i], layer.weights[i].value);
    }
  }
  return {};
}

}  // namespace

Result<Keras3Architecture> keras3_architecture(const ir::Model& model) {
  Keras3Architecture out;
  const ir::Architecture& own = model.architecture;
  if (own.config.is_null()) {
    return unsupported("the model did not come from a Keras file, so it has no Keras layers");
  }
  const auto keras3 = ir::KerasGeneration::kKeras3;
  if (own.generation == keras3) {
    out.config = with_modules(own.config);
    EW_TRY(out.model, import_architecture(out.config, keras3));
    EW_TRY_VOID(match_by_path(model.graph, out));
    return out;
  }
  EW_TRY(const WrittenModel written, written_model(model, KerasVersion::kKeras3));
  out.config = with_modules(written.config);
  out.renamed = written.renamed;
  if (!written.portability.only_keras2.empty()) {
    out.notes.push_back(
        str("Only Keras 2 opens this model: ", join(written.portability.only_keras2, ", "), "."));
  }
  EW_TRY(out.model, import_architecture(out.config, keras3));
  EW_TRY_VOID(match_by_order(written, out));
  return out;
}

}  // namespace ew::formats
