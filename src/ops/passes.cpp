#include "ops/passes.h"

#include <algorithm>

#include "ir/passes.h"
#include "ir/rewriter.h"
#include "ops/int8.h"

namespace ew::ops {
namespace {

using ir::Graph;
using ir::Rewriter;
using ir::Value;
using ir::ValueKind;

// y = x * scale + shift with scale = gamma / sqrt(variance + epsilon), shift = beta - mean * scale;
// fold_constants() makes constants of both.
ValueId lower_batch_norm(Builder& b, const Node& node, const std::vector<ValueId>& in) {
  const TensorType type = b.type(in[0]);
  const Result<int> axis = normalize_axis(node.attrs.integer("axis"), type.shape.rank());
  if (!axis.ok()) return b.fail(axis.error());
  const DType dtype = b.type(in[4]).dtype;
  ValueId scale =
      b.add(kRsqrt, {b.add(kAdd, {in[4], b.scalar(node.attrs.number("epsilon"), dtype)})});
  if (in[1] != kNoValue) scale = b.add(kMul, {scale, in[1]});
  ValueId shift = b.add(kNeg, {b.add(kMul, {in[3], scale})});
  if (in[2] != kNoValue) shift = b.add(kAdd, {shift, in[2]});
  std::vector<int64_t> along(static_cast<size_t>(type.shape.rank() - *axis), 1);
  along[0] = b.ok() ? b.shape(in[4])[0] : 1;
  scale = b.add(kReshape, {scale}, {{"shape", along}});
  shift = b.add(kReshape, {shift}, {{"shape", along}});
  return b.add(kAdd, {b.add(kMul, {in[0], scale}), shift});
}

// Keras' ReLU layer as the plain function that it is for its attributes; kNoValue if it is none.
ValueId plain_relu(Builder& b, const Node& node, ValueId x) {
  const double max_value = node.attrs.number("alpha");
  const double slope = node.attrs.number("beta");
  if (node.attrs.number("gamma") != 0) return kNoValue;
  if (slope != 0) {
    return max_value < 0 ? b.add(kLeakyRelu, {x}, {{"alpha", slope}}) : kNoValue;
  }
  if (max_value < 0) return b.add(kRelu, {x});
  if (max_value == 6) return b.add(kRelu6, {x});
  return b.add(kClip, {x}, {{"alpha", 0.0}, {"beta", max_value}});
}

// The form of `node` that every later pass and target knows; kNoValue if it is that already.
ValueId canonical(Builder& b, const Node& node, const std::vector<ValueId>& in) {
  if (node.op == &kDropout) return in[0];
  if (node.op == &kBatchNorm) return lower_batch_norm(b, node, in);
  if (node.op == &kReluGeneral) return plain_relu(b, node, in[0]);
  return kNoValue;
}

}  // namespace

Result<Graph> to_inference(const Graph& graph) {
  Rewriter out(graph);
  for (const Node& node : graph.nodes) {
    out.b().set_origin(node.origin);
    const ValueId y = canonical(out.b(), node, out.inputs(node));
    if (y != kNoValue) {
      if (node.op != &kDropout) out.b().graph().value(y).name = graph.value(node.outputs[0]).name;
      out.map(node.outputs[0], y);
    } else if (node.op->is_training_dependent) {
      if (!out.b().ok()) break;
      return unsupported(node.origin, ": ", node.op->name, " has no inference form");
    } else {
      out.copy(node);
    }
  }
  EW_TRY(Graph result, out.finish());
  result.losses.clear();
  result.updates.clear();
  ir::remove_dead_nodes(result);
  return result;
}

Result<Graph> lower_for_int8(const Graph& graph) {
  Rewriter out(graph);
  for (const Node& node : graph.nodes) {
    if (node.op != &kSilu) {
      out.copy(node);
      continue;
    }
    out.b().set_origin(node.origin);
    const ValueId x = out.at(node.inputs[0]);
    const ValueId y = out.b().add(kMul, {x, out.b().add(kSigmoid, {x})});
    if (out.b().ok()) out.b().graph().value(y).name = graph.value(node.outputs[0]).name;
    out.map(node.outputs[0], y);
  }
  return out.finish();
}

Result<Graph> fold_constants(const Graph& graph, const FoldOptions& options) {
  Rewriter out(graph);
  Graph& g = out.b().graph();
  const auto is_fixed = [&](ValueId id) {
    if (id == kNoValue) return true;
    const ValueKind kind = g.value(id).kind;
    return kind == ValueKind::kConstant || (kind == ValueKind::kParameter && options.parameters);
  };
  for (const Node& node : graph.nodes) {
    const std::vector<ValueId> in = out.inputs(node);
    bool folds = std::all_of(in.begin(), in.end(), is_fixed) && !node.op->is_training_dependent &&
                 !in.empty();
    for (const ValueId id : node.outputs) {
      const TensorType& type = graph.type(id);
      folds &= type.shape.is_static() && type.shape.num_elements() <= options.max_elements;
    }
    if (!folds) {
      out.copy(node);
      continue;
    }
    std::vector<ConstTensorView> views;
    for (const ValueId id : in) {
      views.push_back(id == kNoValue ? ConstTensorView() : ConstTensorView(g.value(id).data));
    }
    std::vector<Tensor> results;
    for (const ValueId id : node.outputs) results.emplace_back(graph.type(id));
    std::vector<TensorView> targets;
    for (Tensor& t : results) targets.emplace_back(t);
    ir::evaluate(*node.op, views, targets, node.attrs, graph.int8_profile);
    for (size_t i = 0; i < results.size(); ++i) {
      const ValueId constant =
          out.b().constant(std::move(results[i]), graph.value(node.outputs[i]).name);
      out.map(node.outputs[i], constant);
    }
  }
  EW_TRY(Graph result, out.finish());
  ir::remove_dead_nodes(result);
  return result;
}

std::optional<std::pair<double, double>> clamp_bounds(const Node& node) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (node.op == &kRelu) return std::pair(0.0, kInfinity);
  if (node.op == &kRelu6) return std::pair(0.0, 6.0);
  if (node.op == &kClip) return std::pair(node.attrs.number("alpha"), node.attrs.number("beta"));
  return std::nullopt;
}

