#pragma once
// Fitting data to a model: input shapes, one-hot targets, and the checks before training.

#include "train/data/dataset.h"

namespace ew::train {

/// What a loss wants to see in y.
enum class TargetKind {
  kOneHot,         ///< categorical_crossentropy and other losses over class vectors
  kLabels,         ///< sparse_categorical_crossentropy
  kProbabilities,  ///< binary_crossentropy: values in [0, 1]
  kValues,         ///< everything else
};

/// Makes input `input` of all three parts fit a model's input shape (with its batch axis, such as
/// (None, 28, 28, 1)): a missing channel axis of 1 is added, a superfluous one is dropped, and rows
/// are flattened if the model takes [N, F] with the same number of elements.
/// Error kInvalidArgument if the shape fits in none of these ways.
Status fit_to_input(Dataset& data, size_t input, const Shape& input_shape);

/// Makes output `output` of all three parts fit the model's output shape and the loss. With an
/// output [N, ..., classes]:
///   kOneHot   labels [N, ...] or [N, ..., 1] become f32 rows [N, ..., classes]; data that already
///             has the output's shape becomes f32
///   kLabels   labels [N, ...] or [N, ..., 1] become i32 [N, ...]
///   others    f32 in the output's shape; a last axis of 1 is added or dropped
/// Error kInvalidArgument: the data has no such target, or the shape does not fit. Afterwards
/// read() gives kInvalidArgument for a label outside [0, classes), with its row in the batch.
Status fit_to_output(Dataset& data, size_t output, const Shape& output_shape, TargetKind kind);

/// f32 [N, ..., classes] from whole-number labels [N, ...]; a last axis of 1 is dropped if the rank
/// is above 1. Error kInvalidArgument for a label outside [0, classes) or no whole number.
Result<Tensor> one_hot(const Tensor& labels, int64_t classes);

struct TargetCheck {
  std::vector<Shape> output_shapes;  ///< with batch axis, one per model output
  std::vector<TargetKind> kinds;     ///< one per model output
  int64_t batch_size = 32;
};

struct TargetReport {
  /// Rows (or elements, for labels of sequences) of each class, of the first output that has labels
  /// or is one probability; else empty.
  std::vector<int64_t> class_counts;
  /// Stated behaviour that a user may not expect, one sentence each:
  ///   - only one class is present (training goes on: the model learns that class);
  ///   - the batch is larger than the set (one short batch of all rows an epoch, as Keras).
  std::vector<std::string> warnings;
};

/// Reads every row once (targets only, where x cannot hold NaN) and checks it against the model,
/// before or after fit_to_output(). Errors, with the row:
///   kInvalidArgument  the set has no rows, a target is missing or has another shape, a label is
///                     outside [0, classes), a probability outside [0, 1]; batch_size < 1
///   kInvalidData      NaN or Inf in x, y or the sample weights; a negative sample weight
Result<TargetReport> check_targets(const DataSource& source, const TargetCheck& check);

}  // namespace ew::train
