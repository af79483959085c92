#include "train/data/targets.h"

#include <cmath>
#include <optional>

#include "train/data/sources.h"
#include "train/data/target_plan.h"

namespace ew::train {
namespace {

bool fits(const Shape& have, const Shape& want) {
  if (have.rank() != want.rank()) return false;
  for (int i = 0; i < have.rank(); ++i) {
    if (want[i] != kUnknown && want[i] != have[i]) return false;
  }
  return true;
}

Shape with_last(Shape shape, int64_t size) {
  shape.dims().push_back(size);
  return shape;
}

Shape without_last(Shape shape) {
  shape.dims().pop_back();
  return shape;
}

bool ends_in_one(const Shape& shape) { return shape.rank() > 0 && shape[-1] == 1; }

// The shape in which a sample fits, or nothing.
std::optional<Shape> fit_axis(const Shape& have, const Shape& want) {
  if (fits(have, want)) return have;
  if (fits(with_last(have, 1), want)) return with_last(have, 1);
  if (ends_in_one(have) && fits(without_last(have), want)) return without_last(have);
  return std::nullopt;
}

class ReshapedInput final : public DataSource {
 public:
  ReshapedInput(SourcePtr source, size_t input, Shape sample)
      : source_(std::move(source)), input_(input), x_types_(source_->x_types()) {
    x_types_[input_].shape = std::move(sample);
  }
  int64_t size() const override { return source_->size(); }
  const std::vector<SampleType>& x_types() const override { return x_types_; }
  const std::vector<SampleType>& y_types() const override { return source_->y_types(); }
  bool has_weights() const override { return source_->has_weights(); }
  bool x_always_finite() const override { return source_->x_always_finite(); }
  Status read(std::span<const int64_t> rows, Split& out, bool targets_only) const override {
    EW_TRY_VOID(source_->read(rows, out, targets_only));
    if (targets_only) return {};
    Tensor& x = out.x[input_];
    x = x.reshaped(batch_shape(x.shape()[0], x_types_[input_].shape));
    return {};
  }

 private:
  SourcePtr source_;
  size_t input_;
  std::vector<SampleType> x_types_;
};

class FittedOutput final : public DataSource {
 public:
  FittedOutput(SourcePtr source, size_t output, TargetPlan plan)
      : source_(std::move(source)),
        output_(output),
        plan_(std::move(plan)),
        y_types_(source_->y_types()) {
    y_types_[output_] = {plan_.dtype, plan_.sample, nullptr};
  }
  int64_t size() const override { return source_->size(); }
  const std::vector<SampleType>& x_types() const override { return source_->x_types(); }
  const std::vector<SampleType>& y_types() const override { return y_types_; }
  bool has_weights() const override { return source_->has_weights(); }
  bool x_always_finite() const override { return source_->x_always_finite(); }
  Status read(std::span<const int64_t> rows, Split& out, bool targets_only) const override {
    EW_TRY_VOID(source_->read(rows, out, targets_only));
    Tensor& y = out.y[output_];
    if (plan_.one_hot_classes > 0) {
      EW_TRY(y, one_hot(y, plan_.one_hot_classes));
    } else {
      y = y.cast(plan_.dtype);
    }
    y = y.reshaped(batch_shape(static_cast<int64_t>(rows.size()), plan_.sample));
    return {};
  }

