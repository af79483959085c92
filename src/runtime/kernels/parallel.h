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

/// Layers of at most so many pixels (or rows) are shared out by their output channels: each thread
/// then reads only its part of the weights, which are larger than the values. Others are shared out
/// by rows, so that a thread finds in its own cache what it wrote in the layer before.
inline constexpr int64_t kFewRows = 128;

/// body(block, first, end) for pieces [first, end) of a block, until all pieces of all blocks are
/// done; in so many parts, each a run of neighbours, block after block.
template <typename Body>
void parallel_pieces(ThreadPool* pool, int64_t blocks, int64_t pieces, int64_t parts,
                     const Body& body) {
  const int64_t all = blocks * pieces;
  const int64_t count = min_of(parts, all);
  parallel_for(pool, count, [&](int64_t part) {
    const int64_t last = all * (part + 1) / count;
    for (int64_t i = all * part / count; i < last;) {
      const int64_t first = i % pieces;
      const int64_t end = min_of(pieces, first + last - i);
      body(i / pieces, first, end);
      i += end - first;
    }
  });
}

/// Elements an array takes in a workspace: whole cache lines, so that arrays never share one.
EW_INLINE int64_t array_size(int64_t elements) { return round_up(elements, 16); }
EW_INLINE size_t bytes_of(int64_t elements) {
  return static_cast<size_t>(elements) * sizeof(float);
}

}  // namespace ew::kernels::EW_TARGET
