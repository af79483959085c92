#pragma once
// Keras' losses: value and gradient with respect to the prediction.

#include <memory>
#include <string>
#include <vector>

#include "base/config.h"
#include "ir/tensor.h"

namespace ew::train {

/// The activation whose input a loss can use in place of its output.
enum class FusedActivation { kNone, kSoftmax, kSigmoid };

struct LossInput {
  ir::ConstTensorView prediction;  ///< f32 [N, ..., K]
  /// [N, ..., K] for most losses; class numbers [N, ...] or [N, ..., 1] for the sparse ones. Any
  /// dtype. [N] stands for [N, 1].
  ir::ConstTensorView target;
  /// f32, optional: [N], or anything that broadcasts from the left to [N, ...].
  ir::ConstTensorView sample_weight = {};
  /// Optional, any dtype: as sample_weight; what is 0 does not count. Sums over the batch are then
  /// divided by the number of the others (Keras' mask).
  ir::ConstTensorView mask = {};
  /// `prediction` holds the input of the softmax or sigmoid that made it (see fused_activation()).
  bool is_logits = false;
};

enum class Reduction { kSumOverBatchSize, kSum, kNone, kMeanWithSampleWeight };

class Loss {
 public:
  /// From a name ("mse", "categorical_crossentropy", "CategoricalCrossentropy") or {"class_name",
  /// "config"} of either Keras generation. Keras 2's reduction "auto" is sum_over_batch_size.
  /// Errors: kInvalidArgument (unknown name, value out of range), kInvalidData (wrong kind).
  static Result<std::unique_ptr<Loss>> create(const Config& config);
  ~Loss();

  const std::string& name() const;
  Reduction reduction() const;
  void set_reduction(Reduction reduction);
  /// Class numbers instead of one value per prediction.
  bool is_sparse() const;
  /// The loss of probabilities is more accurate from logits, and Keras computes it so when the
  /// prediction comes straight from this activation. A caller that has it passes the activation's
  /// input with is_logits, and gets the gradient with respect to that input. kNone: no such mode.
  FusedActivation fused_activation() const;

  /// Whether tensors of these shapes fit (batch dimensions may be kUnknown).
  /// Error kInvalidArgument with both shapes.
  Status check(const Shape& prediction, const Shape& target, DType target_dtype) const;
  /// For sparse losses: every class number is in [0, classes) or the ignored one. Otherwise ok.
  /// Error kInvalidArgument with the first offender. evaluate() gives NaN for those.
  Status check_labels(const ir::ConstTensorView& target, int64_t classes) const;

  /// The same for sample weights and masks.
  Status check_weights(const Shape& prediction, const Shape& weights) const;

  /// The reduced loss (the sum for kNone). Unless null, `gradient` (as many f32 as the prediction,
  /// which it must not overlap)
  /// is set to its derivative. Sums are kept in double. Not thread-safe: uses scratch memory, which
  /// grows to the largest batch seen. NaN, and no gradient, if the shapes do not fit.
  double evaluate(const LossInput& input, float* gradient);

  /// One loss per row [N, ...], weighted and masked but not reduced.
  std::vector<float> values(const LossInput& input);

  /// {"class_name", "config"} in Keras 3's words.
  Config config() const;

 private:
  struct Impl;
  explicit Loss(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ew::train
