#include "compress/fold_batch_norm.h"

#include <algorithm>
#include <cmath>

#include "compress/architecture.h"
#include "ir/passes.h"
#include "ops/ops.h"

namespace ew::compress {
namespace {

using ir::Graph;
using ir::kNoValue;
using ir::Node;
using ir::Tensor;
using ir::Value;
using ir::ValueId;
using ir::ValueKind;

// A batch_norm node and the product before it.
struct Pair {
  size_t producer = 0;
  size_t norm = 0;
};

bool is_own_parameter(const Graph& g, const std::vector<int>& uses, ValueId id) {
  const Value& v = g.value(id);
  return v.kind == ValueKind::kParameter && v.info && v.type.dtype == DType::kF32 &&
         uses[static_cast<size_t>(id)] == 1;
}

// The node's optional input, or kNoValue.
ValueId input_of(const Node& node, size_t index) {
  return index < node.inputs.size() ? node.inputs[index] : kNoValue;
}

bool matches(const Graph& g, const std::vector<int>& uses, const Node& norm) {
  const Node* p = g.producer(norm.inputs[0]);
  if (p == nullptr || uses[static_cast<size_t>(norm.inputs[0])] != 1) return false;
  if (p->op != &ops::kConv && p->op != &ops::kDepthwiseConv && p->op != &ops::kDense) return false;
  const int rank = g.type(norm.inputs[0]).shape.rank();
  const Result<int> axis = normalize_axis(norm.attrs.integer("axis"), rank);
  if (!axis.ok() || *axis != rank - 1) return false;
  for (size_t i = 1; i < 5; ++i) {
    const ValueId id = input_of(norm, i);
    if (id != kNoValue && !is_own_parameter(g, uses, id)) return false;
  }
  const ValueId bias = input_of(*p, 2);
  return is_own_parameter(g, uses, p->inputs[1]) &&
         (bias == kNoValue || is_own_parameter(g, uses, bias));
}

struct Affine {
  std::vector<double> scale;
  std::vector<double> shift;
};

Affine affine_of(const Graph& g, const Node& norm) {
  const auto values = [&](size_t i) {
    const ValueId id = input_of(norm, i);
    return id == kNoValue ? std::span<const float>() : g.value(id).data.values<float>();
  };
  const auto gamma = values(1);
  const auto beta = values(2);
  const auto mean = values(3);
  const auto variance = values(4);
  Affine a;
  for (size_t c = 0; c < mean.size(); ++c) {
    const double scale = (gamma.empty() ? 1.0 : double{gamma[c]}) /
                         std::sqrt(double{variance[c]} + norm.attrs.number("epsilon"));
    a.scale.push_back(scale);
    a.shift.push_back((beta.empty() ? 0.0 : double{beta[c]}) - double{mean[c]} * scale);
  }
  return a;
}

// The number that a `.keras` file would give the layer's next weight.
std::string next_store_path(const Graph& g, const ir::ParameterInfo& kernel) {
  const size_t slash = kernel.store_path.rfind('/');
  if (slash == std::string::npos) return kernel.store_path;
  int64_t count = 0;
  for (const ValueId id : g.parameters()) count += g.value(id).info->layer == kernel.layer;
  return str(kernel.store_path.substr(0, slash + 1), count);
}

// Adds a zero bias behind the node's kernel; `order` receives its place.
void add_bias(Graph& g, Node& node, int64_t channels, std::vector<ValueId>& order) {
  const ValueId kernel = node.inputs[1];
  ir::ParameterInfo info = *g.value(kernel).info;
  info.store_path = next_store_path(g, info);
  info.name = "bias";
  info.regularizer = {};
  info.constraint = {};
  const std::string kernel_name = g.value(kernel).name;
  const size_t at = kernel_name.rfind(g.value(kernel).info->name);
  Value bias;
  bias.name = at == std::string::npos ? info.layer + "/bias" : kernel_name.substr(0, at) + "bias";
  bias.kind = ValueKind::kParameter;
  bias.data = Tensor(DType::kF32, Shape{channels});
  bias.type = bias.data.type();
  bias.info = std::make_shared<const ir::ParameterInfo>(std::move(info));
  const auto id = static_cast<ValueId>(g.values.size());
  g.values.push_back(std::move(bias));
  node.inputs.resize(3, kNoValue);
  node.inputs[2] = id;
  order.insert(std::find(order.begin(), order.end(), kernel) + 1, id);
}

void fold(Graph& g, const Pair& pair, std::vector<ValueId>& order) {
  Node& node = g.nodes[pair.producer];
  const Node& norm = g.nodes[pair.norm];
  const Affine a = affine_of(g, norm);
  const size_t channels = a.scale.size();
  if (input_of(node, 2) == kNoValue) add_bias(g, node, static_cast<int64_t>(channels), order);
  // Output channels are the last dimension; a depthwise kernel's two last ones, flattened.
  const std::span<float> kernel = g.value(node.inputs[1]).data.mutable_values<float>();
  for (size_t i = 0; i < kernel.size(); ++i) {
    kernel[i] = static_cast<float>(double{kernel[i]} * a.scale[i % channels]);
  }
  const std::span<float> bias = g.value(node.inputs[2]).data.mutable_values<float>();
  for (size_t c = 0; c < channels; ++c) {
    bias[c] = static_cast<float>(double{bias[c]} * a.scale[c] + a.shift[c]);
  }
  for (size_t i = 1; i < norm.inputs.size(); ++i) std::erase(order, norm.inputs[i]);
  std::erase(order, node.outputs[0]);
  node.outputs[0] = norm.outputs[0];
}

// Drops the layer from the configuration; false, and nothing changed, if that cannot be done.
bool fold_layer(Config& architecture, const std::string& norm, const std::string& producer) {
  if (architecture.is_null()) return true;
  Config* layer = find_layer(architecture, producer);
  if (layer == nullptr || !can_bypass(architecture, norm, producer)) return false;
  Config config = (*layer)["config"];
  config.set("use_bias", true);
  layer->set("config", std::move(config));
  bypass_layer(architecture, norm, producer);
  return true;
}

}  // namespace

Result<ir::Model> fold_batch_norm(const ir::Model& model, std::vector<std::string>* folded) {
  ir::Model out = model;
  Graph& g = out.graph;
  const std::vector<int> uses = g.use_counts();
  std::vector<ValueId> order;
  for (size_t i = 0; i < g.values.size(); ++i) order.push_back(static_cast<ValueId>(i));
  std::vector<bool> is_removed(g.nodes.size(), false);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (g.nodes[i].op != &ops::kBatchNorm || !matches(g, uses, g.nodes[i])) continue;
    const auto producer = static_cast<size_t>(g.value(g.nodes[i].inputs[0]).producer);
    const std::string norm_layer = g.value(g.nodes[i].inputs[3]).info->layer;
    const std::string producer_layer = g.value(g.nodes[producer].inputs[1]).info->layer;
    if (!fold_layer(out.architecture.config, norm_layer, producer_layer)) continue;
    fold(g, {producer, i}, order);
    is_removed[i] = true;
    if (folded != nullptr) folded->push_back(norm_layer);
  }
  if (std::none_of(is_removed.begin(), is_removed.end(), [](bool b) { return b; })) return out;
  std::vector<Node> nodes;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (!is_removed[i]) nodes.push_back(std::move(g.nodes[i]));
  }
  g.nodes = std::move(nodes);
  ir::reorder_values(g, order);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    for (const ValueId id : g.nodes[i].outputs) g.value(id).producer = static_cast<int>(i);
  }
  if (out.compiled) {
    out.compiled->slots.clear();
    out.compiled->iterations = 0;
  }
  EW_TRY_VOID(ir::verify(g, ir::Stage::kImported));
  return out;
}

}  // namespace ew::compress
