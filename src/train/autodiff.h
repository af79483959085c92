#pragma once
// Reverse-mode differentiation: a model's graph in training form, followed by its backward pass.

#include <vector>

#include "ir/graph.h"

namespace ew::train {

/// What the loss of one output reads.
enum class LossSource {
  kOutput,      ///< the output itself
  kActivation,  ///< the input of the softmax or sigmoid that produces the output
};

struct TrainingGraph {
  /// Nodes [0, forward_nodes) compute the predictions and losses, the others the gradients. The
  /// graph's outputs are the predictions; its updates hold the new moving averages.
  ir::Graph graph;
  size_t forward_nodes = 0;
  /// Per output: what the loss reads, and the value to fill with the loss's derivative by it
  /// between the two parts (not in graph.inputs).
  std::vector<ir::ValueId> loss_inputs;
  std::vector<ir::ValueId> loss_gradients;
  /// Trainable parameters and, for each, its gradient (kNoValue if no loss depends on it).
  std::vector<ir::ValueId> parameters;
  std::vector<ir::ValueId> gradients;
  /// int64 scalar to set to the step's number before each run, or kNoValue if nothing random needs
  /// it (not in graph.inputs).
  ir::ValueId step = ir::kNoValue;
};

/// `graph` must have static shapes. `sources` has one entry per output; kActivation requires that
/// ends_in_activation() holds for it. `seed` feeds the random operators.
/// Errors: kUnsupported names an operator without a gradient on the path to a parameter.
Result<TrainingGraph> make_training_graph(const ir::Graph& graph,
                                          const std::vector<LossSource>& sources, int64_t seed);

/// Whether `output` comes straight from a softmax over the last axis, or from a sigmoid.
bool ends_in_softmax(const ir::Graph& graph, ir::ValueId output);
bool ends_in_sigmoid(const ir::Graph& graph, ir::ValueId output);

}  // namespace ew::train
