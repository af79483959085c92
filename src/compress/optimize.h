#pragma once
// The guard: makes a model smaller step by step, measures every step on validation data, and backs
// off instead of returning a model that lost more accuracy than allowed.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "compress/figures.h"
#include "compress/quantize.h"

namespace ew::compress {

struct GuardOptions {
  bool int8 = true;
  QuantizeOptions quantize = {};
  CalibrationOptions calibration = {};
  double sparsity = 0;      ///< wanted; 0 without pruning
  double min_sparsity = 0;  ///< the guard may go down to this
  double max_accuracy_drop = 0.01;
  /// Samples (the first calibration ones) that the search for sensitive layers runs on.
  int64_t sensitivity_samples = 16;
};

/// What the guard needs from its caller. Accuracy is a share, higher is better; models with a
/// QuantizationRecord are to be measured as they are deployed (deployed_graph()).
struct GuardActions {
  /// Accuracy on the validation part. Required.
  std::function<Result<double>(const ir::Model& model)> validate = {};
  /// Accuracy on the test part; called for the original and for the returned model, once each,
  /// after every decision. Optional.
  std::function<Result<double>(const ir::Model& model)> test = {};
  /// Trains the model while it is pruned to `sparsity` (0: trains only); see Pruner. Without it
  /// weights are pruned at once and not trained.
  std::function<Result<ir::Model>(const ir::Model& model, double sparsity)> fine_tune = {};
  /// One line per step, for progress. Optional.
  std::function<void(const std::string& text)> note = {};
};

struct LayerReport {
  std::string name;
  LayerFigures before;  ///< zero where the layer was folded into another one: then only in `before`
  LayerFigures after;
};

struct GuardReport {
  bool accepted = false;
  double validation_before = 0;
  double validation_after = 0;
  double test_before = 0;
  double test_after = 0;
  double sparsity = 0;                    ///< that the returned model was pruned to
  std::vector<std::string> float_layers;  ///< kept in float by the guard, most sensitive first
  std::vector<std::string> notes;         ///< what was tried, in order
  SizeFigures before;
  SizeFigures after;
  std::vector<LayerReport> layers;
};

struct Guarded {
  ir::Model model;  ///< the accepted model; else the best one seen
  GuardReport report;
};

/// Order: prune to the wanted sparsity, fold batch normalisation, quantise. If that loses too much:
/// lower sparsities down to the minimum; then unrounded weight scales and other calibration rules,
/// which cost only size; then layers in float, the
/// most sensitive first, doubling their number; a model whose layers are all in float is accepted
/// only if pruning alone kept its accuracy. `calibration` holds one tensor per input.
/// Errors: kInvalidArgument for options out of range; those of the actions.
Result<Guarded> optimize(const ir::Model& model, std::span<const ir::Tensor> calibration,
                         const GuardOptions& options, const GuardActions& actions);

}  // namespace ew::compress
