#include <algorithm>

#include "ir/graph.h"

namespace ew::ir {
namespace {

Error broken(const Graph& graph, size_t node, const std::string& what) {
  const Node& n = graph.nodes[node];
  return make_error(ErrorCode::kInternal, "graph is broken at node ", node, " (",
                    n.op ? n.op->name : "no operator", n.origin.empty() ? "" : ", ", n.origin,
                    "): ", what);
}

Status verify_node(const Graph& graph, size_t index, std::vector<bool>& defined) {
  const Node& node = graph.nodes[index];
  if (node.op == nullptr) return broken(graph, index, "no operator");
  for (const ValueId id : node.inputs) {
    if (id == kNoValue) continue;
    if (id < 0 || static_cast<size_t>(id) >= graph.values.size()) {
      return broken(graph, index, str("input ", id, " does not exist"));
    }
    if (!defined[static_cast<size_t>(id)]) {
      return broken(graph, index, str("input %", id, " is used before it is computed"));
    }
  }
  for (const AttrDef& def : node.op->attrs) {
    const AttrValue* value = node.attrs.find(def.name);
    if (value == nullptr || value->index() != def.default_value.index()) {
      return broken(graph, index, str("attribute ", def.name, " is missing or of another kind"));
    }
  }
  const std::vector<const TensorType*> types = graph.input_types(node);
  const Result<std::vector<TensorType>> inferred = node.op->infer(types, node.attrs);
  if (!inferred.ok()) return broken(graph, index, inferred.error().message);
  if (inferred->size() != node.outputs.size())
    return broken(graph, index, "wrong number of outputs");
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId id = node.outputs[i];
    if (id < 0 || static_cast<size_t>(id) >= graph.values.size()) {
      return broken(graph, index, str("output ", id, " does not exist"));
    }
    if (graph.value(id).producer != static_cast<int>(index)) {
      return broken(graph, index, str("output %", id, " names another producer"));
    }
    const TensorType& type = graph.type(id);
    if (type.shape != (*inferred)[i].shape || type.dtype != (*inferred)[i].dtype) {
      return broken(graph, index, str("output %", id, " is ", type, ", expected ", (*inferred)[i]));
    }
    defined[static_cast<size_t>(id)] = true;
  }
  return {};
}

// Quantised values are integers. Quantisation is one entry, or one per index of its axis and what
// follows it, or of a matrix one per column for each group of rows; integer operators have an
// integer reference and integer results.
Status verify_quant(const Graph& graph) {
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const TensorType& type = graph.values[i].type;
    if (!type.quant) continue;
    if (is_floating(type.dtype)) {
      return make_error(ErrorCode::kInternal, "value %", i, ", ", type,
                        ", is quantised; expected an integer dtype");
    }
    const QuantParams& q = *type.quant;
    const size_t entries = q.scales.size();
    bool fits = q.zero_points.size() == entries && entries > 0 && q.axis < type.shape.rank();
    if (fits && entries > 1) {
      fits = q.axis >= 0;
      int64_t known = 1;
      for (int d = q.axis; fits && d < type.shape.rank(); ++d) known *= type.shape[d];
      const auto count = static_cast<int64_t>(entries);
      const bool is_grouped = q.axis == 1 && type.shape.rank() == 2 && known > 0 &&
                              count % known == 0 && count / known <= type.shape[0];
      fits = fits && (known == count || type.shape[q.axis] == count || is_grouped);
    }
    if (!fits) {
      return make_error(ErrorCode::kInternal, "value %", i, ", ", type, ", has ", entries,
                        " scales and ", q.zero_points.size(), " zero points on axis ", q.axis);
    }
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const bool is_border = node.op->quant.kind == QuantRule::Kind::kNone;
    const ValueId x = node.inputs.empty() ? kNoValue : node.inputs[0];
    const bool is_int8 = x != kNoValue && graph.type(x).quant != nullptr;
    if (is_int8 && node.op->reference_i8 == nullptr) return broken(graph, i, "no integer form");
    if (!is_border && is_int8 != (graph.type(node.outputs[0]).quant != nullptr)) {
      return broken(graph, i, "only one of input and output is quantised");
    }
  }
  return {};
}

}  // namespace

Status verify(const Graph& graph, Stage stage) {
  std::vector<bool> defined(graph.values.size(), false);
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    defined[i] = value.kind != ValueKind::kComputed;
    const bool has_data = value.kind == ValueKind::kParameter || value.kind == ValueKind::kConstant;
    if (has_data && value.data.shape() != value.type.shape) {
      return make_error(ErrorCode::kInternal, "value %", i, " '", value.name, "' is ", value.type,
                        " but holds ", value.data.type());
    }
    if (stage == Stage::kPlanned && !value.type.shape.is_static()) {
      return make_error(ErrorCode::kInternal, "value %", i, " has the open shape ",
                        value.type.shape);
    }
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    EW_TRY_VOID(verify_node(graph, i, defined));
    if (stage != Stage::kImported && graph.nodes[i].op->is_training_dependent) {
      return broken(graph, i, "behaves differently in training; expected none in this stage");
    }
  }
  EW_TRY_VOID(verify_quant(graph));
  const auto is_defined = [&](ValueId id) {
    return id == kNoValue || (id >= 0 && static_cast<size_t>(id) < defined.size() &&
                              defined[static_cast<size_t>(id)]);
  };
  if (!std::all_of(graph.outputs.begin(), graph.outputs.end(), is_defined) ||
      !std::all_of(graph.losses.begin(), graph.losses.end(), is_defined) ||
      !std::all_of(graph.output_masks.begin(), graph.output_masks.end(), is_defined)) {
    return make_error(ErrorCode::kInternal, "an output of the graph is never computed");
  }
  return {};
}

std::string to_text(const Graph& graph) {
  std::string out;
  const auto name = [&](ValueId id) { return id == kNoValue ? std::string("none") : str("%", id); };
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const Value& v = graph.values[i];
    if (v.kind == ValueKind::kComputed) continue;
    const char* kind = v.kind == ValueKind::kInput       ? "input"
                       : v.kind == ValueKind::kParameter ? "parameter"
                                                         : "constant";
    out += str("%", i, " = ", kind, " '", v.name, "' : ", v.type, "\n");
  }
  for (const Node& node : graph.nodes) {
    std::vector<std::string> outputs;
    for (const ValueId id : node.outputs) outputs.push_back(name(id));
    std::vector<std::string> inputs;
    for (const ValueId id : node.inputs) inputs.push_back(name(id));
    std::vector<std::string> attrs;
    for (const auto& [key, value] : node.attrs) attrs.push_back(str(key, "=", attr_text(value)));
    out += str(join(outputs, ", "), " = ", node.op->name, "(", join(inputs, ", "), ")");
    if (!attrs.empty()) out += str(" {", join(attrs, ", "), "}");
    std::vector<std::string> types;
    for (const ValueId id : node.outputs) types.push_back(to_string(graph.type(id)));
    out += str(" : ", join(types, ", "));
    if (!node.origin.empty()) out += str("  # ", node.origin);
    out += "\n";
  }
  std::vector<std::string> outputs;
  for (const ValueId id : graph.outputs) outputs.push_back(name(id));
  out += str("return ", join(outputs, ", "), "\n");
  for (const Update& u : graph.updates)
    out += str("update ", name(u.parameter), " <- ", name(u.value), "\n");
  return out;
}

}  // namespace ew::ir
