#include "compress/quantize_plan.h"

#include <algorithm>
#include <map>

#include "ops/int8.h"
#include "ops/passes.h"

namespace ew::compress {
namespace {

using ir::Graph;
using ir::kNoValue;
using ir::Node;
using ir::QuantRule;
using ir::ValueId;
using ir::ValueKind;

bool is_fixed(const Graph& g, ValueId id) {
  const ValueKind kind = g.value(id).kind;
  return kind == ValueKind::kParameter || kind == ValueKind::kConstant;
}

bool has_int8_form(const Graph& g, const Node& node) {
  if (node.op->reference_i8 == nullptr || node.op->quant.kind == QuantRule::Kind::kNone) {
    return false;
  }
  if (node.outputs.size() != 1 || g.type(node.outputs[0]).dtype != DType::kF32) return false;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ValueId id = node.inputs[i];
    if (id == kNoValue) continue;
    if (g.type(id).dtype != DType::kF32) return false;
    if (i > 0 && has_kernel(node)) {
      // Scales are recorded by the parameter's name, so the kernel itself must be one.
      if (g.value(id).kind != ValueKind::kParameter) return false;
    }
  }
  const size_t flowing = has_kernel(node) ? 1 : node.inputs.size();
  return std::any_of(node.inputs.begin(),
                     node.inputs.begin() + static_cast<std::ptrdiff_t>(flowing),
                     [&](ValueId id) { return id != kNoValue && !is_fixed(g, id); });
}

std::vector<std::string> value_keys(const Graph& g) {
  std::vector<std::string> keys(g.values.size());
  for (size_t i = 0; i < g.values.size(); ++i) {
    if (g.values[i].kind != ValueKind::kComputed) keys[i] = g.values[i].name;
  }
  std::map<std::string, int64_t> counts;
  for (const Node& node : g.nodes) {
    const std::string layer = layer_of(node);
    for (const ValueId id : node.outputs) {
      keys[static_cast<size_t>(id)] = str(layer, ":", counts[layer]++);
    }
  }
  return keys;
}

}  // namespace

std::string border_key(const std::string& key) { return key + "/quantize"; }

std::string layer_of(const Node& node) {
  const size_t colon = node.origin.find(':');
  return colon == std::string::npos ? node.origin : node.origin.substr(colon + 1);
}

bool has_kernel(const Node& node) {
  return node.op == &ops::kConv || node.op == &ops::kDepthwiseConv || node.op == &ops::kDense;
}

int kernel_axis(const Graph& graph, const Node& node) {
  return graph.type(node.inputs[1]).shape.rank() - (node.op == &ops::kDepthwiseConv ? 2 : 1);
}

QuantizePlan plan_quantization(
    const Graph& g,
    const std::function<bool(const Node& node, const Node* clamp, const std::string& key)>& wants) {
  QuantizePlan plan{std::vector<NodePlan>(g.nodes.size()), value_keys(g)};
  const std::vector<int> uses = g.use_counts();
  std::vector<bool> is_int8_value(g.values.size(), false);
  std::vector<bool> stays_float(g.nodes.size(), false);
  for (const ValueId id : g.inputs) is_int8_value[static_cast<size_t>(id)] = true;

  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& clamp = g.nodes[i];
    if (!ops::clamp_bounds(clamp)) continue;
    const int producer = g.value(clamp.inputs[0]).producer;
    if (producer < 0 || uses[static_cast<size_t>(clamp.inputs[0])] != 1) continue;
    const Node& node = g.nodes[static_cast<size_t>(producer)];
    const bool fuses = node.attrs.has("clamp_min") && !ops::int8::has_clamp(node.attrs) &&
                       has_int8_form(g, node) && has_int8_form(g, clamp);
    if (fuses) plan.nodes[static_cast<size_t>(producer)].clamp = &clamp;
  }
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& node = g.nodes[i];
    NodePlan& n = plan.nodes[i];
    if (n.is_absorbed || stays_float[i] || !has_int8_form(g, node)) continue;
    // Moving values around is no reason to quantise them.
    const bool only_moves = node.op->quant.kind == QuantRule::Kind::kSameAsInput;
    if (only_moves && !is_int8_value[static_cast<size_t>(node.inputs[0])]) continue;
    const ValueId out = plan.output(g, i);
    n.is_int8 = wants(node, n.clamp, plan.keys[static_cast<size_t>(out)]);
    const auto last = static_cast<size_t>(g.value(out).producer);
    if (n.is_int8) {
      is_int8_value[static_cast<size_t>(out)] = true;
      if (n.clamp) plan.nodes[last].is_absorbed = true;
    } else if (n.clamp) {
      // The clamp is a node of its own again, and in float like its producer.
      stays_float[last] = true;
      n.clamp = nullptr;
    }
  }
  return plan;
}

}  // namespace ew::compress
