#pragma once
// Loops over a pool that may be absent, and cutting a workspace into arrays.

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/thread_pool.h"
#include "runtime/kernels/cpu.h"
#include "runtime/kernels/vec.h"

namespace ew::kernels::EW_TARGET {

/// Calls body(i) for i in [0, count), on the pool if there is one, in the caller's floating-point
/// mode. Does not allocate.
template <typename Body>
void parallel_for(ThreadPool* pool, int64_t count, const Body& body) {
  if (pool == nullptr || count <= 1) {
    for (int64_t i = 0; i < count; ++i) body(i);
  } else {
    const uint64_t mode = float_mode();
    const auto task = [&](int64_t i) {
      set_float_mode(mode);
      body(i);
    };
    pool->run(count, std::cref(task));
  }
}

inline int64_t thread_count(const ThreadPool* pool) {
  return pool == nullptr ? 1 : pool->threads();
}

EW_INLINE int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }
EW_INLINE int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }
EW_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
EW_INLINE int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

/// Elements an array takes in a workspace: whole cache lines, so that arrays never share one.
EW_INLINE int64_t array_size(int64_t elements) { return round_up(elements, 16); }
EW_INLINE size_t bytes_of(int64_t elements) {
  return static_cast<size_t>(elements) * sizeof(float);
}

}  // namespace ew::kernels::EW_TARGET
