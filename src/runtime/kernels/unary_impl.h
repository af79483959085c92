#pragma once
// Elementwise functions by name. The arithmetic is that of ops/unary/unary.def and
// ops/binary/binary.def in f32; where those call exp or tanh, the error is that of math_impl.h.

#include "runtime/kernels/elementwise_impl.h"

namespace ew::kernels::EW_TARGET {

inline void unary(Unary f, int64_t n, const float* x, float alpha, float beta, float* y,
                  ThreadPool* pool) {
  const Vec a = set1(alpha);
  const Vec b = set1(beta);
  const Vec none = zero();
  const Vec one = set1(1.F);
  const auto map = [&](const auto& function) { map_one(n, x, y, pool, function); };
  switch (f) {
    case Unary::kAbs:
      return map([=](Vec v) { return if_greater(none, v, none - v, v + none); });
    case Unary::kClip:
      return map([=](Vec v) { return min(b, max(a, v)); });
    case Unary::kHardSigmoid:
      return map([=](Vec v) { return min(one, max(none, a * v + b)); });
    case Unary::kHardSilu:
      return map([=](Vec v) {
        const Vec six = set1(6.F);
        return v * min(six, max(none, v + set1(3.F))) / six;
      });
    case Unary::kLeakyRelu:
      return map([=](Vec v) { return if_greater(v, none, v, a * v); });
    case Unary::kNeg:
      return map([=](Vec v) { return set1(-0.F) - v; });
    case Unary::kSilu:
      return map([](Vec v) { return v * sigmoid(v); });
    case Unary::kSqrt:
      return map([](Vec v) { return sqrt(v); });
    case Unary::kSquare:
      return map([](Vec v) { return v * v; });
    case Unary::kGeluTanh:
      return map([=](Vec v) {
        const Vec cubic = v + set1(0.044715F) * v * v * v;
        return set1(0.5F) * v * (one + tanh(set1(0.7978845608028654F) * cubic));
      });
  }
}

EW_INLINE Vec apply(Binary f, Vec a, Vec b) {
  switch (f) {
    case Binary::kDiv:
      return a / b;
    case Binary::kSub:
      return a - b;
    case Binary::kMaximum:
      return max(a, b);
    case Binary::kMinimum:
      break;
  }
  return min(a, b);
}

template <Binary kFunction>
void binary_rows(int64_t rows, int64_t n, const BinaryOperand& a, const BinaryOperand& b, float* y,
                 ThreadPool* pool) {
  const Vec scalar_a = set1(*a.data);
  const Vec scalar_b = set1(*b.data);
  // One long row is cut into pieces; broadcast rows stay whole.
  const bool is_flat = rows == 1;
  const int64_t piece = is_flat ? kElementBlock : n;
  const int64_t pieces = is_flat ? ceil_div(n, piece) : rows;
  const auto run = [&](int64_t i) {
    const int64_t start = i * piece;
    const int64_t column = is_flat ? start : 0;
    const int64_t end = column + (is_flat ? min_of(piece, n - start) : n);
    const int64_t row = is_flat ? 0 : start;
    const float* p = a.data + (a.spread == Spread::kSame ? row : 0);
    const float* q = b.data + (b.spread == Spread::kSame ? row : 0);
    for_vectors(column, end, [&](int64_t k, const auto& io) {
      const Vec u = a.spread == Spread::kScalar ? scalar_a : io.load(p + k);
      const Vec v = b.spread == Spread::kScalar ? scalar_b : io.load(q + k);
      io.store(y + row + k, apply(kFunction, u, v));
    });
  };
  parallel_for(rows * n < kElementBlock ? nullptr : pool, pieces, run);
}

inline void binary(Binary f, int64_t rows, int64_t n, const BinaryOperand& a,
                   const BinaryOperand& b, float* y, ThreadPool* pool) {
  if (rows * n <= 0) return;
  switch (f) {
    case Binary::kDiv:
      return binary_rows<Binary::kDiv>(rows, n, a, b, y, pool);
    case Binary::kSub:
      return binary_rows<Binary::kSub>(rows, n, a, b, y, pool);
    case Binary::kMaximum:
      return binary_rows<Binary::kMaximum>(rows, n, a, b, y, pool);
    case Binary::kMinimum:
      return binary_rows<Binary::kMinimum>(rows, n, a, b, y, pool);
  }
}

}  // namespace ew::kernels::EW_TARGET
