#pragma once
// The training facet of an operator: its gradient and, where training computes something else than
// inference (dropout, batch_norm), its training form. Both are graph nodes.

#include "ops/ops.h"

namespace ew::ops {

/// What a training form may ask for.
class TrainingScope {
 public:
  virtual ~TrainingScope() = default;
  /// int64 scalar: the number of the training step, so that random masks differ by step.
  virtual ValueId step() = 0;
  /// The seed of this training run, and a fresh stream number for one random operator.
  virtual int64_t seed() const = 0;
  virtual int64_t next_stream() = 0;
  /// "After the step, store `value` into `parameter`" (moving averages).
  virtual void add_update(ValueId parameter, ValueId value) = 0;
};

/// Gradients of the inputs of `node` given those of its outputs (kNoValue: no gradient flows from
/// that output). Returns one entry per input, kNoValue where there is none. Shapes are static.
using GradFn = std::vector<ValueId> (*)(Builder& b, const Node& node, std::span<const ValueId> dy);

/// The node's outputs in training, from its (already rewritten) inputs; more outputs may follow
/// them (what the gradient needs). An operator without one trains as it infers.
using TrainingFn = std::vector<ValueId> (*)(Builder& b, const Node& node,
                                            std::span<const ValueId> inputs, TrainingScope& scope);

struct Gradient {
  GradFn grad = nullptr;
  TrainingFn training = nullptr;
};

/// The training facet of an operator, or null: "<op> has no gradient (see ops.def)".
const Gradient* find_gradient(const OpDef& op);

/// dy summed over the axes along which an input of shape `shape` was broadcast.
ValueId sum_to_shape(Builder& b, ValueId dy, Shape shape);

}  // namespace ew::ops
