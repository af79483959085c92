#pragma once
// The integer side of the rows add, sub, mul, maximum and minimum.

#include <string_view>

#include "ops/int8.h"

namespace ew::ops {

/// The integer reference of the row of that name, or null.
ir::ReferenceI8Fn binary_reference_i8(std::string_view name);
/// Calibrated for add, sub and mul, which also fuse activations. maximum and minimum take integers
/// of one scale only, so quantisation leaves them in float.
QuantRule binary_quant_rule(std::string_view name);

/// add and sub of int8: both inputs are brought to a common scale with as many more bits, added,
/// rescaled.
inline constexpr int kSumBits = 20;
struct SumScales {
  int8::Multiplier a;
  int8::Multiplier b;
  int8::Multiplier out;
};
SumScales sum_scales(const TensorType& a, const TensorType& b, const TensorType& out,
                     int bits = kSumBits);

}  // namespace ew::ops
