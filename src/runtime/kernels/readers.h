#pragma once
// How a register tile walks over the rows of its A operand.

#include "runtime/kernels/vec.h"

namespace ew::kernels::EW_TARGET {

/// The addresses of up to 24 elements a fixed distance apart: three bases and four distances, which
/// fit the registers and x86 addressing (base + 1, 2 or 4 times a distance) where a pointer per
/// element would not. The empty asm keeps the compiler from folding them back.
template <int kRows>
class RowReader {
 public:
  EW_INLINE RowReader(const float* a, int64_t row)
      : base_{a, kRows > 8 ? a + 8 * row : a, kRows > 16 ? a + 16 * row : a},
        step_(row),
        step3_(3 * row),
        step5_(5 * row),
        step7_(7 * row) {
    if (kRows > 8) asm("" : "+r"(base_[0]), "+r"(base_[1]));
    if (kRows > 16) asm("" : "+r"(base_[2]));
    asm("" : "+r"(step_), "+r"(step3_), "+r"(step5_), "+r"(step7_));
  }
  EW_INLINE float at(int r) const {
    const float* base = base_[r / 8];
    switch (r % 8) {
      case 0:
        return base[0];
      case 1:
        return base[step_];
      case 2:
        return base[2 * step_];
      case 3:
        return base[step3_];
      case 4:
        return base[4 * step_];
      case 5:
        return base[step5_];
      case 6:
        return base[2 * step3_];
      default:
        return base[step7_];
    }
  }
  EW_INLINE void advance() { move(1); }
  EW_INLINE void move(int64_t elements) {
    base_[0] += elements;
    if (kRows > 8) base_[1] += elements;
    if (kRows > 16) base_[2] += elements;
  }

 private:
  const float* base_[3];
  int64_t step_, step3_, step5_, step7_;
};

/// The transposed operand: the rows of the tile are adjacent, and a step moves to the next row of
/// A.
class ColumnReader {
 public:
  EW_INLINE ColumnReader(const float* a, int64_t step) : a_(a), step_(step) {}
  EW_INLINE float at(int r) const { return a_[r]; }
  EW_INLINE void advance() { a_ += step_; }
  EW_INLINE void move(int64_t elements) { a_ += elements; }

 private:
  const float* a_;
  int64_t step_;
};

}  // namespace ew::kernels::EW_TARGET
