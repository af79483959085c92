// Passes that make fewer nodes of an inference graph.
#include <algorithm>
#include <map>
#include <tuple>

#include "ir/passes.h"
#include "ir/rewriter.h"
#include "ops/int8.h"
#include "ops/passes.h"

namespace ew::ops {
namespace {

using ir::Graph;
using ir::Rewriter;
using ir::Value;
using ir::ValueKind;

bool is_product(const Node& node) {
  return node.op == &kConv || node.op == &kDepthwiseConv || node.op == &kDense;
}

// The one node that uses each value, or -1 where none or several do, or the graph itself does.
std::vector<int> only_users(const Graph& graph) {
  std::vector<int> user(graph.values.size(), -1);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const ValueId id : graph.nodes[i].inputs) {
      if (id != kNoValue) user[static_cast<size_t>(id)] = static_cast<int>(i);
    }
  }
  const std::vector<int> uses = graph.use_counts();
  for (size_t v = 0; v < user.size(); ++v) {
    if (uses[v] != 1) user[v] = -1;
  }
  return user;
}

bool is_f32_data(const Value& value) {
  return value.kind != ValueKind::kComputed && value.data.size() > 0 &&
         value.type.dtype == DType::kF32;
}

// One element for each of `channels`, if `value` is constant and varies along the last axis alone.
std::vector<float> channel_values(const Value& value, int64_t channels, int rank) {
  if (!is_f32_data(value) || value.type.shape.rank() > rank) return {};
  const std::span<const float> data = value.data.values<float>();
  if (data.size() == 1) return std::vector<float>(static_cast<size_t>(channels), data[0]);
  if (static_cast<int64_t>(data.size()) != channels || value.type.shape[-1] != channels) return {};
  return {data.begin(), data.end()};
}

// A product's kernel and bias while the multiplications and additions after it are taken in.
struct Affine {
  std::vector<float> scale;
  std::vector<float> shift;
  ValueId end = kNoValue;      // what the last node taken in computes
  const Node* last = nullptr;  // null: none was taken in
};

class ScaleFolder {
 public:
  explicit ScaleFolder(const Graph& graph)
      : graph_(graph), user_(only_users(graph)), is_taken_(graph.nodes.size(), false) {}

  Result<Graph> run() {
    Rewriter out(graph_);
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (is_taken_[i]) continue;
      const Node& node = graph_.nodes[i];
      const Affine affine = is_product(node) ? collect(node) : Affine{};
      if (affine.last == nullptr) {
        out.copy(node);
      } else {
        emit(out, node, affine);
      }
    }
    EW_TRY(Graph result, out.finish());
    ir::remove_dead_nodes(result);
    return result;
  }

 private:
  Affine collect(const Node& node) {
    Affine affine;
    const TensorType& type = graph_.type(node.outputs[0]);
    const Value& kernel = graph_.value(node.inputs[1]);
    const bool has_bias = node.inputs.size() > 2 && node.inputs[2] != kNoValue;
    if (type.dtype != DType::kF32 || int8::has_clamp(node.attrs) || !is_f32_data(kernel)) return {};
    if (has_bias && !is_f32_data(graph_.value(node.inputs[2]))) return {};
    const int64_t channels = type.shape[-1];
    affine.scale.assign(static_cast<size_t>(channels), 1);
    affine.shift.assign(static_cast<size_t>(channels), 0);
    if (has_bias) {
      const std::span<const float> bias = graph_.value(node.inputs[2]).data.values<float>();
      affine.shift.assign(bias.begin(), bias.end());
    }
    affine.end = node.outputs[0];
    while (user_[static_cast<size_t>(affine.end)] >= 0) {
      const auto next = static_cast<size_t>(user_[static_cast<size_t>(affine.end)]);
      if (!take(graph_.nodes[next], channels, type, affine)) break;
      is_taken_[next] = true;
    }
    return affine;
  }

  bool take(const Node& next, int64_t channels, const TensorType& type, Affine& affine) const {
    const bool is_mul = next.op == &kMul;
    if (!is_mul && next.op != &kAdd) return false;
    if (int8::has_clamp(next.attrs) || graph_.type(next.outputs[0]) != type) return false;
    const ValueId other = next.inputs[0] == affine.end ? next.inputs[1] : next.inputs[0];
    const std::vector<float> by = channel_values(graph_.value(other), channels, type.shape.rank());
    if (by.empty()) return false;
    for (size_t c = 0; c < by.size(); ++c) {
      if (is_mul) affine.scale[c] *= by[c];
      affine.shift[c] = is_mul ? affine.shift[c] * by[c] : affine.shift[c] + by[c];
    }
    affine.end = next.outputs[0];
    affine.last = &next;
    return true;
  }

  // Kernels have their output channels last (a depthwise kernel's two last axes are its channels).
  void emit(Rewriter& out, const Node& node, const Affine& affine) {
    const Value& kernel = graph_.value(node.inputs[1]);
    Tensor scaled = kernel.data;
    const std::span<float> w = scaled.mutable_values<float>();
    for (size_t i = 0; i < w.size(); ++i) w[i] *= affine.scale[i % affine.scale.size()];
    Node folded = node;
    Tensor bias = Tensor::from(affine.shift, Shape{static_cast<int64_t>(affine.shift.size())});
    std::vector<ValueId> in = out.inputs(node);
    in.resize(3, kNoValue);
    in[1] = out.b().constant(std::move(scaled), kernel.name);
    in[2] = out.b().constant(std::move(bias));
    out.b().set_origin(node.origin);
    const ValueId y = out.b().add(*node.op, in, node.attrs);
    if (!out.b().ok()) return;
    out.b().graph().value(y).name = graph_.value(affine.end).name;
    out.map(affine.end, y);
  }

  const Graph& graph_;
  std::vector<int> user_;
  std::vector<bool> is_taken_;
};

