// Keras Bidirectional: a recurrent layer run from both ends, the results merged step by step.
#include "formats/keras/lowering.h"

namespace ew::ops {
namespace {

using formats::KerasTensor;
using formats::LayerContext;

// The layer that runs from the end. Keras 2 writes it only if it is not the mirrored forward one.
Config backward_layer(const Config& config) {
  if (config["backward_layer"].is_map()) return config["backward_layer"];
  Config layer = config["layer"];
  Config inner = layer["config"];
  inner.set("go_backwards", !inner["go_backwards"].as_bool());
  inner.set("name", "backward_" + inner["name"].as_string());
  layer.set("config", std::move(inner));
  return layer;
}

ValueId merge(LayerContext& c, ValueId x, ValueId y, const std::string& mode) {
  if (mode == "concat") return c.b.add(kConcat, {x, y});
  if (mode == "mul") return c.b.add(kMul, {x, y});
  const ValueId sum = c.b.add(kAdd, {x, y});
  if (mode == "sum") return sum;
  if (mode == "ave") return c.b.add(kMul, {sum, c.b.scalar(0.5, c.b.type(sum).dtype)});
  return c.b.fail(invalid_data("unknown merge_mode '", mode, "'"));
}

std::vector<KerasTensor> bidirectional(LayerContext& c) {
  if (c.inputs.empty()) return c.fail(invalid_data("expected an input"));
  std::vector<KerasTensor> states = formats::keyword_tensors(c, "initial_state");
  if (states.empty()) states.assign(c.inputs.begin() + 1, c.inputs.end());
  if (states.size() % 2 != 0) return c.fail(invalid_data("expected an even number of states"));
  const auto half = static_cast<std::ptrdiff_t>(states.size() / 2);
  const KerasTensor x{c.inputs[0].value, formats::input_mask(c)};
  const auto run = [&](Config layer, const char* sublayer, const char* prefix, auto from, auto to) {
    Config inner = layer["config"];
    const std::string name = inner["name"].as_string();
    if (!name.starts_with(prefix)) inner.set("name", prefix + name);
    if (c.generation == ir::KerasGeneration::kKeras2) {
      // Keras 2 zeroes masked steps of both directions whenever it returns sequences.
      inner.set("zero_output_for_mask", inner["return_sequences"].as_bool());
    }
    layer.set("config", std::move(inner));
    std::vector<KerasTensor> on = {x};
    on.insert(on.end(), from, to);
    return c.call_layer(layer, sublayer, std::move(on));
  };
  const Config& layer = c.config["layer"];
  const std::vector<KerasTensor> forward =
      run(layer, "forward_layer", "forward_", states.begin(), states.begin() + half);
  const std::vector<KerasTensor> backward = run(backward_layer(c.config), "backward_layer",
                                                "backward_", states.begin() + half, states.end());
  if (!c.b.ok()) return {};
  if (forward.empty() || forward.size() != backward.size()) {
    return c.fail(invalid_data("both directions must give the same number of tensors"));
  }
  ValueId y = backward[0].value;
  const bool is_sequence = layer["config"]["return_sequences"].as_bool();
  const bool is_time_major = layer["config"]["time_major"].as_bool();
  // The backward layer gives the last step first.
  if (is_sequence) y = formats::reverse(c.b, y, is_time_major ? 0 : 1);
  const ValueId mask = is_sequence ? x.mask : kNoValue;
  std::vector<KerasTensor> out;
  const Config& mode = c.config["merge_mode"];
  if (mode.is_null() && c.config.has("merge_mode")) {
    out = {{forward[0].value, mask}, {y, mask}};
  } else {
    const std::string name = mode.is_null() ? "concat" : mode.as_string();
    out = {{merge(c, forward[0].value, y, name), mask}};
  }
  for (size_t i = 1; i < forward.size(); ++i) out.push_back({forward[i].value, kNoValue});
  for (size_t i = 1; i < backward.size(); ++i) out.push_back({backward[i].value, kNoValue});
  return out;
}

const formats::KerasLayer kLayers[] = {{"Bidirectional", bidirectional}};

}  // namespace

extern const formats::OpIo bidirectional_io{.keras_layers = kLayers};

}  // namespace ew::ops
