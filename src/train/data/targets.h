#pragma once
// Fitting data to a model: input shapes, one-hot targets, and the checks before training.

#include "train/data/dataset.h"

namespace ew::train {

/// What a loss wants to see in y.
enum class TargetKind {
  kOneHot,  ///< categorical_crossentropy and other losses over class vectors: f32 [N, classes]
  kLabels,  ///< sparse_categorical_crossentropy: i32 [N, ...]
  kValues,  ///< everything else: f32, in the shape of the output
};

/// Makes input `input` of all three parts fit a model's input shape (with its batch axis, (None,
/// 28, 28, 1)): a missing channel axis of 1 is added, a superfluous one is dropped, and rows are
/// flattened if the model takes [N, F] with the same number of elements.
/// Error kInvalidArgument if the shape fits in none of these ways.
Status fit_to_input(Dataset& data, size_t input, const Shape& input_shape);

/// Makes output `output` of all three parts fit the model's output shape and the loss.
///   kOneHot   labels [N] or [N, 1] become one-hot rows [N, classes], classes = the last dimension
///             of output_shape; values of the output's shape stay as they are. A label out of range
///             becomes a row of zeros: check_targets() finds it first
///   kLabels   [N, 1] becomes [N] if the output is [N, classes]; floats become integers
///   kValues   becomes f32; [N] becomes [N, 1] and the reverse
/// Error kInvalidArgument: the data has no such target, or the shape does not fit.
Status fit_to_output(Dataset& data, size_t output, const Shape& output_shape, TargetKind kind);

/// f32 [N, classes] from integer labels [N] or [N, 1].
/// Error kInvalidArgument for a label outside [0, classes), with its row, or another shape or
/// dtype.
Result<Tensor> one_hot(const Tensor& labels, int64_t classes);

struct TargetCheck {
  std::vector<Shape> output_shapes;  ///< with batch axis, one per model output
  std::vector<TargetKind> kinds;     ///< one per model output
  int64_t batch_size = 32;
};

struct TargetReport {
  /// Rows of each class, for the first output that has classes; else empty.
  std::vector<int64_t> class_counts;
  /// Stated behaviour that a user may not expect, one sentence each:
  ///   - only one class is present (training goes on: the model learns that class);
  ///   - the batch is larger than the set (one short batch of all rows an epoch, as Keras).
  std::vector<std::string> warnings;
};

/// Reads every row once (targets only, where x cannot hold NaN) and checks it against the model.
/// Call before fit_to_output(), so that labels are still there to be named; after it, rows without
/// a class are found as well. Errors, with the row:
///   kInvalidArgument  the set has no rows, a target is missing, has another shape, or a label is
///                     outside [0, classes); batch_size < 1
///   kInvalidData      NaN or Inf in x or y
Result<TargetReport> check_targets(const DataSource& source, const TargetCheck& check);

}  // namespace ew::train
