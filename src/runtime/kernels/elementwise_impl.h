#pragma once
// Elementwise kernels, softmax and sums.

#include <cmath>

#include "base/rng.h"
#include "runtime/kernels/io.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/math_impl.h"

namespace ew::kernels::EW_TARGET {

template <typename Function>
EW_INLINE void map_one(int64_t n, const float* x, float* y, ThreadPool* pool, const Function& f) {
  parallel_vectors(pool, n, [&](int64_t i, const auto& io) { io.store(y + i, f(io.load(x + i))); });
}

template <typename Function>
EW_INLINE void map_two(int64_t n, const float* a, const float* b, float* y, ThreadPool* pool,
                       const Function& f) {
  parallel_vectors(pool, n, [&](int64_t i, const auto& io) {
    io.store(y + i, f(io.load(a + i), io.load(b + i)));
  });
}

inline void add(int64_t n, const float* a, const float* b, Clamp bounds, float* y,
                ThreadPool* pool) {
  const Vec lo = set1(bounds.lo);
  const Vec hi = set1(bounds.hi);
  map_two(n, a, b, y, pool, [=](Vec u, Vec v) { return clamp(u + v, lo, hi); });
}

inline void mul(int64_t n, const float* a, const float* b, float* y, ThreadPool* pool) {
  map_two(n, a, b, y, pool, [](Vec u, Vec v) { return u * v; });
}

inline void affine(int64_t n, const float* x, float factor, float offset, float* y,
                   ThreadPool* pool) {
  const Vec f = set1(factor);
  const Vec o = set1(offset);
  map_one(n, x, y, pool, [=](Vec v) { return v * f + o; });
}

inline void add_scaled(int64_t n, const float* x, float factor, float* y, ThreadPool* pool) {
  const Vec f = set1(factor);
  map_two(n, y, x, y, pool, [=](Vec u, Vec v) { return u + v * f; });
}

inline void clamp_values(int64_t n, const float* x, Clamp bounds, float* y, ThreadPool* pool) {
  const Vec lo = set1(bounds.lo);
  const Vec hi = set1(bounds.hi);
  map_one(n, x, y, pool, [=](Vec v) { return clamp(v, lo, hi); });
}

inline void clamp_grad(int64_t n, const float* y, const float* dy, Clamp bounds, float* dx,
                       ThreadPool* pool) {
  const Vec lo = set1(bounds.lo);
  const Vec hi = set1(bounds.hi);
  map_two(n, y, dy, dx, pool,
          [=](Vec v, Vec g) { return if_greater(v, lo, if_greater(hi, v, g, zero()), zero()); });
}

inline void exp_values(int64_t n, const float* x, float* y, ThreadPool* pool) {
  map_one(n, x, y, pool, [](Vec v) { return exp(v); });
}

inline void sigmoid_values(int64_t n, const float* x, float* y, ThreadPool* pool) {
  map_one(n, x, y, pool, [](Vec v) { return sigmoid(v); });
}

inline void tanh_values(int64_t n, const float* x, float* y, ThreadPool* pool) {
  map_one(n, x, y, pool, [](Vec v) { return tanh(v); });
}

inline void sigmoid_grad(int64_t n, const float* y, const float* dy, float* dx, ThreadPool* pool) {
  map_two(n, y, dy, dx, pool, [](Vec v, Vec g) { return g * v * (set1(1.F) - v); });
}

inline void tanh_grad(int64_t n, const float* y, const float* dy, float* dx, ThreadPool* pool) {
  map_two(n, y, dy, dx, pool, [](Vec v, Vec g) { return g * (set1(1.F) - v * v); });
}

/// Rows per parallel task over [rows, n].
inline int64_t rows_per_task(int64_t n) { return max_of(1, kElementBlock / max_of(1, n)); }

template <typename Body>
EW_INLINE void for_rows(ThreadPool* pool, int64_t rows, int64_t n, const Body& body) {
  const int64_t block = rows_per_task(n);
  parallel_for(pool, ceil_div(rows, block), [&](int64_t task) {
    for (int64_t r = task * block; r < min_of(rows, (task + 1) * block); ++r) body(r * n);
  });
}

inline void keep_random(int64_t n, const float* x, uint64_t key, uint64_t threshold, double scale,
                        float* y, ThreadPool* pool) {
  constexpr int64_t kChunk = 16384;
  parallel_for(pool, ceil_div(n, kChunk), [=](int64_t chunk) {
    const int64_t end = min_of(n, (chunk + 1) * kChunk);
    for (int64_t i = chunk * kChunk; i < end; ++i) {
      const bool keeps = (finish_counter_hash(key, static_cast<uint64_t>(i)) >> 11) >= threshold;
      const auto scaled = static_cast<float>(static_cast<double>(x[i]) * scale);
      y[i] = keeps ? scaled : 0.0F;
    }
  });
}

inline void mul_row(int64_t rows, int64_t n, const float* x, const float* row, float* y,
                    ThreadPool* pool) {
  parallel_for(pool, rows, [=](int64_t r) {
    for_vectors(0, n, [&](int64_t i, const auto& io) {
      io.store(y + r * n + i, io.load(x + r * n + i) * io.load(row + i));
    });
  });
}

inline void add_row(int64_t rows, int64_t n, const float* x, const float* row, Clamp bounds,
                    float* y, ThreadPool* pool) {
  const Vec lo = set1(bounds.lo);
  const Vec hi = set1(bounds.hi);
  for_rows(pool, rows, n, [&](int64_t start) {
    for_vectors(0, n, [&](int64_t i, const auto& io) {
      io.store(y + start + i, clamp(io.load(x + start + i) + io.load(row + i), lo, hi));
    });
  });
}

inline float row_max(int64_t n, const float* x) {
  if (n < kLanes) {
    float best = Clamp{}.lo;
    for (int64_t i = 0; i < n; ++i) best = x[i] > best ? x[i] : best;
    return best;
  }
  Vec best = load(x);
  for (int64_t i = kLanes; i + kLanes <= n; i += kLanes) best = max(load(x + i), best);
  // The last vector may overlap the one before: a maximum counts nothing twice.
  return max_lane(max(load(x + n - kLanes), best));
}

/// y = exp(x - top); returns the sum.
inline float exp_row(int64_t n, const float* x, float top, float* y) {
  const Vec t = set1(top);
  Vec total = zero();
  for_vectors(0, n, [&](int64_t i, const auto& io) {
    io.store(y + i, exp(io.load(x + i) - t));
    total = total + io.load(y + i);  // read back: lanes beyond the end count as 0
  });
  return sum(total);
}

inline void softmax(int64_t rows, int64_t n, const float* x, float* y, ThreadPool* pool) {
  for_rows(pool, rows, n, [&](int64_t start) {
    const Vec total = set1(exp_row(n, x + start, row_max(n, x + start), y + start));
    for_vectors(start, start + n,
                [&](int64_t i, const auto& io) { io.store(y + i, io.load(y + i) / total); });
  });
}

inline void log_softmax(int64_t rows, int64_t n, const float* x, float* y, ThreadPool* pool) {
  for_rows(pool, rows, n, [&](int64_t start) {
    const float top = row_max(n, x + start);
    const Vec t = set1(top);
    Vec total = zero();
    for_vectors(start, start + n, [&](int64_t i, const auto& io) {
      float lanes[kLanes] = {};
      io.store(lanes, exp(io.load(x + i) - t));
      total = total + load(lanes);
    });
    const Vec log_sum = set1(std::log(sum(total)));
    for_vectors(start, start + n, [&](int64_t i, const auto& io) {
      io.store(y + i, (io.load(x + i) - t) - log_sum);
    });
  });
}

inline void softmax_grad(int64_t rows, int64_t n, const float* y, const float* dy, float* dx,
                         ThreadPool* pool) {
  for_rows(pool, rows, n, [&](int64_t start) {
    Vec total = zero();
    for_vectors(start, start + n, [&](int64_t i, const auto& io) {
      total = fma(io.load(y + i), io.load(dy + i), total);
    });
    const Vec dot = set1(sum(total));
    for_vectors(start, start + n, [&](int64_t i, const auto& io) {
      io.store(dx + i, io.load(y + i) * (io.load(dy + i) - dot));
    });
  });
}

template <typename Term>
EW_INLINE double sum_terms(int64_t n, const float* x, const Term& term) {
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += 4096) {
    Vec part = zero();
    for_vectors(begin, min_of(n, begin + 4096),
                [&](int64_t i, const auto& io) { part = term(io.load(x + i), part); });
    total += static_cast<double>(sum(part));
  }
  return total;
}

inline double sum_values(int64_t n, const float* x) {
  return sum_terms(n, x, [](Vec v, Vec part) { return part + v; });
}

inline double sum_of_squares(int64_t n, const float* x) {
  return sum_terms(n, x, [](Vec v, Vec part) { return fma(v, v, part); });
}

}  // namespace ew::kernels::EW_TARGET
