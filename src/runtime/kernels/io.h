#pragma once
// Loads and stores of whole vectors and of the last, partial one, so that a loop body is written
// once.

#include "runtime/kernels/parallel.h"
#include "runtime/kernels/vec.h"

namespace ew::kernels::EW_TARGET {

struct WholeVector {
  static constexpr bool kPartial = false;
  Vec load(const float* p) const { return EW_TARGET::load(p); }
  void store(float* p, Vec a) const { EW_TARGET::store(p, a); }
};

struct PartialVector {
  static constexpr bool kPartial = true;
  int64_t lanes;
  Vec load(const float* p) const { return load_n(p, lanes); }
  void store(float* p, Vec a) const { store_n(p, a, lanes); }
};

/// body(i, io) for i = begin, begin + kLanes, ... below end.
template <typename Body>
EW_INLINE void for_vectors(int64_t begin, int64_t end, const Body& body) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) body(i, WholeVector{});
  if (i < end) body(i, PartialVector{end - i});
}

inline constexpr int64_t kElementBlock = 16 * 1024;

/// body(i, io) over [0, n), in blocks spread over the pool: as many for every thread.
template <typename Body>
void parallel_vectors(ThreadPool* pool, int64_t n, const Body& body) {
  const int64_t vectors = ceil_div(n, kLanes);
  const int64_t few = ceil_div(n, kElementBlock);
  const int64_t blocks = few <= 1 ? few : round_up(few, thread_count(pool));
  parallel_for(pool, blocks, [&](int64_t block) {
    for_vectors(vectors * block / blocks * kLanes,
                min_of(n, vectors * (block + 1) / blocks * kLanes), body);
  });
}

/// A run of kVectors vectors of channels; the last may be partial if kVectors is 1.
template <int kVectors_, typename Io>
struct ChannelRun {
  static constexpr int kVectors = kVectors_;
  int64_t first;
  Io io;
};

/// body(run) for runs of 4, 1 and a partial vector that cover [0, channels).
template <typename Body>
EW_INLINE void for_channel_runs(int64_t channels, const Body& body) {
  int64_t c = 0;
  for (; c + 4 * kLanes <= channels; c += 4 * kLanes) body(ChannelRun<4, WholeVector>{c, {}});
  for (; c + kLanes <= channels; c += kLanes) body(ChannelRun<1, WholeVector>{c, {}});
  if (c < channels) body(ChannelRun<1, PartialVector>{c, {channels - c}});
}

}  // namespace ew::kernels::EW_TARGET
