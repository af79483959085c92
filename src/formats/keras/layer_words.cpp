#include "formats/keras/layer_words.h"

#include <algorithm>
#include <string_view>

#include "formats/json.h"

namespace ew::formats {
namespace {

// A key of get_config() that one generation alone has (compared by running both: TensorFlow 2.21,
// Keras 3.15, tf-keras 2.21). With the value `harmless` (JSON, or "*" for any) it can be left out.
// Generation 0: both take it, but the harmless value is better left out.
struct KeyRule {
  std::string_view classes;  // separated by blanks; a trailing * matches any ending; "" for all
  std::string_view key;
  int generation;
  std::string_view harmless;
};

constexpr KeyRule kRules[] = {
    {"", "quantization_config", 3, "null"},
    {"", "autocast", 3, "true"},
    {"LayerNormalization", "rms_scaling", 3, "false"},
    {"BatchNormalization", "renorm", 3, "false"},
    {"BatchNormalization", "renorm_clipping", 3, "null"},
    {"BatchNormalization", "renorm_momentum", 3, "*"},
    {"MultiHeadAttention", "use_gate", 3, "false"},
    {"MultiHeadAttention", "sliding_window", 3, "null"},
    {"MultiHeadAttention", "flash_attention", 3, "*"},
    {"AdditiveAttention Attention ConvLSTM* GRU* LSTM* SimpleRNN* MultiHeadAttention", "seed", 3,
     "*"},
    {"RNN SimpleRNN LSTM GRU ConvLSTM*", "zero_output_for_mask", 0, "false"},
    {"CenterCrop Random* Resizing SpatialDropout* ZeroPadding1D", "data_format", 3,
     "\"channels_last\""},
    {"Resizing", "pad_to_aspect_ratio", 3, "false"},
    {"Resizing", "fill_mode", 3, "*"},
    {"Resizing", "fill_value", 3, "*"},
    {"Resizing", "antialias", 3, "false"},
    {"RandomContrast", "value_range", 3, "*"},
    {"AlphaDropout", "noise_shape", 3, "null"},
    {"Attention", "score_mode", 0, "\"dot\""},
    {"Conv3DTranspose", "dilation_rate", 3, "[1, 1, 1]"},
    {"RNN SimpleRNN LSTM GRU ConvLSTM*", "time_major", 2, "false"},
    {"Conv1DTranspose Conv2DTranspose Conv3DTranspose Depthwise* Separable*", "groups", 2, "1"},
    {"SeparableConv*", "kernel_initializer", 2, "*"},
    {"SeparableConv*", "kernel_regularizer", 2, "*"},
    {"SeparableConv*", "kernel_constraint", 2, "*"},
    {"Random*", "rng_type", 2, "*"},
    {"SpatialDropout*", "trainable", 2, "*"},
    {"SpatialDropout*", "noise_shape", 2, "*"},
    {"Discretization", "trainable", 2, "*"},
    {"CategoryEncoding", "sparse", 2, "false"},
    {"MultiHeadAttention", "query_shape", 2, "*"},
    {"MultiHeadAttention", "key_shape", 2, "*"},
    {"MultiHeadAttention", "value_shape", 2, "*"},
    {"MultiHeadAttention", "softmax_robust_masking", 2, "false"},
    {"", "batch_input_shape", 2, "*"},
    {"", "input_length", 2, "*"},
    {"", "activity_regularizer", 2, "null"},
};

constexpr std::string_view kKeras3Activations[] = {
    "celu",      "glu",         "hard_shrink", "hard_silu",   "hard_swish",
    "hard_tanh", "log_sigmoid", "soft_shrink", "sparse_plus", "sparse_sigmoid",
    "sparsemax", "squareplus",  "tanh_shrink", "threshold"};

// RandomCrop is in both, but they cut another window when nothing is trained.
constexpr std::string_view kKeras3Layers[] = {"RMSNormalization", "GroupQueryAttention",
                                              "GroupedQueryAttention", "MelSpectrogram",
                                              "RandomCrop"};
constexpr std::string_view kKeras2Layers[] = {
    "ThresholdedReLU", "LocallyConnected1D", "LocallyConnected2D", "TFOpLambda", "SlicingOpLambda"};

bool matches(std::string_view classes, std::string_view class_name) {
  if (classes.empty()) return true;
  for (const std::string& pattern : split(classes, ' ')) {
    if (pattern == class_name) return true;
    const std::string_view stem = std::string_view(pattern).substr(0, pattern.size() - 1);
    if (pattern.ends_with('*') && class_name.starts_with(stem)) return true;
  }
  return false;
}

const KeyRule* find_rule(const std::string& class_name, const std::string& key) {
  if (class_name == "InputLayer") return nullptr;
  for (const KeyRule& rule : kRules) {
    if (rule.key == key && matches(rule.classes, class_name)) return &rule;
  }
  return nullptr;
}

bool is_above_one(const Config& sizes) {
  if (!sizes.is_list()) return sizes.is_int() && sizes.as_int() > 1;
  const Config::List& list = sizes.as_list();
  return std::any_of(list.begin(), list.end(), is_above_one);
}

template <typename List>
bool contains(const List& list, std::string_view word) {
  return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

class Rewriter {
 public:
  Rewriter(KerasVersion target, const std::string& layer, Portability& portability)
      : target_(target), layer_(layer), portability_(portability) {}

  Config layer_config(const std::string& class_name, const Config& config) {
    note_class(class_name);
    if (config["axis"].as_list().size() > 1) {
      note(2, class_name + " over several axes, which Keras 3 misreads in an .h5");
    }
    if (class_name.starts_with("Depthwise") && is_above_one(config["strides"]) &&
        is_above_one(config["dilation_rate"])) {
      note(3, str("strides and dilation together in layer '", layer_, "'"));
    }
    if (config["layers"].is_list()) return model_config(config);
    Config out = Config::map();
    for (const auto& [key, value] : config.as_map()) {
      if (!keep(class_name, key, value)) continue;
      if (key == "dtype") {
        out.set(key, value.is_map() ? value["config"]["name"] : value);
      } else if (class_name == "LeakyReLU" && key == "negative_slope") {
        out.set("alpha", value);
      } else if (key == "axis" && class_name.ends_with("Normalization") &&
                 value.as_list().size() == 1) {
        out.set(key, value.as_list()[0]);  // Keras 2's [3]; Keras 3 wants 3 in a `.keras`
      } else {
        out.set(key, rewrite(key, value));
      }
    }
    return out;
  }

 private:
  // A model inside a wrapper (TimeDistributed), which the writer cannot unfold.
  Config model_config(const Config& config) {
    Config layers = Config::list();
    for (const Config& layer : config["layers"].as_list()) {
      const std::string& class_name = layer["class_name"].as_string();
      if (!layer["inbound_nodes"].as_list().empty()) {
        note(3, str("the functional model inside layer '", layer_, "'"));
      }
      Config written = layer;
      written.set("config", class_name == "InputLayer" ? input_config(layer["config"])
                                                       : layer_config(class_name, layer["config"]));
      layers.push_back(std::move(written));
    }
    Config out = Config::map();
    for (const char* key : {"name", "input_layers", "output_layers"}) {
      if (config.has(key)) out.set(key, config[key]);
    }
    out.set("layers", std::move(layers));
    return out;
  }

  static Config input_config(const Config& config) {
    Config out = Config::map();
    for (const char* key : {"name", "dtype", "sparse", "ragged"}) {
      if (config.has(key)) out.set(key, config[key]);
    }
    out.set("batch_input_shape",
            config.has("batch_shape") ? config["batch_shape"] : config["batch_input_shape"]);
    return out;
  }

  bool keep(const std::string& class_name, const std::string& key, const Config& value) {
    const KeyRule* rule = find_rule(class_name, key);
    if (rule == nullptr) return true;
    const bool is_wanted = (target_ == KerasVersion::kKeras2 && rule->generation == 2) ||
                           (target_ == KerasVersion::kKeras3 && rule->generation == 3);
    if (is_wanted && key != "activity_regularizer") return true;
    if (rule->harmless == "*" || to_json(value) == rule->harmless) return false;
    if (key != "activity_regularizer" && rule->generation != 0) {
      note(rule->generation, str("'", key, "' of layer '", layer_, "'"));
    }
    return true;
  }

  Config rewrite(const std::string& key, const Config& value) {
    if (value.is_list()) {
      Config out = Config::list();
      for (const Config& item : value.as_list()) out.push_back(rewrite(key, item));
      return out;
    }
    if (value.is_string() && key.ends_with("activation")) note_activation(value.as_string());
    if (!value.is_map()) return value;
    const std::string& class_name = value["class_name"].as_string();
    if (class_name == "function") return rewrite(key, value["config"]);
    if (class_name.empty()) return value;
    Config out = Config::map();
    // A wrapped layer, a cell, or a layer as an activation has a dtype or a name of its own.
    const bool is_layer = value["config"].has("name");
    out.set("module", value["module"].is_string() ? value["module"]
                                                  : Config(is_layer ? "keras.layers" : "keras"));
    out.set("class_name", class_name);
    if (is_layer) {
      out.set("config", layer_config(class_name, value["config"]));
    } else {
      Config config = value["config"];
      for (const char* axes : {"input_axes", "output_axes"}) config.erase(axes);
      out.set("config", std::move(config));
    }
    if (!value["module"].is_string() && !is_layer) out.erase("module");
    out.set("registered_name", Config());
    return out;
  }

  void note_class(const std::string& class_name) {
    if (contains(kKeras3Layers, class_name)) note(3, "layer class " + class_name);
    if (contains(kKeras2Layers, class_name)) note(2, "layer class " + class_name);
  }

  void note_activation(const std::string& name) {
    if (contains(kKeras3Activations, name)) note(3, "activation '" + name + "'");
  }

  void note(int generation, std::string what) {
    auto& list = generation == 2 ? portability_.only_keras2 : portability_.only_keras3;
    if (!contains(list, what)) list.push_back(std::move(what));
  }

  KerasVersion target_;
  const std::string& layer_;
  Portability& portability_;
};

}  // namespace

Config layer_words(const std::string& class_name, const Config& config, KerasVersion target,
                   const std::string& layer, Portability& portability) {
  return Rewriter(target, layer, portability).layer_config(class_name, config);
}

}  // namespace ew::formats
