#include "ir/ew/graph_codec.h"

#include <algorithm>
#include <limits>

#include "base/crc32c.h"

namespace ew::ir::ew_format {
namespace {

// Codes in files are positions in these lists.
constexpr DType kDTypes[] = {DType::kF32, DType::kF64, DType::kF16, DType::kBF16, DType::kI8,
                             DType::kU8,  DType::kI16, DType::kU16, DType::kI32,  DType::kU32,
                             DType::kI64, DType::kU64, DType::kBool};
constexpr Int8Profile kProfiles[] = {Int8Profile::kTflm, Int8Profile::kLitertRef,
                                     Int8Profile::kXnnpack};
constexpr ValueKind kKinds[] = {ValueKind::kInput, ValueKind::kParameter, ValueKind::kConstant,
                                ValueKind::kComputed};

template <typename T, size_t N>
uint8_t code_of(const T (&known)[N], T value) {
  return static_cast<uint8_t>(std::find(known, known + N, value) - known);
}

template <typename T, size_t N>
T from_code(ByteReader& r, const T (&known)[N], const char* what) {
  const auto code = size_t{r.get<uint8_t>()};
  if (code < N) return known[code];
  r.fail(str("unknown code ", code, " of ", what));
  return known[0];
}

void put_quant(ByteWriter& w, const QuantParams& quant) {
  w.put(static_cast<int32_t>(quant.axis));
  w.list(std::span<const float>(quant.scales));
  w.list(std::span<const int32_t>(quant.zero_points));
}

std::shared_ptr<const QuantParams> get_quant(ByteReader& r) {
  QuantParams quant;
  quant.axis = r.get<int32_t>();
  quant.scales = r.list<float>();
  quant.zero_points = r.list<int32_t>();
  const auto is_scale = [](float s) { return s > 0 && s <= std::numeric_limits<float>::max(); };
  const auto is_byte = [](int32_t z) { return z >= -128 && z <= 255; };
  if (quant.axis < -1 || quant.axis > 7 || quant.scales.empty() ||
      quant.scales.size() != quant.zero_points.size() ||
      !std::ranges::all_of(quant.scales, is_scale) ||
      !std::ranges::all_of(quant.zero_points, is_byte)) {
    r.fail("expected positive scales and as many zero points between -128 and 255");
  }
  return std::make_shared<const QuantParams>(std::move(quant));
}

TensorType get_type(ByteReader& r) {
  TensorType type;
  type.dtype = from_code(r, kDTypes, "a dtype");
  const std::vector<int64_t> dims = r.list<int64_t>();
  type.shape = Shape(dims);
  const bool is_size = std::ranges::all_of(dims, [](int64_t d) { return d >= kUnknown; });
  if (!is_size) {
    r.fail("expected sizes, found a negative dimension");
  } else if (const Status fits = check_open_shape(type.shape); !fits.ok()) {
    r.fail(fits.error().message);
  }
  if (r.get<uint8_t>() != 0) type.quant = get_quant(r);
  return type;
}

void put_value(ByteWriter& w, const Value& value, const PlaceData& place) {
  w.put(code_of(kKinds, value.kind));
  w.text(value.name);
  put_type(w, value.type);
  if (value.kind == ValueKind::kParameter || value.kind == ValueKind::kConstant) {
    w.put(place(value.data));
  }
  if (value.kind != ValueKind::kParameter) return;
  const ParameterInfo info = value.info ? *value.info : ParameterInfo();
  w.text(info.layer);
  w.text(info.name);
  w.text(info.store_path);
  w.put(static_cast<uint8_t>(info.is_trainable));
}

Value get_value(ByteReader& r, const FindData& find) {
  Value value;
  value.kind = from_code(r, kKinds, "a kind of value");
  value.name = r.text();
  value.type = get_type(r);
  if (value.kind == ValueKind::kParameter || value.kind == ValueKind::kConstant) {
    const auto offset = r.get<uint64_t>();
    if (r.ok() && !value.type.shape.is_static()) r.fail("a constant of unknown size");
    if (!r.ok()) return value;
    Result<Tensor> data = find(value.type, offset);
    if (!data.ok()) {
      r.fail(data.error().message);
      return value;
    }
    value.data = std::move(*data);
  }
  if (value.kind != ValueKind::kParameter) return value;
  ParameterInfo info;
  info.layer = r.text();
  info.name = r.text();
  info.store_path = r.text();
  info.is_trainable = r.get<uint8_t>() != 0;
  value.info = std::make_shared<const ParameterInfo>(std::move(info));
  return value;
}

void put_attr(ByteWriter& w, const AttrValue& value) {
  w.put(static_cast<uint8_t>(value.index()));
  struct Put {
    ByteWriter& w;
    void operator()(bool v) const { w.put(static_cast<uint8_t>(v)); }
    void operator()(int64_t v) const { w.put(v); }
    void operator()(double v) const { w.put(v); }
    void operator()(const std::string& v) const { w.text(v); }
    void operator()(const std::vector<int64_t>& v) const { w.list(std::span<const int64_t>(v)); }
    void operator()(const std::vector<double>& v) const { w.list(std::span<const double>(v)); }
  };
  std::visit(Put{w}, value);
}

AttrValue get_attr(ByteReader& r) {
  switch (r.get<uint8_t>()) {
    case 0:
      return r.get<uint8_t>() != 0;
    case 1:
      return r.get<int64_t>();
    case 2:
      return r.get<double>();
    case 3:
      return std::string(r.text());
    case 4:
      return r.list<int64_t>();
    case 5:
      return r.list<double>();
    default:
      r.fail("unknown kind of an attribute");
      return false;
  }
}

void put_node(ByteWriter& w, const Node& node) {
  w.text(node.op->name);
  w.text(node.origin);
  w.list(std::span<const ValueId>(node.inputs));
  w.list(std::span<const ValueId>(node.outputs));
  put_attrs(w, node.attrs);
}

// Attributes of the schema, each at most once, with its kind. One that is not there has its
// default: the operator got it after the file was written.
Attrs get_attrs(ByteReader& r, const OpDef& op) {
  Attrs given;
  const size_t count = r.count(6);
  for (size_t i = 0; i < count && r.ok(); ++i) {
    const std::string_view name = r.text();
    if (given.has(name)) r.fail(str(op.name, ": attribute '", name, "' stands twice"));
    given.set(name, get_attr(r));
  }
  Attrs full;
  size_t known = 0;
  for (const AttrDef& def : op.attrs) {
    const AttrValue* value = given.find(def.name);
    if (value != nullptr && value->index() != def.default_value.index()) {
      r.fail(str(op.name, ": attribute '", def.name, "' is of another kind"));
      return full;
    }
    known += value != nullptr ? 1 : 0;
    full.set(def.name, value != nullptr ? *value : def.default_value);
  }
  if (r.ok() && count != known) r.fail(str(op.name, " has unknown attributes"));
  return full;
}

// The types of a node's outputs follow from those of its inputs.
Status check_node(const Graph& graph, const Node& node) {
  const OpDef& op = *node.op;
  const auto count = static_cast<int>(node.inputs.size());
  if (count < op.min_inputs || (op.max_inputs >= 0 && count > op.max_inputs)) {
    return invalid_data(op.name, ": expected ", op.min_inputs, " to ", op.max_inputs,
                        " inputs, found ", count);
  }
  for (int i = 0; i < op.min_inputs; ++i) {
    if (node.inputs[static_cast<size_t>(i)] == kNoValue) {
      return invalid_data(op.name, ": input ", i, " is missing");
    }
  }
  const std::vector<const TensorType*> in = graph.input_types(node);
  Result<std::vector<TensorType>> inferred = op.infer(in, node.attrs);
  if (!inferred.ok()) return invalid_data(op.name, ": ", inferred.error().message);
  if (inferred->size() != node.outputs.size()) {
    return invalid_data(op.name, ": expected ", inferred->size(), " outputs, found ",
                        node.outputs.size());
  }
  for (size_t i = 0; i < inferred->size(); ++i) {
    const TensorType& type = graph.type(node.outputs[i]);
    const TensorType& expected = (*inferred)[i];
    EW_TRY_VOID(check_open_shape(expected.shape));
    const bool is_same = type.shape == expected.shape &&
                         (type.dtype == expected.dtype || (type.quant && type.dtype == DType::kI8));
    if (!is_same) {
      return invalid_data(op.name, ": expected an output ", expected, ", found ", type);
    }
  }
  return {};
}

Status add_node(ByteReader& r, Graph& graph, std::vector<bool>& is_defined, FindOp find_op) {
  const std::string_view name = r.text();
  const OpDef* op = r.ok() ? find_op(name) : nullptr;
  if (!r.ok()) return r.status();
  if (op == nullptr) return unsupported("this program has no operator '", name, "'");
  Node node{op, {}, {}, {}, ""};
  node.origin = r.text();
  node.inputs = r.list<ValueId>();
  node.outputs = r.list<ValueId>();
  node.attrs = get_attrs(r, *op);
  const auto exists = [&](ValueId id) {
    return id >= 0 && static_cast<size_t>(id) < graph.values.size();
  };
  for (const ValueId id : node.inputs) {
    if (id == kNoValue) continue;
    if (!exists(id) || !is_defined[static_cast<size_t>(id)]) {
      r.fail(str(name, ": input ", id, " is not computed before its use"));
      return r.status();
    }
  }
  for (const ValueId id : node.outputs) {
    if (!exists(id) || is_defined[static_cast<size_t>(id)]) {
      r.fail(str(name, ": output ", id, " is no value that is still to be computed"));
      return r.status();
    }
    is_defined[static_cast<size_t>(id)] = true;
    graph.value(id).producer = static_cast<int>(graph.nodes.size());
  }
  EW_TRY_VOID(r.status());
  EW_TRY_VOID(check_node(graph, node));
  graph.nodes.push_back(std::move(node));
  return {};
}

Status get_ports(ByteReader& r, Graph& graph, const std::vector<bool>& is_defined) {
  const auto exists = [&](ValueId id) {
    return id >= 0 && static_cast<size_t>(id) < graph.values.size() &&
           is_defined[static_cast<size_t>(id)];
  };
  graph.inputs = r.list<ValueId>();
  graph.outputs = r.list<ValueId>();
  for (const ValueId id : graph.inputs) {
    if (!exists(id) || graph.value(id).kind != ValueKind::kInput) r.fail("not an input");
  }
  const auto inputs = std::ranges::count_if(
      graph.values, [](const Value& v) { return v.kind == ValueKind::kInput; });
  std::vector<ValueId> once = graph.inputs;
  std::ranges::sort(once);
  if (std::ranges::adjacent_find(once) != once.end() ||
      inputs != static_cast<int64_t>(once.size())) {
    r.fail("expected every input of the graph once");
  }
  if (!std::ranges::all_of(graph.outputs, exists)) r.fail("an output is never computed");
  return r.status();
}

}  // namespace

void put_type(ByteWriter& w, const TensorType& type) {
  w.put(code_of(kDTypes, type.dtype));
  w.list(std::span<const int64_t>(type.shape.dims()));
  w.put(static_cast<uint8_t>(type.quant != nullptr));
  if (type.quant) put_quant(w, *type.quant);
}

void put_attrs(ByteWriter& w, const Attrs& attrs) {
  w.put(static_cast<uint32_t>(std::distance(attrs.begin(), attrs.end())));
  for (const auto& [name, value] : attrs) {
    w.text(name);
    put_attr(w, value);
  }
}

void put_model(ByteWriter& w, const Model& model, const PlaceData& place) {
  const Graph& graph = model.graph;
  w.put(code_of(kProfiles, graph.int8_profile));
  w.text(model.architecture.version);
  w.put(static_cast<uint32_t>(graph.values.size()));
  for (const Value& value : graph.values) put_value(w, value, place);
  w.put(static_cast<uint32_t>(graph.nodes.size()));
  for (const Node& node : graph.nodes) put_node(w, node);
  w.list(std::span<const ValueId>(graph.inputs));
  w.list(std::span<const ValueId>(graph.outputs));
  w.put(static_cast<uint32_t>(model.fixed_inputs.size()));
  for (const auto& [name, tensor] : model.fixed_inputs) {
    w.text(name);
    put_type(w, tensor.type());
    w.put(place(tensor));
  }
}

Result<Model> get_model(ByteReader& r, const FindData& find, FindOp find_op) {
  Model model;
  model.is_executable = true;
  Graph& graph = model.graph;
  graph.int8_profile = from_code(r, kProfiles, "an int8 profile");
  model.architecture.version = r.text();
  constexpr size_t kLeastValue = 11;
  constexpr size_t kLeastNode = 20;
  graph.values.resize(r.count(kLeastValue));
  std::vector<bool> is_defined;
  for (Value& value : graph.values) {
    value = get_value(r, find);
    is_defined.push_back(value.kind != ValueKind::kComputed);
    if (!r.ok()) return at(str("value ", is_defined.size() - 1), r.status().error());
  }
  const size_t nodes = r.count(kLeastNode);
  graph.nodes.reserve(nodes);
  for (size_t i = 0; i < nodes; ++i) {
    if (Status added = add_node(r, graph, is_defined, find_op); !added.ok()) {
      return at(str("node ", i), added.error());
    }
  }
  if (!std::ranges::all_of(is_defined, [](bool b) { return b; })) {
    r.fail("a value is never computed");
  }
  EW_TRY_VOID(get_ports(r, graph, is_defined));
  const size_t fixed = r.count(1);
  for (size_t i = 0; i < fixed && r.ok(); ++i) {
    const std::string name(r.text());
    TensorType type = get_type(r);
    const auto offset = r.get<uint64_t>();
    if (r.ok() && !type.shape.is_static()) r.fail("a constant of unknown size");
    EW_TRY_VOID(r.status());
    EW_TRY(Tensor fixed_value, find(std::move(type), offset));
    model.fixed_inputs[name] = std::move(fixed_value);
  }
  r.align(kAlignment);
  if (r.ok() && r.left() > 0) r.fail("bytes behind the graph");
  EW_TRY_VOID(r.status());
  EW_TRY_VOID(verify(graph, Stage::kCanonical));
  return model;
}

}  // namespace ew::ir::ew_format

namespace ew::ir {

uint32_t node_digest(const Graph& graph, const Node& node, uint32_t seed) {
  ew_format::ByteWriter w;
  w.bytes().reserve(4096);
  w.text(node.op->name);
  ew_format::put_attrs(w, node.attrs);
  for (const std::vector<ValueId>& ids : {node.inputs, node.outputs}) {
    for (const ValueId id : ids) {
      w.put(id);
      if (id != kNoValue) ew_format::put_type(w, graph.type(id));
    }
  }
  w.put(static_cast<uint8_t>(graph.int8_profile));
  return crc32c(w.bytes(), seed);
}

}  // namespace ew::ir
