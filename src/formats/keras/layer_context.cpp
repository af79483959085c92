#include "formats/keras/layer_context.h"

namespace ew::formats {

ValueId ImportContext::raw_weight(const std::string& weight_name, const Shape& shape,
                                  const WeightOptions& options) {
  if (!b.ok()) return kNoValue;
  Result<ValueId> value = importer_.weight(node_.part(options.sublayer), config, variable_dtype,
                                           weight_name, shape, options);
  if (!value.ok()) {
    fail(value.error());
    return kNoValue;
  }
  return *value;
}

ValueId ImportContext::weight(const std::string& weight_name, const Shape& shape,
                              const WeightOptions& options) {
  const ValueId value = raw_weight(weight_name, shape, options);
  if (value == kNoValue || b.type(value).dtype == compute_dtype) return value;
  return b.add(ops::kCast, {value}, {{"to", std::string(dtype_name(compute_dtype))}});
}

std::vector<KerasTensor> ImportContext::call_layer(const Config& layer, const std::string& sublayer,
                                                   std::vector<KerasTensor> on) {
  if (!b.ok()) return {};
  LayerNode& part = node_.part(sublayer);
  part.class_name = layer["class_name"].as_string();
  if (layer["config"]["name"].is_string()) part.name = layer["config"]["name"].as_string();
  const std::string origin = b.origin();
  CallArguments arguments;
  arguments.inputs.assign(on.begin(), on.end());
  Result<std::vector<TrackedTensor>> outputs = importer_.call(layer, part, std::move(arguments));
  b.set_origin(origin);
  if (!outputs.ok()) return fail(outputs.error());
  return {outputs->begin(), outputs->end()};
}

ValueId ImportContext::activation(ValueId x, const Config& activation) {
  if (!b.ok() || activation.is_null()) return x;
  if (activation.is_string()) {
    const std::string& wanted = activation.as_string();
    if (const KerasActivation* known = find_keras_activation(wanted)) {
      return known->build(b, x, generation);
    }
    fail(unsupported("unknown activation '", wanted, "'"));
    return kNoValue;
  }
  const std::string& kind = activation["class_name"].as_string();
  // A function: {"class_name": "function", "config": "relu"}.
  if (kind == "function") return this->activation(x, activation["config"]);
  // A layer used as an activation: {"class_name": "LeakyReLU", "config": {...}}.
  if (find_keras_layer(kind) == nullptr) {
    if (const KerasActivation* known = find_keras_activation(kind)) {
      return known->build(b, x, generation);
    }
    fail(unsupported("unknown activation '", kind, "'"));
    return kNoValue;
  }
  const std::vector<KerasTensor> outputs = call_layer(activation, "activation", {{x, kNoValue}});
  if (outputs.size() == 1) return outputs[0].value;
  fail(invalid_data("activation '", kind, "' does not give one tensor"));
  return kNoValue;
}

}  // namespace ew::formats
