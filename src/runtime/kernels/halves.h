#pragma once
// Weights that stay in a 16-bit float type in memory.

#include <cstdint>

#include "runtime/kernels/gemm.h"

namespace ew::kernels {

enum class HalfType { kF16, kBF16 };

struct HalvesTable {
  /// The type that holds all of x without rounding (IEEE half if both do), else false.
  bool (*find_exact)(int64_t n, const float* x, HalfType& type);
  /// For values that find_exact() found exact.
  void (*narrow)(int64_t n, const float* x, HalfType type, uint16_t* y);
  void (*widen)(int64_t n, const uint16_t* x, HalfType type, float* y, ThreadPool* pool);
  /// gemm() of at most kMaxHalfRows rows by what gemm_pack() made of B, narrowed; the bits of
  /// gemm() on the widened B.
  void (*gemm)(const GemmArgs&, const uint16_t* packed, HalfType type, ThreadPool* pool);
};

inline constexpr int64_t kMaxHalfRows = 4;

}  // namespace ew::kernels
