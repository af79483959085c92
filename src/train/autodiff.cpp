#include "train/autodiff.h"

#include <algorithm>

#include "ir/passes.h"
#include "ops/gradient.h"

namespace ew::train {
namespace {

using ir::Builder;
using ir::kNoValue;
using ir::Node;
using ir::ValueId;
using ir::ValueKind;

/// A value that the caller fills in before a run, outside graph.inputs.
ValueId add_side_input(ir::Graph& graph, std::string name, ir::TensorType type) {
  graph.values.push_back({std::move(name), std::move(type), ValueKind::kInput, -1, {}, nullptr});
  return static_cast<ValueId>(graph.values.size() - 1);
}

class Scope final : public ops::TrainingScope {
 public:
  Scope(TrainingGraph& result, int64_t seed) : result_(result), seed_(seed) {}
  ValueId step() override {
    if (result_.step == kNoValue) {
      result_.step = add_side_input(result_.graph, "training_step", {DType::kI64, {}, nullptr});
    }
    return result_.step;
  }
  int64_t seed() const override { return seed_; }
  int64_t next_stream() override { return stream_++; }
  void add_update(ValueId parameter, ValueId value) override {
    result_.graph.updates.push_back({parameter, value});
  }

 private:
  TrainingGraph& result_;
  int64_t seed_;
  int64_t stream_ = 0;
};

/// Copies `from` node by node, each in its training form; fills `moved` (old id -> new id).
Status copy_forward(const ir::Graph& from, Builder& b, Scope& scope, std::vector<ValueId>& moved) {
  ir::Graph& to = b.graph();
  moved.assign(from.values.size(), kNoValue);
  for (size_t i = 0; i < from.values.size(); ++i) {
    if (from.values[i].kind == ValueKind::kComputed) continue;
    moved[i] = static_cast<ValueId>(to.values.size());
    to.values.push_back(from.values[i]);
  }
  const auto map = [&](ValueId id) { return id == kNoValue ? id : moved[static_cast<size_t>(id)]; };
  for (const ValueId id : from.inputs) to.inputs.push_back(map(id));
  for (const ir::Update& u : from.updates) {
    // Updates that inference makes too (recurrent state) keep their meaning.
    to.updates.push_back({map(u.parameter), u.value});
  }
  for (const Node& node : from.nodes) {
    std::vector<ValueId> inputs;
    for (const ValueId id : node.inputs) inputs.push_back(map(id));
    b.set_origin(node.origin);
    std::vector<ValueId> outputs;
    const ops::Gradient* facet = ops::find_gradient(*node.op);
    if (facet != nullptr && facet->training != nullptr) {
      outputs = facet->training(b, node, inputs, scope);
    } else if (node.op->is_training_dependent) {
      return unsupported(node.origin, ": ", node.op->name, " has no training form (see ops.def)");
    } else {
      outputs = b.add_multi(*node.op, inputs, node.attrs);
    }
    EW_TRY_VOID(b.status());
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const ir::Value& old = from.value(node.outputs[i]);
      ir::Value& value = to.value(outputs[i]);
      if (value.name.empty()) value.name = old.name;
      moved[static_cast<size_t>(node.outputs[i])] = outputs[i];
    }
  }
  for (size_t i = 0; i < from.updates.size(); ++i) to.updates[i].value = map(to.updates[i].value);
  for (const ValueId id : from.outputs) to.outputs.push_back(map(id));
  for (const ValueId id : from.losses) to.losses.push_back(map(id));
  for (const ValueId id : from.output_masks) to.output_masks.push_back(map(id));
  return {};
}

/// Which values lie on a path from a trainable parameter.
std::vector<bool> values_with_gradient(const ir::Graph& graph) {
  std::vector<bool> has(graph.values.size(), false);
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const ir::Value& value = graph.values[i];
    has[i] = value.kind == ValueKind::kParameter && value.info->is_trainable &&
             is_floating(value.type.dtype);
  }
  for (const Node& node : graph.nodes) {
    const bool any = std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) {
      return id != kNoValue && has[static_cast<size_t>(id)];
    });
    for (const ValueId id : node.outputs) {
      has[static_cast<size_t>(id)] = any && is_floating(graph.type(id).dtype);
    }
  }
  return has;
}