Result<Graph> fuse_clamps(const Graph& graph,
                          const std::function<bool(const Node& producer)>& may_fuse) {
  const std::vector<int> uses = graph.use_counts();
  std::vector<const Node*> clamp_after(graph.nodes.size(), nullptr);
  std::vector<bool> is_fused(graph.nodes.size(), false);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (!clamp_bounds(node)) continue;
    const Node* producer = graph.producer(node.inputs[0]);
    if (producer == nullptr || !producer->attrs.has("clamp_min")) continue;
    if (int8::has_clamp(producer->attrs)) continue;
    if (uses[static_cast<size_t>(node.inputs[0])] != 1) continue;
    if (!is_floating(graph.type(node.inputs[0]).dtype)) continue;
    if (may_fuse && !may_fuse(*producer)) continue;
    clamp_after[static_cast<size_t>(graph.value(node.inputs[0]).producer)] = &node;
    is_fused[i] = true;
  }
  Rewriter out(graph);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (is_fused[i]) continue;
    Node node = graph.nodes[i];
    const Node* clamp = clamp_after[i];
    if (clamp != nullptr) {
      const auto [min, max] = *clamp_bounds(*clamp);
      node.attrs.set("clamp_min", min);
      node.attrs.set("clamp_max", max);
    }
    out.copy(node);
    if (clamp != nullptr && out.b().ok()) {
      const ValueId y = out.at(node.outputs[0]);
      out.b().graph().value(y).name = graph.value(clamp->outputs[0]).name;
      out.map(clamp->outputs[0], y);
    }
  }
  return out.finish();
}

}  // namespace ew::ops
