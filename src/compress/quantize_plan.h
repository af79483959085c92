#pragma once
// Which nodes of an inference graph become integer nodes; shared by making a record and by
// rebuilding the graph from it. Internal to compress.

#include <functional>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace ew::compress {

/// One node, or a node and the clamp (relu, relu6, clip) fused into it.
struct NodePlan {
  bool is_int8 = false;
  const ir::Node* clamp = nullptr;  ///< fused into this node
  bool is_absorbed = false;         ///< this node is the clamp of another one
};

struct QuantizePlan {
  std::vector<NodePlan> nodes;
  /// Per value: its key in a QuantizationRecord. Inputs: their name; computed values: the layer and
  /// the number of the value within it ("conv2d:0"); parameters: their name.
  std::vector<std::string> keys;

  /// The value that the int8 form of node `i` produces.
  ir::ValueId output(const ir::Graph& graph, size_t i) const {
    const NodePlan& n = nodes[i];
    return n.clamp ? n.clamp->outputs[0] : graph.nodes[i].outputs[0];
  }
};

/// Key of the quantisation at which a value enters int8, where its producer stays in float.
std::string border_key(const std::string& key);

/// The layer of a node: its origin without the format.
std::string layer_of(const ir::Node& node);

/// Plans `graph`; among the nodes that have an integer form `wants` decides, from the node (or its
/// fused clamp) and the key of the unit's output.
QuantizePlan plan_quantization(const ir::Graph& graph,
                               const std::function<bool(const ir::Node& node, const ir::Node* clamp,
                                                        const std::string& key)>& wants);

/// Whether the node multiplies by a kernel (conv, depthwise_conv, dense).
bool has_kernel(const ir::Node& node);
/// The axis of its kernel's output channels.
int kernel_axis(const ir::Graph& graph, const ir::Node& node);

}  // namespace ew::compress
