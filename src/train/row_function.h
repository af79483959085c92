#pragma once
// A row function gives one value per row of a prediction: a loss with its gradient, or a metric's
// score. RowReader cuts tensors into rows, so that the functions see plain arrays. Internal to
// train.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ir/tensor.h"
#include "train/loss.h"

namespace ew::train {

/// One row: `size` predictions, and as many targets or one class number.
struct Row {
  const float* prediction = nullptr;
  const float* target = nullptr;  ///< null for class numbers
  int64_t label = 0;
  int64_t size = 0;
  float scale = 1;            ///< factor of the gradient
  float* gradient = nullptr;  ///< set to scale * d value / d prediction, unless null
  bool is_logits = false;     ///< see LossInput
};

class RowFunction {
 public:
  virtual ~RowFunction() = default;
  virtual float evaluate(const Row& row) const = 0;
  /// Class numbers instead of targets.
  virtual bool is_sparse() const { return false; }
  /// Rows with this class number do not count.
  virtual bool ignores(int64_t label) const {
    (void)label;
    return false;
  }
  virtual FusedActivation fused_activation() const { return FusedActivation::kNone; }
  /// The axes that make a row (negative ones count from the end); empty: each element is a row.
  virtual std::vector<int64_t> axes(int rank) const {
    (void)rank;
    return {-1};
  }
  /// Looks at all targets of a batch before its rows.
  virtual void prepare(const float* targets, int64_t count) {
    (void)targets;
    (void)count;
  }
};

/// Whether tensors of these shapes fit, where kUnknown fits all. A target may lack the prediction's
/// last dimension of 1, or have one more. Error kInvalidArgument with both shapes.
Status check_row_shapes(const RowFunction& function, const Shape& prediction, const Shape& target);

/// Shape of one value per row: `prediction` without the row axes.
Result<Shape> row_values_shape(const RowFunction& function, const Shape& prediction);

/// The tensors of one batch as rows. Keeps its scratch memory from batch to batch.
class RowReader {
 public:
  explicit RowReader(RowFunction& function) : function_(function) {}
  Status bind(const ir::ConstTensorView& prediction, const ir::ConstTensorView& target);

  int64_t rows() const { return rows_; }
  const Shape& values_shape() const { return values_shape_; }
  bool is_ignored(int64_t row) const {
    return function_.is_sparse() && function_.ignores(labels_[static_cast<size_t>(row)]);
  }
  /// The value of `row`; its gradient goes to the right places of `gradient` (unless null), which
  /// is laid out as the prediction.
  float evaluate(int64_t row, float scale, bool is_logits, float* gradient);
  /// Sets the gradient of `row` to 0.
  void clear_gradient(int64_t row, float* gradient) const;

 private:
  void lay_out(const Shape& prediction, const std::vector<bool>& in_row);

  RowFunction& function_;
  Shape prediction_shape_;
  Shape target_shape_;
  Shape values_shape_;
  int64_t rows_ = 0;
  int64_t size_ = 0;
  bool is_contiguous_ = true;
  std::vector<int64_t> bases_;    // first element of every row, unless contiguous
  std::vector<int64_t> offsets_;  // of a row's elements from the first, unless contiguous
  const float* prediction_ = nullptr;
  const float* target_ = nullptr;
  std::vector<float> converted_prediction_;
  std::vector<float> converted_target_;
  std::vector<int64_t> labels_;
  std::vector<float> row_prediction_, row_target_, row_gradient_;
};

/// out[i] *= weight of row i, where `weight` broadcasts from the left to `values`: [N] and [N, 1]
/// fit [N, T]. Error kInvalidArgument if it does not.
Status multiply_weights(const ir::ConstTensorView& weight, const Shape& values, float* out);

/// A loss under Keras' name. The defaults are its arguments in the order of Keras' get_config,
/// without name and reduction.
struct LossClass {
  const char* class_name;
  const char* name;   ///< default name
  const char* alias;  ///< "mse", or ""
  Config (*defaults)();
  Result<std::unique_ptr<RowFunction>> (*make)(const Config& arguments);
};

/// Finds a loss in any spelling. Errors: kInvalidArgument (unknown), kUnsupported (CTC, Circle).
Result<const LossClass*> find_loss_class(std::string_view name);

/// The known arguments of `config` over the class's defaults.
Config complete_loss_arguments(const LossClass& loss, const Config& config);

// loss_regression.cpp, loss_crossentropy.cpp, loss_other.cpp
std::span<const LossClass> regression_losses();
std::span<const LossClass> crossentropy_losses();
std::span<const LossClass> other_losses();

}  // namespace ew::train
