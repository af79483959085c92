#pragma once
// The training facet that simple_rnn, lstm and gru share: BPTT by <op>_backward.

#include "ops/gradient.h"
#include "ops/recurrent.h"

namespace ew::ops {

/// Runs the operator again with `save` if it did not save what the gradient needs.
std::vector<ValueId> recurrent_grad(Builder& b, const Node& node, std::span<const ValueId> dy,
                                    const RecurrentKind& kind, const OpDef& backward);

/// The operator with `save`, and with a random recurrent mask if its recurrent_dropout is not 0.
std::vector<ValueId> recurrent_training(Builder& b, const Node& node,
                                        std::span<const ValueId> inputs, TrainingScope& scope);

}  // namespace ew::ops
