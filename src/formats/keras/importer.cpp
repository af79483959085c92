#include "formats/keras/importer.h"

#include <algorithm>

#include "formats/keras/layer_context.h"
#include "formats/keras/names.h"
#include "formats/keras/operation.h"

namespace ew::formats {
namespace {

using Tensors = std::vector<TrackedTensor>;

// "Custom>Adam", "my_package>MyLayer": the class is behind the package.
std::string bare_class(const Config& layer) {
  const std::string& name = layer["class_name"].as_string();
  return name.substr(name.rfind('>') + 1);
}

// Layers cast their floating inputs to the dtype they compute in; integers stay (indices).
ValueId autocast(ir::Builder& b, ValueId value, DType to) {
  if (value == kNoValue) return value;
  const DType from = b.type(value).dtype;
  if (!is_floating(from) || !is_floating(to) || from == to) return value;
  return b.add(ops::kCast, {value}, {{"to", std::string(dtype_name(to))}});
}

// Lowering code names the layer in most of its errors; shared parts of it do not know the name.
Error naming(const LayerNode& node, const Error& error) {
  if (error.message.find(node.name) != std::string::npos) return error;
  return at(str("layer '", node.name, "'"), error);
}

// "mask" given by keyword replaces the masks that came along with the tensors.
void take_masks(CallArguments& arguments) {
  size_t next = 0;
  auto& keywords = arguments.keyword_tensors;
  for (const auto& [name, tensor] : keywords) {
    if (name == "mask" && next < arguments.inputs.size()) {
      arguments.inputs[next++].mask = tensor.value;
    }
  }
  std::erase_if(keywords, [](const auto& entry) { return entry.first == "mask"; });
}

}  // namespace

bool is_sequential(const Config& layer) { return bare_class(layer) == "Sequential"; }

bool is_functional(const Config& layer) {
  const std::string kind = bare_class(layer);
  if (kind == "Functional" || kind == "Model") return true;
  // A subclass of Model with a functional configuration.
  const Config& config = layer["config"];
  return config["layers"].is_list() && config.has("input_layers") && config.has("output_layers");
}

Result<std::string> layer_name(const Config& layer) {
  for (const Config* name : {&layer["config"]["name"], &layer["name"]}) {
    if (!name->is_string() || name->as_string().empty()) continue;
    EW_TRY_VOID(check_layer_name(name->as_string()));
    return name->as_string();
  }
  return invalid_data("a layer of class '", layer["class_name"].as_string(), "' has no name");
}

Status check_layer_name(const std::string& name) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; };
  const auto found = std::find_if(name.begin(), name.end(), is_control);
  if (found == name.end()) return {};
  return invalid_data("the name of a layer, '",
                      name.substr(0, static_cast<size_t>(found - name.begin())),
                      "...', goes on with the control character ",
                      static_cast<int>(static_cast<unsigned char>(*found)));
}

Status Importer::count_steps(int64_t steps) {
  steps_ += steps;
  if (steps_ <= limits_.max_steps) return {};
  return make_error(ErrorCode::kResourceLimit, "shared models unfold into more than ",
                    limits_.max_steps, " layers and references");
}

Status Importer::count_constants(size_t first) {
  const std::vector<ir::Value>& values = builder.graph().values;
  for (size_t i = first; i < values.size(); ++i) {
    if (values[i].kind == ir::ValueKind::kConstant) constant_elements_ += values[i].data.size();
  }
  if (constant_elements_ <= limits_.max_constants) return {};
  return make_error(ErrorCode::kResourceLimit, "constants of more than ", limits_.max_constants,
                    " elements");
}

Error Importer::unknown_class(const std::string& class_name, const std::string& name) const {
  if (class_name == "Lambda") {
    return unsupported("layer '", name,
                       "' is a Lambda: it holds Python code, which is never executed; replace it "
                       "by layers before saving");
  }
  std::vector<std::string> known = keras_layer_names();
  known.insert(known.end(), {"Functional", "InputLayer", "Sequential"});
  const std::string nearest = nearest_word(class_name, known);
  return unsupported("layer '", name, "': unknown class '", class_name, "'",
                     nearest.empty() ? "" : "; did you mean '" + nearest + "'?");
}

Result<Tensors> Importer::call(const Config& layer, LayerNode& node, CallArguments arguments) {
  if (++calls_ > limits_.max_calls) {
    return make_error(ErrorCode::kResourceLimit, "more than ", limits_.max_calls, " layer calls");
  }
  // Wrappers hold layers as models hold them, so both count towards the depth.
  if (depth_ >= limits_.max_depth) {
    return make_error(ErrorCode::kResourceLimit, "layer '", node.name, "': nested deeper than ",
                      limits_.max_depth);
  }
  ++depth_;
  const auto leave = [&](Result<Tensors> result) {
    --depth_;
    return result;
  };
  if (is_sequential(layer) || is_functional(layer)) {
    return leave(call_model(layer, node, &arguments));
  }
  const std::string kind = bare_class(layer);
  if (kind == "InputLayer") return leave(std::move(arguments.inputs));
  if (arguments.call.has("args") && is_operation(layer)) {
    const KerasLayer operation{kind.c_str(), find_operation(kind)};
    return leave(call_known(operation, layer, node, std::move(arguments)));
  }
  const KerasLayer* row = find_keras_layer(kind);
  if (row == nullptr) return leave(unknown_class(kind, node.name));
  return leave(call_known(*row, layer, node, std::move(arguments)));
}