/// Gradients accumulated so far, by value.
class Gradients {
 public:
  explicit Gradients(Builder& b) : b_(b), of_(b.graph().values.size(), kNoValue) {}
  ValueId get(ValueId id) const {
    return static_cast<size_t>(id) < of_.size() ? of_[static_cast<size_t>(id)] : kNoValue;
  }
  void add(ValueId id, ValueId gradient) {
    ValueId& slot = of_[static_cast<size_t>(id)];
    slot = slot == kNoValue ? gradient : b_.add(ops::kAdd, {slot, gradient});
  }

 private:
  Builder& b_;
  std::vector<ValueId> of_;
};

Status add_backward(Builder& b, size_t forward_nodes, const std::vector<bool>& has_gradient,
                    Gradients& gradients) {
  for (size_t i = forward_nodes; i-- > 0;) {
    const Node node = b.graph().nodes[i];  // a copy: adding nodes moves the others
    std::vector<ValueId> dy;
    bool any = false;
    for (const ValueId id : node.outputs) {
      dy.push_back(gradients.get(id));
      any = any || (dy.back() != kNoValue && has_gradient[static_cast<size_t>(id)]);
    }
    if (!any) continue;
    const ops::Gradient* facet = ops::find_gradient(*node.op);
    if (facet == nullptr || facet->grad == nullptr) {
      return unsupported(node.origin.empty() ? "" : node.origin + ": ", node.op->name,
                         " has no gradient (see ops.def)");
    }
    b.set_origin(node.origin);
    const std::vector<ValueId> dx = facet->grad(b, node, dy);
    EW_TRY_VOID(b.status());
    for (size_t j = 0; j < node.inputs.size() && j < dx.size(); ++j) {
      if (node.inputs[j] == kNoValue || dx[j] == kNoValue) continue;
      if (has_gradient[static_cast<size_t>(node.inputs[j])]) gradients.add(node.inputs[j], dx[j]);
    }
    EW_TRY_VOID(b.status());
  }
  return {};
}

bool ends_in(const ir::Graph& graph, ValueId output, const ir::OpDef& op) {
  const Node* node = graph.producer(output);
  return node != nullptr && node->op == &op;
}

}  // namespace

bool ends_in_softmax(const ir::Graph& graph, ValueId output) {
  if (!ends_in(graph, output, ops::kSoftmax)) return false;
  const int64_t axis = graph.producer(output)->attrs.integer("axis");
  return axis == -1 || axis == graph.type(output).shape.rank() - 1;
}

bool ends_in_sigmoid(const ir::Graph& graph, ValueId output) {
  return ends_in(graph, output, ops::kSigmoid);
}

Result<TrainingGraph> make_training_graph(const ir::Graph& graph,
                                          const std::vector<LossSource>& sources, int64_t seed) {
  TrainingGraph result;
  Builder b(result.graph);
  Scope scope(result, seed);
  std::vector<ValueId> moved;
  EW_TRY_VOID(copy_forward(graph, b, scope, moved));
  ir::Graph& g = result.graph;
  result.forward_nodes = g.nodes.size();

  const std::vector<bool> has_gradient = values_with_gradient(g);
  for (size_t i = 0; i < g.outputs.size(); ++i) {
    ValueId read = g.outputs[i];
    if (sources[i] == LossSource::kActivation) read = g.producer(read)->inputs[0];
    result.loss_inputs.push_back(read);
  }
  for (const ValueId id : result.loss_inputs) {
    result.loss_gradients.push_back(add_side_input(g, "loss_gradient", g.type(id)));
  }
  Gradients gradients(b);
  for (size_t i = 0; i < result.loss_inputs.size(); ++i) {
    gradients.add(result.loss_inputs[i], result.loss_gradients[i]);
  }
  for (const ValueId id : g.losses) {
    if (has_gradient[static_cast<size_t>(id)]) gradients.add(id, b.scalar(1, g.type(id).dtype));
  }
  EW_TRY_VOID(add_backward(b, result.forward_nodes, has_gradient, gradients));

  for (const ValueId id : g.parameters()) {
    if (!has_gradient[static_cast<size_t>(id)]) continue;
    result.parameters.push_back(id);
    result.gradients.push_back(gradients.get(id));
  }
  std::vector<ValueId> keep = result.gradients;
  keep.insert(keep.end(), result.loss_inputs.begin(), result.loss_inputs.end());
  ir::remove_dead_nodes(g, keep, result.forward_nodes);
  return result;
}

}  // namespace ew::train
