#pragma once
// Random numbers. Counter-based, so that the same seed and position give the same bits on every
// machine and at any thread count.

#include <cstdint>
#include <vector>

namespace ew {

/// xoshiro256** seeded by splitmix64 (Blackman and Vigna, prng.di.unimi.it). Not for secrets.
class Rng {
 public:
  explicit Rng(uint64_t seed);
  uint64_t next();
  /// Uniform in [0, 1) with 53 bits.
  double uniform();
  /// Uniform integer in [0, bound), bound > 0, without bias.
  uint64_t below(uint64_t bound);
  /// Standard normal (Marsaglia's polar method).
  double normal();
  /// Fisher-Yates shuffle of 0..n-1.
  std::vector<int64_t> permutation(int64_t n);

 private:
  uint64_t state_[4];
  double spare_ = 0;
  bool has_spare_ = false;
};

/// One 64-bit hash of (seed, stream, index): the counter-based source for dropout masks, whose
/// element i must not depend on the order in which threads reach it.
uint64_t counter_hash(uint64_t seed, uint64_t stream, uint64_t index);
/// The part of it that is the same for every index: counter_hash(s, t, i) ==
/// finish_counter_hash(counter_key(s, t), i).
uint64_t counter_key(uint64_t seed, uint64_t stream);
inline uint64_t finish_counter_hash(uint64_t key, uint64_t index) {
  uint64_t z = (key ^ index) + 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace ew
