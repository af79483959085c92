#pragma once
// Graph passes that know operators. Each takes a graph and returns a new one; value ids change.

#include <functional>
#include <optional>
#include <utility>

#include "ops/ops.h"

namespace ew::ops {

/// The stage kCanonical for inference: dropout vanishes, batch_norm becomes a multiplication and an
/// addition of its moving averages (fold_constants() makes constants of them), Keras' ReLU becomes
/// relu, relu6, clip or leaky_relu; losses and updates are dropped. Error kUnsupported for another
/// operator that behaves differently in training.
Result<ir::Graph> to_inference(const ir::Graph& graph);

/// Splits what has no integer definition into operators that have one, as the TFLite converter
/// does: silu becomes mul and sigmoid.
Result<ir::Graph> lower_for_int8(const ir::Graph& graph);

struct FoldOptions {
  /// Take parameters as constants too. Nodes are then folded only where all inputs are; parameters
  /// that other nodes use stay parameters.
  bool parameters = true;
  /// Larger results are left to be computed at run time (a broadcast is small as a node).
  int64_t max_elements = int64_t{1} << 24;
};

/// Replaces nodes whose inputs never change by their results.
Result<ir::Graph> fold_constants(const ir::Graph& graph, const FoldOptions& options = {});

/// The real bounds of relu, relu6 and clip nodes; nothing for other operators.
std::optional<std::pair<double, double>> clamp_bounds(const Node& node);

/// Fuses relu, relu6 and clip into the node before them (clamp_min and clamp_max), where that has
/// the attributes and no other user. `may_fuse`, if set, decides per producer.
Result<ir::Graph> fuse_clamps(const ir::Graph& graph,
                              const std::function<bool(const Node& producer)>& may_fuse = {});

/// Multiplications and additions of per-channel constants that follow a float convolution,
/// depthwise convolution or dense layer alone become part of its kernel and bias: folded batch
/// normalisation. Results change by rounding only.
Result<ir::Graph> fold_scales(const ir::Graph& graph);

/// Zeros that a pad node puts around the spatial dimensions of a convolution's or depthwise
/// convolution's input become its explicit padding.
Result<ir::Graph> fuse_pads(const ir::Graph& graph);

/// Of nodes that compute the same from the same values, the first stays, and so do nodes that
/// compute an output of the graph.
Result<ir::Graph> remove_common_subexpressions(const ir::Graph& graph);

/// All of these passes in the order in which they help each other: what an engine should run.
Result<ir::Graph> fuse_for_execution(const ir::Graph& graph);

}  // namespace ew::ops
