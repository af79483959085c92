#include "train/constraint.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "train/arguments.h"
#include "train/keras_object.h"

namespace ew::train {
namespace {

constexpr float kEpsilon = 1e-7f;  // keras.backend.epsilon()

class NonNeg : public Constraint {
 public:
  void apply(float* value, const Shape& shape) const override {
    const int64_t count = shape.num_elements();
    for (int64_t i = 0; i < count; ++i) value[i] = std::max(value[i], 0.0f);
  }
};

/// Multiplies every vector along the axes by factor(norm).
class NormConstraint : public Constraint {
 public:
  explicit NormConstraint(std::vector<int64_t> axes) : axes_(std::move(axes)) {}
  virtual float factor(float norm) const = 0;

  Status check(const Shape& shape) const override {
    for (const int64_t axis : axes_) {
      EW_TRY([[maybe_unused]] const int i, normalize_axis(axis, shape.rank()));
    }
    return {};
  }

  void apply(float* value, const Shape& shape) const override {
    // Every element knows its vector by its index without the axes of the norm.
    std::vector<bool> is_summed(static_cast<size_t>(shape.rank()), false);
    for (const int64_t axis : axes_) {
      is_summed[static_cast<size_t>(axis < 0 ? axis + shape.rank() : axis)] = true;
    }
    std::vector<int64_t> strides(is_summed.size(), 0);
    int64_t vectors = 1;
    for (size_t d = is_summed.size(); d-- > 0;) {
      if (is_summed[d]) continue;
      strides[d] = vectors;
      vectors *= shape.dims()[d];
    }
    const std::vector<int64_t> element_strides = strides_of(shape);
    const auto vector_of = [&](int64_t i) {
      int64_t out = 0;
      for (size_t d = 0; d < strides.size(); ++d) {
        if (strides[d] != 0) out += i / element_strides[d] % shape.dims()[d] * strides[d];
      }
      return static_cast<size_t>(out);
    };
    const int64_t count = shape.num_elements();
    std::vector<double> sums(static_cast<size_t>(vectors), 0.0);
    for (int64_t i = 0; i < count; ++i) {
      sums[vector_of(i)] += static_cast<double>(value[i]) * static_cast<double>(value[i]);
    }
    for (int64_t i = 0; i < count; ++i) {
      value[i] *= factor(static_cast<float>(std::sqrt(sums[vector_of(i)])));
    }
  }

 private:
  std::vector<int64_t> axes_;
};

class MaxNorm : public NormConstraint {
 public:
  MaxNorm(std::vector<int64_t> axes, float max) : NormConstraint(std::move(axes)), max_(max) {}
  float factor(float norm) const override {
    return std::clamp(norm, 0.0f, max_) / (kEpsilon + norm);
  }

 private:
  float max_;
};

class UnitNorm : public NormConstraint {
 public:
  using NormConstraint::NormConstraint;
  float factor(float norm) const override { return 1.0f / (kEpsilon + norm); }
};

class MinMaxNorm : public NormConstraint {
 public:
  MinMaxNorm(std::vector<int64_t> axes, float min, float max, double rate)
      : NormConstraint(std::move(axes)),
        min_(min),
        max_(max),
        rate_(static_cast<float>(rate)),
        rest_(static_cast<float>(1.0 - rate)) {}
  float factor(float norm) const override {
    const float clipped = std::min(std::max(norm, min_), max_);
    return (rate_ * clipped + rest_ * norm) / (kEpsilon + norm);
  }

 private:
  float min_, max_, rate_, rest_;
};

using ConstraintPtr = std::unique_ptr<Constraint>;

Result<ConstraintPtr> make(const KerasObject& object) {
  const std::string key = fold_name(object.name);
  if (key == "nonneg") return ConstraintPtr(std::make_unique<NonNeg>());
  Config arguments =
      Config::Map{{"max_value", key == "maxnorm" ? 2.0 : 1.0}, {"min_value", 0.0}, {"rate", 1.0}};
  for (const auto& [name, value] : object.config.as_map()) arguments.set(name, value);
  ArgumentReader in(arguments);
  const float min = in.number("min_value");
  const float max = in.number("max_value");
  const double rate = in.real("rate");
  EW_TRY_VOID(in.status());
  if (min > max || max < 0) {
    return invalid_argument(object.name, ": needs 0 <= max_value and min_value <= max_value");
  }
  EW_TRY(std::vector<int64_t> axes, arguments.get_ints("axis", {0}));
  if (key == "maxnorm") return ConstraintPtr(std::make_unique<MaxNorm>(std::move(axes), max));
  if (key == "unitnorm") return ConstraintPtr(std::make_unique<UnitNorm>(std::move(axes)));
  if (key == "minmaxnorm") {
    return ConstraintPtr(std::make_unique<MinMaxNorm>(std::move(axes), min, max, rate));
  }
  const std::string known[] = {"MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm"};
  return unknown_name("constraint", object.name, known);
}

}  // namespace

Status Constraint::check(const Shape&) const { return {}; }

Result<ConstraintPtr> make_constraint(const Config& config) {
  if (config.is_null()) return ConstraintPtr();
  EW_TRY(const KerasObject object, read_keras_object(config, "constraint"));
  return make(object);
}

}  // namespace ew::train
