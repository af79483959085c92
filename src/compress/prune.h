#pragma once
// Magnitude pruning while training: the smallest weights become zero and stay zero, more of them
// along the polynomial schedule of Zhu and Gupta (arXiv 1710.01878).

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace ew::compress {

/// Sparsity at step t: final + (initial - final) * (1 - (t - begin) / (end - begin))^power, updated
/// every `frequency` steps from `begin_step` to `end_step` (TensorFlow Model Optimization's
/// PolynomialDecay).
struct PruneSchedule {
  double initial_sparsity = 0;
  double final_sparsity = 0.5;
  int64_t begin_step = 0;
  int64_t end_step = 0;
  int64_t frequency = 100;
  double power = 3;

  /// The sparsity that the masks should have after `step` (clamped to the schedule's ends).
  double sparsity_at(int64_t step) const;
  /// Whether the masks are recomputed after `step`; always true at end_step.
  bool updates_at(int64_t step) const;
};

struct PruneOptions {
  PruneSchedule schedule = {};
  /// One threshold over all prunable weights instead of one per layer.
  bool global_threshold = false;
  /// Layers that are not pruned.
  std::vector<std::string> keep_dense = {};
};

/// Whether a parameter is pruned: trainable float32 kernels of rank 2 or more. Biases,
/// normalisation and embeddings are not.
bool is_prunable(const ir::Value& parameter);

/// Masks for the parameters of one graph. Parameters are spans in the order of graph.parameters(),
/// or of any list of values given to the constructor; entries that are not prunable are ignored.
/// Not thread-safe.
class Pruner {
 public:
  Pruner(std::span<const ir::Value* const> parameters, PruneOptions options);
  /// The parameters of a graph, in order.
  Pruner(const ir::Graph& graph, PruneOptions options);

  /// After the optimizer's update number `step` (counted from 0): recomputes the masks where the
  /// schedule says so and zeroes the masked weights. Always call it, also between mask updates:
  /// the optimizer moves masked weights away from zero.
  void on_step(int64_t step, std::span<const std::span<float>> parameters);

  /// Sets the masks to `sparsity` at once (one-shot), and applies them.
  void prune_now(double sparsity, std::span<const std::span<float>> parameters);

  /// Zeroes the masked weights.
  void apply(std::span<const std::span<float>> parameters) const;

  /// Masked share of the prunable weights.
  double sparsity() const;

 private:
  void update_layer(size_t index, double sparsity, std::span<const float> weights);
  void update_all(double sparsity, std::span<const std::span<float>> parameters);

  PruneOptions options_;
  std::vector<std::vector<bool>> is_zero_;  // per parameter; empty: not prunable
};

/// Share of zeros among the prunable weights of a graph.
double zero_fraction(const ir::Graph& graph);

}  // namespace ew::compress