 private:
  SourcePtr source_;
  size_t output_;
  TargetPlan plan_;
  std::vector<SampleType> y_types_;
};

}  // namespace

Result<TargetPlan> plan_target(const SampleType& type, const Shape& output_shape, TargetKind kind) {
  if (output_shape.rank() < 1) return invalid_argument("the model's output has no batch axis");
  const Shape want = sample_shape(output_shape);
  const Shape& have = type.shape;
  const auto mismatch = [&](const char* remedy) {
    return invalid_argument("targets have shape ", have, " a row, the model's output ", want,
                            remedy);
  };
  if (kind == TargetKind::kProbabilities || kind == TargetKind::kValues) {
    const auto shape = fit_axis(have, want);
    if (!shape) {
      return mismatch(type.dtype == DType::kI32
                          ? "; for class labels use sparse_categorical_crossentropy or "
                            "categorical_crossentropy"
                          : "");
    }
    return TargetPlan{DType::kF32, *shape, 0, 0};
  }
  if (want.rank() < 1 || want[-1] < 1) {
    return invalid_argument("class targets need an output of a known number of classes, found ",
                            output_shape);
  }
  if (kind == TargetKind::kOneHot && fits(have, want)) {
    return TargetPlan{DType::kF32, have, 0, 0};
  }
  const Shape labels = without_last(want);
  const bool has_axis = ends_in_one(have) && fits(without_last(have), labels);
  if (!fits(have, labels) && !has_axis) {
    return mismatch(kind == TargetKind::kLabels && fits(have, want)
                        ? "; sparse_categorical_crossentropy takes labels, for class vectors use "
                          "categorical_crossentropy"
                        : "");
  }
  const Shape shape = has_axis ? without_last(have) : have;
  if (kind == TargetKind::kLabels) return TargetPlan{DType::kI32, shape, 0, want[-1]};
  return TargetPlan{DType::kF32, with_last(shape, want[-1]), want[-1], want[-1]};
}

Status fit_to_input(Dataset& data, size_t input, const Shape& input_shape) {
  const auto& types = data.train->x_types();
  if (input >= types.size()) {
    return invalid_argument("the data has ", types.size(), " inputs, the model needs input ",
                            input + 1);
  }
  if (input_shape.rank() < 1) return invalid_argument("the model's input has no batch axis");
  const Shape have = types[input].shape;
  const Shape want = sample_shape(input_shape);
  std::optional<Shape> shape = fit_axis(have, want);
  if (!shape && want.rank() == 1 && have.num_elements() == want[0]) shape = want;
  if (!shape) {
    return invalid_argument("rows of the data have shape ", have, ", the model takes ", want,
                            have.rank() == 3 && want.rank() == 3
                                ? "; folders of images can be fitted with ?size=HxW&channels=C"
                                : "");
  }
  if (*shape == have) return {};
  for (SourcePtr* part : {&data.train, &data.validation, &data.test}) {
    *part = std::make_shared<ReshapedInput>(*part, input, *shape);
  }
  return {};
}

Status fit_to_output(Dataset& data, size_t output, const Shape& output_shape, TargetKind kind) {
  const auto& types = data.train->y_types();
  if (output >= types.size()) {
    return invalid_argument("the data has ", types.size(), " targets, the model needs target ",
                            output + 1);
  }
  EW_TRY(const TargetPlan plan, plan_target(types[output], output_shape, kind));
  if (plan.one_hot_classes == 0 && plan.dtype == types[output].dtype &&
      plan.sample == types[output].shape) {
    return {};
  }
  for (SourcePtr* part : {&data.train, &data.validation, &data.test}) {
    *part = std::make_shared<FittedOutput>(*part, output, plan);
  }
  return {};
}

Result<Tensor> one_hot(const Tensor& labels, int64_t classes) {
  Shape shape = labels.shape();
  if (shape.rank() > 1 && ends_in_one(shape)) shape = without_last(shape);
  shape = with_last(shape, classes);
  if (classes < 1) return invalid_argument("one-hot: expected at least one class, found ", classes);
  EW_TRY_VOID(check_shape(shape));
  const Tensor values = labels.cast(DType::kF64);
  Tensor out(DType::kF32, shape);
  float* to = out.mutable_values<float>().data();
  const auto per_row = shape.rank() > 1 && shape[0] > 0 ? labels.size() / shape[0] : 1;
  for (int64_t i = 0; i < labels.size(); ++i, to += classes) {
    const double value = values.values<double>()[static_cast<size_t>(i)];
    if (!(value >= 0 && value < static_cast<double>(classes)) || value != std::floor(value)) {
      return invalid_argument("row ", per_row > 0 ? i / per_row : i, ": label ", value,
                              " is outside the model's ", classes, " classes (0 to ", classes - 1,
                              ")");
    }
    to[static_cast<int64_t>(value)] = 1;
  }
  return out;
}

}  // namespace ew::train