// Pads of the spatial dimensions, begins then ends, if `pad` puts zeros around those alone.
std::optional<std::vector<int64_t>> spatial_pads(const Node& pad) {
  if (pad.op != &kPad || pad.attrs.number("value") != 0) return std::nullopt;
  const std::vector<int64_t>& pads = pad.attrs.ints("pads");
  const size_t rank = pads.size() / 2;
  if (rank < 3) return std::nullopt;
  for (const size_t d : {size_t{0}, rank - 1}) {
    if (pads[d] != 0 || pads[rank + d] != 0) return std::nullopt;
  }
  std::vector<int64_t> out(pads.begin() + 1, pads.begin() + static_cast<int64_t>(rank) - 1);
  out.insert(out.end(), pads.begin() + static_cast<int64_t>(rank) + 1, pads.end() - 1);
  return out;
}

}  // namespace

Result<Graph> fold_scales(const Graph& graph) { return ScaleFolder(graph).run(); }

Result<Graph> fuse_pads(const Graph& graph) {
  Rewriter out(graph);
  for (const Node& node : graph.nodes) {
    const Node* pad = graph.producer(node.inputs.empty() ? kNoValue : node.inputs[0]);
    const bool is_windowed = node.op == &kConv || node.op == &kDepthwiseConv;
    std::optional<std::vector<int64_t>> pads;
    if (is_windowed && pad != nullptr && node.attrs.text("padding") != "same") {
      pads = spatial_pads(*pad);
    }
    if (!pads) {
      out.copy(node);
      continue;
    }
    Node fused = node;
    if (node.attrs.text("padding") == "explicit") {
      const std::vector<int64_t>& own = node.attrs.ints("pads");
      for (size_t i = 0; i < own.size(); ++i) (*pads)[i] += own[i];
    }
    fused.attrs.set("padding", std::string("explicit"));
    fused.attrs.set("pads", *pads);
    fused.inputs[0] = pad->inputs[0];
    out.copy(fused);
  }
  EW_TRY(Graph result, out.finish());
  ir::remove_dead_nodes(result);
  return result;
}

Result<Graph> remove_common_subexpressions(const Graph& graph) {
  Rewriter out(graph);
  std::vector<bool> is_end(graph.values.size(), false);
  for (const ValueId id : graph.outputs) is_end[static_cast<size_t>(id)] = true;
  std::map<std::pair<const OpDef*, std::vector<ValueId>>, std::vector<const Node*>> seen;
  for (const Node& node : graph.nodes) {
    const bool is_output = std::any_of(node.outputs.begin(), node.outputs.end(),
                                       [&](ValueId id) { return is_end[static_cast<size_t>(id)]; });
    std::vector<const Node*>& alike = seen[{node.op, out.inputs(node)}];
    const auto first = std::find_if(alike.begin(), alike.end(), [&](const Node* other) {
      if (is_output || other->attrs != node.attrs || node.op->is_training_dependent) return false;
      return std::equal(node.outputs.begin(), node.outputs.end(), other->outputs.begin(),
                        other->outputs.end(),
                        [&](ValueId a, ValueId b) { return graph.type(a) == graph.type(b); });
    });
    if (first != alike.end()) {
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        out.map(node.outputs[i], out.at((*first)->outputs[i]));
      }
      continue;
    }
    out.copy(node);
    alike.push_back(&node);
  }
  return out.finish();
}

Result<Graph> fuse_for_execution(const Graph& graph) {
  EW_TRY(const Graph unique, remove_common_subexpressions(graph));
  EW_TRY(const Graph scaled, fold_scales(unique));
  EW_TRY(const Graph padded, fuse_pads(scaled));
  return fuse_clamps(padded);
}

}  // namespace ew::ops
