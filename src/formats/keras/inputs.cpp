// Input layers, explicit and implied, and the losses that layers add by themselves.
#include "formats/keras/importer.h"
#include "formats/keras/names.h"

namespace ew::formats {
namespace {

// [null, 28, 28, 1] with its batch.
Result<Shape> parse_batch_shape(const Config& shape) {
  Shape out;
  for (const Config& dim : shape.as_list()) {
    if (!dim.is_null() && (!dim.is_int() || dim.as_int() < 0)) {
      return invalid_data("shape: expected sizes or null, found a ", dim.kind_name());
    }
    out.dims().push_back(dim.is_null() ? kUnknown : dim.as_int());
  }
  Shape known = out;
  for (int64_t& dim : known.dims()) {
    if (dim == kUnknown) dim = 1;
  }
  EW_TRY_VOID(check_shape(known));
  return out;
}

// The shape under any of the keys in use, with a batch put before those that lack it.
Result<Shape> input_shape(const Config& config) {
  for (const char* key : {"batch_shape", "batch_input_shape"}) {
    if (!config[key].is_list()) continue;
    if (config[key].as_list().empty()) return invalid_data(key, ": no batch dimension");
    return parse_batch_shape(config[key]);
  }
  for (const char* key : {"shape", "input_shape"}) {
    if (!config[key].is_list()) continue;
    EW_TRY(Shape shape, parse_batch_shape(config[key]));
    shape.dims().insert(shape.dims().begin(), kUnknown);
    return shape;
  }
  return make_error(ErrorCode::kNotFound, "no input shape");
}

double factor(const Config& regularizer, const char* key, const char* only, double fallback) {
  const Config& config = regularizer["config"];
  if (config.has(key)) return config[key].as_double();
  const std::string& kind =
      regularizer.is_string() ? regularizer.as_string() : regularizer["class_name"].as_string();
  return kind == only ? fallback : 0;
}

}  // namespace

Result<TrackedTensor> Importer::graph_input(const Config& input_layer, const std::string& name) {
  const Config& config = input_layer["config"];
  Result<Shape> shape = input_shape(config);
  if (!shape.ok()) return at(str("input '", name, "'"), shape.error());
  Result<DTypePolicy> dtype = parse_dtype_policy(config["dtype"]);
  if (!dtype.ok()) return at(str("input '", name, "'"), dtype.error());
  if (config["sparse"].as_bool() || config["ragged"].as_bool()) {
    return unsupported("input '", name, "': sparse and ragged inputs are not supported");
  }
  TrackedTensor input =
      KerasTensor{builder.input(name, {dtype->compute, std::move(*shape), nullptr}), kNoValue};
  record_input(name, input);
  return input;
}

Result<TrackedTensor> Importer::implied_input(const Config& model, const Config& first_layer) {
  EW_TRY(std::string name, layer_name(first_layer));
  const Config& config = first_layer["config"];
  const Config& wrapped = config["layer"]["config"];
  Result<Shape> shape = input_shape(config);
  if (!shape.ok()) shape = input_shape(wrapped);
  for (const Config* built :
       {&model["build_input_shape"], &first_layer["build_config"]["input_shape"]}) {
    if (!shape.ok() && built->is_list()) shape = parse_batch_shape(*built);
  }
  if (!shape.ok()) {
    return invalid_data(
        "the model has no input shape: neither an InputLayer, nor "
        "batch_input_shape on layer '",
        name, "', nor build_input_shape");
  }
  EW_TRY(DTypePolicy dtype, parse_dtype_policy(config["dtype"]));
  name += "_input";
  TrackedTensor input =
      KerasTensor{builder.input(name, {dtype.compute, std::move(*shape), nullptr}), kNoValue};
  record_input(name, input);
  return input;
}

Result<TrackedTensor> Importer::bind_input(const Config& input_layer, TrackedTensor given) {
  EW_TRY(DTypePolicy dtype, parse_dtype_policy(input_layer["config"]["dtype"]));
  if (builder.type(given.value).dtype == dtype.compute) return given;
  given.value =
      builder.add(ops::kCast, {given.value}, {{"to", std::string(dtype_name(dtype.compute))}});
  if (!builder.ok()) return builder.status().error();
  return given;
}

// l1 * sum|y| + l2 * sum(y^2), divided by the batch, for every output.
Status Importer::add_activity_losses(const Config& layer, const Tensors& outputs) {
  Config regularizer = layer["config"]["activity_regularizer"];
  if (layer["class_name"].as_string() == "ActivityRegularization") {
    regularizer = Config::map();
    regularizer.set("config", layer["config"]);
  }
  if (regularizer.is_null()) return {};
  const double l1 = factor(regularizer, "l1", "l1", 0.01);
  const double l2 = factor(regularizer, "l2", "l2", 0.01);
  ir::Builder& b = builder;
  for (const KerasTensor& output : outputs) {
    if (!is_floating(b.type(output.value).dtype)) continue;
    const DType dtype = b.type(output.value).dtype;
    std::vector<int64_t> inner;
    for (int axis = 1; axis < b.shape(output.value).rank(); ++axis) inner.push_back(axis);
    const auto add = [&](const ops::OpDef& op, double weight) {
      if (weight == 0) return;
      ValueId sum = b.add(op, {output.value});
      if (!inner.empty()) sum = b.add(ops::kReduceSum, {sum}, {{"axes", inner}});
      const ValueId mean = b.add(ops::kReduceMean, {sum});
      b.graph().losses.push_back(b.add(ops::kMul, {mean, b.scalar(weight, dtype)}));
    };
    add(ops::kAbs, l1);
    add(ops::kSquare, l2);
  }
  if (!b.ok()) return b.status().error();
  return {};
}

}  // namespace ew::formats