Result<Tensors> Importer::call_known(const KerasLayer& row, const Config& layer, LayerNode& node,
                                     CallArguments arguments) {
  const Config& config = layer["config"];
  if (!config.is_map()) {
    return invalid_data("layer '", node.name, "': config is a ", config.kind_name(), ", not a map");
  }
  // TensorFlow's functions may take their tensors by keyword (1 - x), and do not cast.
  const bool is_function = std::string_view(row.class_name).ends_with("OpLambda");
  if (arguments.inputs.empty() && (!is_function || arguments.keyword_tensors.empty())) {
    return invalid_data("layer '", node.name, "' has no input");
  }
  builder.set_origin("keras:" + node.path);
  node.class_name = row.class_name;
  if (node.calls == 0) node.is_trainable &= config["trainable"].as_bool(true);
  ImportContext context(*this, node, config, generation_);
  Result<DTypePolicy> policy = parse_dtype_policy(config["dtype"]);
  if (!policy.ok()) return at(str("layer '", node.name, "'"), policy.error());
  context.variable_dtype = policy->variable;
  context.compute_dtype = policy->compute;
  const CallArguments as_written = recording != nullptr ? arguments : CallArguments{};
  take_masks(arguments);
  // Operations (x * 2.0) have no policy and do not cast.
  if (config.has("dtype") && !is_function && config["autocast"].as_bool(true)) {
    for (TrackedTensor& input : arguments.inputs) {
      input.value = autocast(builder, input.value, policy->compute);
    }
    for (auto& [name, tensor] : arguments.keyword_tensors) {
      tensor.value = autocast(builder, tensor.value, policy->compute);
    }
  }
  context.inputs.assign(arguments.inputs.begin(), arguments.inputs.end());
  context.keyword_tensors = std::move(arguments.keyword_tensors);
  context.call = std::move(arguments.call);
  const size_t first_value = builder.graph().values.size();
  ++inside_layer_;
  const std::vector<KerasTensor> built = row.build(context);
  Tensors outputs(built.begin(), built.end());
  --inside_layer_;
  if (!builder.ok()) return naming(node, builder.status().error());
  for (const KerasTensor& output : outputs) {
    if (output.value == kNoValue) {
      return make_error(ErrorCode::kInternal, "layer '", node.name, "' gave no output");
    }
  }
  if (inside_layer_ == 0) EW_TRY_VOID(count_constants(first_value));
  EW_TRY_VOID(add_activity_losses(layer, outputs));
  name_outputs(node, outputs);
  ++node.calls;
  record_call(layer, node, as_written, outputs);
  return outputs;
}

Result<Tensors> Importer::call_model(const Config& layer, LayerNode& node,
                                     const CallArguments* given) {
  const Config& config = layer["config"];
  if (node.calls == 0) node.is_trainable &= config["trainable"].as_bool(true);
  Result<Tensors> outputs =
      is_sequential(layer) ? sequential(config, node, given) : functional(config, node, given);
  ++node.calls;
  return outputs;
}

Result<ValueId> Importer::weight(LayerNode& owner, const Config& config, DType dtype,
                                 const std::string& name, const Shape& shape,
                                 const WeightOptions& options) {
  if (const LayerNode::Weight* known = owner.find(name)) {
    const Shape& first = builder.shape(known->value);
    if (first == shape) return known->value;
    return invalid_data(name, " has shape ", first, ", a later call of the layer needs ", shape);
  }
  Status fits = check_shape(shape);
  if (!fits.ok()) return at(name, fits.error());
  elements_ += shape.num_elements();
  if (elements_ > limits_.max_elements) {
    return make_error(ErrorCode::kResourceLimit, name, " ", shape, ": the weights need more than ",
                      limits_.max_elements, " elements, which is all that the file holds");
  }
  ir::Tensor initial(dtype, shape);
  if (options.initial_value != 0) {
    std::vector<float> values(static_cast<size_t>(initial.size()), options.initial_value);
    initial = ir::Tensor::from(values, shape).cast(dtype);
  }
  ir::ParameterInfo info;
  info.layer = owner.path;
  info.name = name;
  info.is_trainable = options.is_trainable && owner.is_trainable;
  if (!options.config_prefix.empty()) {
    info.regularizer = config[options.config_prefix + "_regularizer"];
    info.constraint = config[options.config_prefix + "_constraint"];
  }
  // The number under "vars" is known once all weights are; see finish() in import.cpp.
  info.store_path = owner.store_path;
  const ValueId value =
      builder.parameter(owner.path + "/" + name, std::move(initial), std::move(info));
  owner.weights.push_back({name, value, options.is_trainable});
  return value;
}

void Importer::name_outputs(const LayerNode& node, const Tensors& outputs) {
  const std::string stem = node.calls == 0 ? node.path : str(node.path, "@", node.calls);
  for (size_t i = 0; i < outputs.size(); ++i) {
    ir::Value& value = builder.graph().value(outputs[i].value);
    if (value.kind == ir::ValueKind::kComputed && value.name.empty()) {
      value.name = i == 0 ? stem : str(stem, ":", i);
    }
  }
}

}  // namespace ew::formats
