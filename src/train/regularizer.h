#pragma once
// Keras' weight regularizers: a penalty added to the loss, and its gradient.

#include <cstdint>
#include <memory>

#include "base/config.h"
#include "base/shape.h"

namespace ew::train {

class Regularizer {
 public:
  virtual ~Regularizer() = default;
  /// The penalty of `value`, an array of `shape`. If `gradient` is not null, adds the penalty's
  /// gradient to it.
  virtual double evaluate(const float* value, const Shape& shape, float* gradient) const = 0;
  /// Error kInvalidArgument if the regularizer cannot take this shape (orthogonal: rank 2 only).
  virtual Status check(const Shape& shape) const;
};

/// L1, L2, L1L2, OrthogonalRegularizer; "l1", "l2", "l1_l2", "orthogonal_regularizer".
/// A null config gives a null pointer. Errors as for make_schedule().
Result<std::unique_ptr<Regularizer>> make_regularizer(const Config& config);

}  // namespace ew::train
