#pragma once
// Keras' weight constraints: a projection applied to a parameter after every update.

#include <cstdint>
#include <memory>

#include "base/config.h"
#include "base/shape.h"

namespace ew::train {

class Constraint {
 public:
  virtual ~Constraint() = default;
  /// Projects `value`, an array of `shape`, in place.
  virtual void apply(float* value, const Shape& shape) const = 0;
  /// Error kInvalidArgument if an axis is outside `shape`.
  virtual Status check(const Shape& shape) const;
};

/// MaxNorm, NonNeg, UnitNorm, MinMaxNorm; "max_norm", "non_neg", "unit_norm", "min_max_norm".
/// A null config gives a null pointer. Errors as for make_schedule().
Result<std::unique_ptr<Constraint>> make_constraint(const Config& config);

}  // namespace ew::train
