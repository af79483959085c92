#pragma once
// Weights that stay in a 16-bit float type in memory.

#include <cstdint>

#include "runtime/kernels/gemm.h"

namespace ew::kernels {

struct HalvesTable {
  /// The type that holds all of x without rounding (IEEE half if both do), else false.
  bool (*find_exact)(int64_t n, const float* x, HalfType& type);
  /// For values that find_exact() found exact.
  void (*narrow)(int64_t n, const float* x, HalfType type, uint16_t* y);
  void (*widen)(int64_t n, const uint16_t* x, HalfType type, float* y, ThreadPool* pool);
};

}  // namespace ew::kernels
