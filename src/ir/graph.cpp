#include "ir/graph.h"

#include <algorithm>

namespace ew::ir {

const char* stage_name(Stage stage) {
  constexpr const char* kNames[] = {"imported", "canonical", "quantised", "planned"};
  return kNames[static_cast<size_t>(stage)];
}

const Node* Graph::producer(ValueId id) const {
  const int index = value(id).producer;
  return index < 0 ? nullptr : &nodes[static_cast<size_t>(index)];
}

std::vector<const TensorType*> Graph::input_types(const Node& node) const {
  std::vector<const TensorType*> types;
  for (const ValueId id : node.inputs) types.push_back(id == kNoValue ? nullptr : &type(id));
  return types;
}

std::vector<int> Graph::use_counts() const {
  std::vector<int> counts(values.size(), 0);
  const auto use = [&](ValueId id) {
    if (id != kNoValue) ++counts[static_cast<size_t>(id)];
  };
  for (const Node& node : nodes) std::for_each(node.inputs.begin(), node.inputs.end(), use);
  std::for_each(outputs.begin(), outputs.end(), use);
  std::for_each(losses.begin(), losses.end(), use);
  std::for_each(output_masks.begin(), output_masks.end(), use);
  for (const Update& update : updates) use(update.value);
  return counts;
}

std::vector<ValueId> Graph::parameters() const {
  std::vector<ValueId> ids;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].kind == ValueKind::kParameter) ids.push_back(static_cast<ValueId>(i));
  }
  return ids;
}

Result<Graph> specialize(const Graph& graph, std::span<const Shape> input_shapes) {
  if (input_shapes.size() != graph.inputs.size()) {
    return invalid_argument("expected ", graph.inputs.size(), " inputs, found ",
                            input_shapes.size());
  }
  Graph out = graph;
  for (size_t i = 0; i < input_shapes.size(); ++i) {
    Value& input = out.value(out.inputs[i]);
    const Shape& declared = input.type.shape;
    const Shape& given = input_shapes[i];
    bool fits = declared.rank() == given.rank();
    for (int d = 0; fits && d < given.rank(); ++d) {
      fits = declared[d] == kUnknown || declared[d] == given[d];
    }
    if (!fits) {
      return invalid_argument("input '", input.name, "': expected shape ", declared, ", found ",
                              given);
    }
    input.type.shape = given;
  }
  for (const Node& node : out.nodes) {
    const std::vector<const TensorType*> types = out.input_types(node);
    Result<std::vector<TensorType>> inferred = node.op->infer(types, node.attrs);
    if (!inferred.ok())
      return at(node.origin.empty() ? node.op->name : node.origin, inferred.error());
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (Status fits = check_open_shape((*inferred)[i].shape); !fits.ok()) {
        return at(node.origin.empty() ? node.op->name : node.origin, fits.error());
      }
      // Quantisation is decided by passes, not by inference.
      (*inferred)[i].quant = out.type(node.outputs[i]).quant;
      if ((*inferred)[i].quant) (*inferred)[i].dtype = out.type(node.outputs[i]).dtype;
      out.value(node.outputs[i]).type = (*inferred)[i];
    }
  }
  return out;
}

ValueId Builder::input(std::string name, TensorType type) {
  if (!ok()) return kNoValue;
  const auto id = static_cast<ValueId>(graph_.values.size());
  graph_.values.push_back({std::move(name), std::move(type), ValueKind::kInput, -1, {}, nullptr});
  graph_.inputs.push_back(id);
  return id;
}

ValueId Builder::parameter(std::string name, Tensor data, ParameterInfo info) {
  if (!ok()) return kNoValue;
  const auto id = static_cast<ValueId>(graph_.values.size());
  TensorType type = data.type();
  graph_.values.push_back({std::move(name), std::move(type), ValueKind::kParameter, -1,
                           std::move(data),
                           std::make_shared<const ParameterInfo>(std::move(info))});
  return id;
}

ValueId Builder::constant(Tensor data, std::string name) {
  if (!ok()) return kNoValue;
  const auto id = static_cast<ValueId>(graph_.values.size());
  TensorType type = data.type();
  graph_.values.push_back(
      {std::move(name), std::move(type), ValueKind::kConstant, -1, std::move(data), nullptr});
  return id;
}

ValueId Builder::scalar(double value, DType dtype) {
  return constant(Tensor::from(std::vector<double>{value}, Shape{}).cast(dtype));
}

ValueId Builder::add(const OpDef& op, std::vector<ValueId> inputs, const Attrs& attrs) {
  const std::vector<ValueId> outputs = add_multi(op, std::move(inputs), attrs);
  return outputs.empty() ? kNoValue : outputs[0];
}

std::vector<ValueId> Builder::add_multi(const OpDef& op, std::vector<ValueId> inputs,
                                        const Attrs& attrs) {
  if (!ok()) return {};
  const auto refuse = [&](Error error) {
    fail(at(origin_.empty() ? op.name : str(origin_, " (", op.name, ")"), std::move(error)));
    return std::vector<ValueId>{};
  };
  while (!inputs.empty() && inputs.back() == kNoValue) inputs.pop_back();
  const auto count = static_cast<int>(inputs.size());
  if (count < op.min_inputs || (op.max_inputs >= 0 && count > op.max_inputs)) {
    return refuse(invalid_argument("expected ", op.min_inputs, " to ", op.max_inputs,
                                   " inputs, found ", count));
  }
  Attrs full;
  for (const AttrDef& def : op.attrs) {
    const AttrValue* given = attrs.find(def.name);
    if (given != nullptr && given->index() != def.default_value.index()) {
      return refuse(
          make_error(ErrorCode::kInternal, "attribute ", def.name, " has the wrong kind"));
    }
    full.set(def.name, given ? *given : def.default_value);
  }
  for (const auto& [name, value] : attrs) {
    if (!full.has(name)) {
      return refuse(make_error(ErrorCode::kInternal, "unknown attribute ", name));
    }
  }
  Node node{&op, std::move(full), std::move(inputs), {}, origin_};
  const std::vector<const TensorType*> types = graph_.input_types(node);
  Result<std::vector<TensorType>> inferred = op.infer(types, node.attrs);
  if (!inferred.ok()) return refuse(inferred.error());
  for (const TensorType& type : *inferred) {
    if (Status fits = check_open_shape(type.shape); !fits.ok()) return refuse(fits.error());
  }
  if (graph_.nodes.size() >= kMaxNodes) {
    return refuse(
        make_error(ErrorCode::kResourceLimit, "the graph has more than ", kMaxNodes, " nodes"));
  }
  const auto index = static_cast<int>(graph_.nodes.size());
  for (TensorType& type : *inferred) {
    node.outputs.push_back(static_cast<ValueId>(graph_.values.size()));
    graph_.values.push_back({"", std::move(type), ValueKind::kComputed, index, {}, nullptr});
  }
  graph_.nodes.push_back(std::move(node));
  return graph_.nodes.back().outputs;
}

const TensorType& Builder::type(ValueId id) const {
  // After an error lowering code goes on asking, so every dimension it may name is there.
  static const TensorType kNone{DType::kF32, Shape(std::vector<int64_t>(8, kUnknown)), nullptr};
  return id == kNoValue ? kNone : graph_.type(id);
}

ValueId Builder::fail(Error error) {
  if (status_.ok()) status_ = std::move(error);
  return kNoValue;
}

}  // namespace ew::ir
