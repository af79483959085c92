#pragma once
// What Keras' attention layers share.

#include "formats/keras/lowering.h"

namespace ew::formats {

/// bool [T, S]: whether query step t may look at step s, which is no later. `query` and `value`
/// have their steps in dimension 1; sizes may be unknown.
ValueId causal_mask(ir::Builder& b, ValueId query, ValueId value);
/// bool [T, S]: whether the steps are fewer than `window` apart.
ValueId window_mask(ir::Builder& b, ValueId query, ValueId value, int64_t window);

/// Dropout on attention weights while training; x itself for rate 0.
ValueId attention_dropout(ir::Builder& b, ValueId x, double rate);

}  // namespace ew::formats
