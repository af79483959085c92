#include "formats/keras/operation.h"

namespace ew::formats {
namespace {

const Config kNull;

bool is_tensor(const Config& argument) {
  return argument.is_map() && argument["tensor"].is_int() && argument.as_map().size() == 1;
}

// Numbers in nested lists, all of one depth.
struct Literal {
  std::vector<double> values;
  Shape shape;
  bool is_float = false;
  bool is_bool = true;
};

Status collect(const Config& value, size_t depth, Literal& out) {
  if (value.is_list()) {
    const auto size = static_cast<int64_t>(value.as_list().size());
    if (depth >= 8) return invalid_data("a constant has more than 8 dimensions");
    if (out.values.empty() && static_cast<size_t>(out.shape.rank()) == depth) {
      out.shape.dims().push_back(size);
    }
    if (static_cast<size_t>(out.shape.rank()) <= depth ||
        out.shape[static_cast<int>(depth)] != size) {
      return invalid_data("a constant's rows have different lengths");
    }
    for (const Config& item : value.as_list()) EW_TRY_VOID(collect(item, depth + 1, out));
    return {};
  }
  if (static_cast<size_t>(out.shape.rank()) != depth || !(value.is_number() || value.is_bool())) {
    return invalid_data("expected numbers, found a ", value.kind_name());
  }
  out.is_float |= value.is_double();
  out.is_bool &= value.is_bool();
  out.values.push_back(value.is_bool() ? (value.as_bool() ? 1.0 : 0.0) : value.as_double());
  return {};
}

Result<ir::Tensor> constant(const Config& argument) {
  const Config* value = &argument;
  const Config* dtype = &kNull;
  if (argument.is_map()) {
    const std::string& kind = argument["class_name"].as_string();
    if (kind != "__numpy__" && kind != "__tensor__") {
      return unsupported("an argument of class '", kind, "'");
    }
    value = &argument["config"]["value"];
    dtype = &argument["config"]["dtype"];
  }
  Literal literal;
  EW_TRY_VOID(collect(*value, 0, literal));
  if (literal.shape.num_elements() != static_cast<int64_t>(literal.values.size())) {
    return invalid_data("a constant's rows have different lengths");
  }
  DType to = literal.is_float ? DType::kF32 : (literal.is_bool ? DType::kBool : DType::kI32);
  if (literal.values.empty()) to = DType::kF32;
  if (dtype->is_string()) {
    EW_TRY(to, parse_dtype(dtype->as_string()));
  }
  return ir::Tensor::from(literal.values, literal.shape).cast(to);
}

}  // namespace

DType promote(DType x, DType y) {
  if (x == y) return x;
  if (is_floating(x) && is_floating(y)) {
    if (x == DType::kF64 || y == DType::kF64) return DType::kF64;
    return DType::kF32;  // also float16 with bfloat16
  }
  if (is_floating(x)) return x;
  if (is_floating(y)) return y;
  if (x == DType::kBool) return y;
  if (y == DType::kBool) return x;
  return dtype_size(x) >= dtype_size(y) ? x : y;
}

const Config& OperationCall::argument(size_t position, Names names) const {
  const Config::List& args = c_.call["args"].as_list();
  if (position < args.size()) return args[position];
  for (const char* name : names) {
    if (c_.call.has(name)) return c_.call[name];
  }
  for (const char* name : names) {
    if (c_.config.has(name)) return c_.config[name];
  }
  return kNull;
}

Result<ValueId> OperationCall::to_tensor(const Config& argument) const {
  if (is_tensor(argument)) {
    const auto index = static_cast<size_t>(argument["tensor"].as_int());
    if (index < c_.inputs.size()) return c_.inputs[index].value;
    const size_t keyword = index - c_.inputs.size();
    if (keyword < c_.keyword_tensors.size()) return c_.keyword_tensors[keyword].second.value;
    return invalid_data("an argument names a tensor that is not there");
  }
  EW_TRY(ir::Tensor value, constant(argument));
  return c_.b.constant(std::move(value));
}

Result<ValueId> OperationCall::tensor(size_t position, Names names) const {
  const Config& given = argument(position, names);
  if (!given.is_null()) return to_tensor(given);
  for (const char* name : names) {
    const ValueId value = keyword_tensor(c_, name).value;
    if (value != kNoValue) return value;
  }
  return invalid_data("argument ", *names.begin(), " is missing");
}

Result<std::vector<ValueId>> OperationCall::tensors(size_t position, Names names) const {
  std::vector<ValueId> values;
  const Config& given = argument(position, names);
  if (given.is_list()) {
    for (const Config& item : given.as_list()) {
      EW_TRY(const ValueId value, to_tensor(item));
      values.push_back(value);
    }
  } else if (is_tensor(given)) {
    EW_TRY(const ValueId value, to_tensor(given));
    values.push_back(value);
  } else {
    for (const char* name : names) {
      for (const KerasTensor& x : keyword_tensors(c_, name)) values.push_back(x.value);
    }
  }
  if (values.empty()) return invalid_data("expected a list of tensors");
  return values;
}

Result<std::pair<ValueId, ValueId>> OperationCall::operands(size_t position, Names first,
                                                            Names second) const {
  EW_TRY(const ValueId x, tensor(position, first));
  EW_TRY(const ValueId y, tensor(position + 1, second));
  if (!c_.b.ok()) return c_.b.status().error();
  DType dx = c_.b.type(x).dtype;
  DType dy = c_.b.type(y).dtype;
  const auto is_constant = [&](ValueId v) {
    return c_.b.graph().value(v).kind == ir::ValueKind::kConstant;
  };
  // A constant gives way to a tensor of its kind: float16 * 2.0 stays float16.
  const bool same_kind = is_floating(dx) == is_floating(dy) || is_floating(dx);
  const bool same_kind_back = is_floating(dx) == is_floating(dy) || is_floating(dy);
  if (is_constant(y) && !is_constant(x) && same_kind && dx != DType::kBool) dy = dx;
  if (is_constant(x) && !is_constant(y) && same_kind_back && dy != DType::kBool) dx = dy;
  const DType to = promote(dx, dy);
  return std::pair{cast(c_.b, x, to), cast(c_.b, y, to)};
}

Result<int64_t> OperationCall::integer(size_t position, Names names, int64_t fallback) const {
  const Config& given = argument(position, names);
  if (given.is_null()) return fallback;
  if (given.is_int()) return given.as_int();
  return invalid_data(*names.begin(), ": expected an integer, found a ", given.kind_name());
}

Result<double> OperationCall::number(size_t position, Names names, double fallback) const {
  const Config& given = argument(position, names);
  if (given.is_null()) return fallback;
  if (given.is_number()) return given.as_double();
  return unsupported(*names.begin(), ": expected a number, found a ", given.kind_name());
}

Result<bool> OperationCall::flag(size_t position, Names names, bool fallback) const {
  const Config& given = argument(position, names);
  if (given.is_null()) return fallback;
  if (given.is_bool()) return given.as_bool();
  return invalid_data(*names.begin(), ": expected true or false, found a ", given.kind_name());
}

Result<std::vector<int64_t>> OperationCall::integers(size_t position, Names names,
                                                     std::vector<int64_t> fallback) const {
  const Config& given = argument(position, names);
  if (given.is_null()) return fallback;
  if (given.is_int()) return std::vector<int64_t>{given.as_int()};
  std::vector<int64_t> out;
  for (const Config& item : given.as_list()) {
    // A size that was computed from another tensor's shape, or left open.
    const bool is_open = item.is_null() || is_tensor(item);
    if (!item.is_int() && !is_open) {
      return invalid_data(*names.begin(), ": expected integers, found a ", item.kind_name());
    }
    out.push_back(is_open ? kUnknown : item.as_int());
  }
  if (!given.is_list()) {
    return invalid_data(*names.begin(), ": expected integers, found a ", given.kind_name());
  }
  return out;
}

bool is_operation(const Config& layer) {
  return layer["config"].is_map() && !layer["config"].has("trainable") &&
         find_operation(layer["class_name"].as_string()) != nullptr;
}

namespace {

std::vector<KerasTensor> build(LayerContext& c, const Operation& operation) {
  Result<std::vector<ValueId>> values = operation.build(OperationCall(c));
  if (!c.b.ok()) return {};
  if (!values.ok()) return c.fail(values.error());
  std::vector<KerasTensor> out;
  for (const ValueId value : *values) out.push_back({value, kNoValue});
  return out;
}

template <typename Matches>
const Operation* find(Matches matches) {
  for (const std::span<const Operation> group :
       {elementwise_operations(), reduction_operations(), shape_operations(), index_operations()}) {
    for (const Operation& operation : group) {
      if (matches(operation)) return &operation;
    }
  }
  return nullptr;
}

std::vector<KerasTensor> build_operation(LayerContext& c) {
  const Operation* operation = find([&](const Operation& o) { return c.class_name == o.name; });
  if (operation == nullptr) return c.fail(unsupported("unknown operation"));
  return build(c, *operation);
}

}  // namespace

KerasLayerFn find_operation(std::string_view class_name) {
  const bool is_known = find([&](const Operation& o) { return class_name == o.name; }) != nullptr;
  return is_known ? build_operation : nullptr;
}

std::vector<KerasTensor> build_tf_operation(LayerContext& c) {
  std::string function = c.config["function"].as_string();
  if (function.starts_with("compat.v1.")) function.erase(0, 10);
  const Operation* operation = find([&](const Operation& o) { return function == o.tf_function; });
  if (operation == nullptr) {
    return c.fail(
        unsupported("TensorFlow's function '", function, "' is not supported as part of a model"));
  }
  return build(c, *operation);
}

}  // namespace ew::formats
