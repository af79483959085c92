#pragma once
// Proving that a sum of two quantised values is a multiply-add of their bytes.

#include <algorithm>
#include <cstdint>

#include "ops/binary/binary_i8.h"
#include "ops/int8.h"
#include "runtime/kernels/int8/int8_kernels.h"

namespace ew::runtime::int8 {

/// The definition of the int8 add and sub (ops/binary).
struct ExactSum {
  ops::SumScales scales;
  int32_t zero_a;
  int32_t zero_b;
  int32_t zero;
  int sign;  ///< 1 or -1: of b
  ops::int8::Range range;

  static constexpr int kShift = 20;
  int32_t part_a(int q) const {
    return ops::int8::scale_twice_rounded((q - zero_a) * (1 << kShift), scales.a);
  }
  int32_t part_b(int q) const {
    return sign * ops::int8::scale_twice_rounded((q - zero_b) * (1 << kShift), scales.b);
  }
  int whole(int32_t a, int32_t b) const {
    const int64_t stored = int64_t{ops::int8::scale_twice_rounded(a + b, scales.out)} + zero;
    return static_cast<int>(std::clamp<int64_t>(stored, range.min, range.max));
  }
};

/// Fills the float form, or (if `may_be_whole`, and there is one) the form of integers, of a sum
/// whose min and max are set; false if neither gives the defined byte for all 65,536 pairs.
bool prove_sum(const ExactSum& exact, bool may_be_whole, kernels::int8::AddForm& form);

}  // namespace ew::runtime::int8
