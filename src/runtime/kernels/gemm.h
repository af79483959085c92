#pragma once
// Matrix products of f32 matrices, row-major.

#include "runtime/kernels/common.h"

namespace ew::kernels {

enum class HalfType { kF16, kBF16 };

/// What gemm_pack() or conv2d_pack() made of weights: floats, or 16-bit floats that stand for them.
struct PackedB {
  const float* floats = nullptr;
  const uint16_t* halves = nullptr;  // if not null, instead of the floats
  HalfType type = HalfType::kF16;
};

/// C[m,n] = op(A)[m,k] * op(B)[k,n] (+ C) (+ bias[n] on every row), then clamped.
///   op(A) = A stored [m,k] with row stride lda, or A^T of A stored [k,m] if transpose_a; B alike
///   ([k,n], or [n,k] if transpose_b). Strides are in elements and at least the stored row length.
/// A dense layer with x[batch,in] and w[in,out] is y = x w; dx = dy w^T; dw = x^T dy.
struct GemmArgs {
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;
  int64_t lda = 0;
  bool transpose_a = false;
  const float* b = nullptr;
  int64_t ldb = 0;
  bool transpose_b = false;
  bool is_packed = false;  // b is what gemm_pack() made of it; then ldb and transpose_b say nothing
  const uint16_t* halves = nullptr;  // if not null, the packed b in this type; A as it is
  HalfType half_type = HalfType::kF16;
  float* c = nullptr;
  int64_t ldc = 0;
  const float* bias = nullptr;  // [n] or null
  bool accumulate = false;      // true adds to what C holds
  Clamp clamp{};
};

}  // namespace ew::kernels
