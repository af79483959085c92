#pragma once
// Makes a trained model smaller while it stays as accurate as asked.

#include <functional>
#include <string>
#include <vector>

#include "edgewise/model.h"

namespace ew {

/// Post-training quantisation to 8 bits: per-channel weights, per-tensor activations.
struct Int8 {
  std::string profile = "tflm";  ///< rounding: "tflm", "litert-ref" or "xnnpack"
};

/// Magnitude pruning to this share of zero weights while fine-tuning.
struct Magnitude {
  double sparsity = 0;
};

struct Quantize {
  bool enabled = false;
  Int8 int8 = {};
  Quantize() = default;
  Quantize(Int8 settings) : enabled(true), int8(std::move(settings)) {}  // NOLINT: implicit
};

struct OptimizeOptions {
  Quantize quantize = Int8{};
  Magnitude prune = {};
  double min_prune = 0;  ///< the guard may go back to this sparsity
  double max_accuracy_drop = 0.01;
  int64_t fine_tune_epochs = -1;  ///< -1: 3 with pruning, else 0
  FitOptions fit = {};            ///< of the fine-tuning; epochs are set from fine_tune_epochs
  int64_t calibration_samples = 512;
  std::vector<std::string> keep_float = {};  ///< layers that stay in float
  std::function<void(const std::string& stage)> on_stage = {};
};

struct SizeFigures {
  double accuracy = 0;      ///< on the test part
  double accuracy_low = 0;  ///< 95 % Wilson interval
  double accuracy_high = 0;
  int64_t bytes = 0;             ///< of all weights as stored by a device format
  int64_t compressed_bytes = 0;  ///< the same, deflated
  int64_t macs = 0;
  double zero_fraction = 0;  ///< of the prunable weights
};

struct LayerFigures {
  std::string name;
  std::string dtype;  ///< "int8" or "float32"
  int64_t parameters = 0;
  double zero_fraction_before = 0;
  double zero_fraction_after = 0;
  int64_t bytes_before = 0;
  int64_t bytes_after = 0;
  int64_t macs = 0;
};

struct OptimizeReport {
  SizeFigures before;
  SizeFigures after;
  double validation_accuracy_before = 0;
  double validation_accuracy_after = 0;
  std::vector<LayerFigures> layers;
  /// Test rows by true class (row) and predicted class (column), counts row by row; empty where the
  /// model does not choose among classes. `class_names` may be empty: classes are numbers then.
  std::vector<int64_t> confusion_before;
  std::vector<int64_t> confusion_after;
  std::vector<std::string> class_names;
  std::vector<std::string> notes;  ///< what the guard did
  bool accepted = false;
  std::string to_json() const;
  std::string to_text() const;
};

struct Optimized {
  Model model;  ///< the accepted model, or the best seen if none was
  OptimizeReport report;
};

/// Fine-tunes, prunes and quantises. Decisions are made on the validation part; the test part is
/// measured once, at the end. The guard backs off (lower sparsity, then float layers) before it
/// gives up; report.accepted tells the outcome. Errors: those of fit(); kInvalidArgument for data
/// without validation or test rows.
Result<Optimized> optimize(const Model& model, const Data& data,
                           const OptimizeOptions& options = {});

}  // namespace ew
