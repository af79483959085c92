#pragma once
// Learning rate schedules under Keras' names: rate(step) for step 0, 1, 2, ...
// Computed in float32 in Keras' order of operations (keras.optimizers.schedules), so that a rate
// agrees with Keras to 1e-6 relative.

#include <cstdint>
#include <memory>

#include "base/config.h"

namespace ew::train {

class Schedule {
 public:
  virtual ~Schedule() = default;
  /// The rate of the update that starts with `step` updates done.
  virtual double rate(int64_t step) const = 0;
  virtual bool is_constant() const { return false; }
};

/// From a number (constant), or {"class_name", "config"} of ExponentialDecay,
/// PiecewiseConstantDecay, PolynomialDecay, CosineDecay, CosineDecayRestarts, InverseTimeDecay.
/// Errors: kInvalidArgument for an unknown class or a value out of range (decay_steps <= 0),
/// kInvalidData for an argument of the wrong kind or a missing one.
Result<std::unique_ptr<Schedule>> make_schedule(const Config& config);

}  // namespace ew::train
