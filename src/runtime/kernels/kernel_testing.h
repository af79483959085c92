#pragma once
// For the tests of this folder: every kernel on every target this machine has, with and without
// threads, against plain loops in double.

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "runtime/kernels/kernels.h"

namespace ew::kernels {

inline std::vector<CpuTarget> targets() {
  std::vector<CpuTarget> out;
  for (const CpuTarget t : {CpuTarget::kPortable, CpuTarget::kAvx2, CpuTarget::kAvx512}) {
    if (is_supported(t)) out.push_back(t);
  }
  return out;
}

inline std::vector<float> random_floats(int64_t n, uint32_t seed, float lo = -1, float hi = 1) {
  std::mt19937 rng(seed);
  std::uniform_real_distribution<float> uniform(lo, hi);
  std::vector<float> out(static_cast<size_t>(n));
  for (float& x : out) x = uniform(rng);
  return out;
}

/// Outputs start as NaN, so that an element nobody writes is found.
inline std::vector<float> unwritten(int64_t n) {
  return std::vector<float>(static_cast<size_t>(n), std::numeric_limits<float>::quiet_NaN());
}

/// Exactly `bytes` bytes at a multiple of 64, filled with NaN patterns.
class Workspace {
 public:
  explicit Workspace(size_t bytes) : data_(::operator new(bytes + 64, std::align_val_t{64})) {
    std::memset(data_, 0xFF, bytes);
  }
  ~Workspace() { ::operator delete(data_, std::align_val_t{64}); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  void* get() const { return data_; }

 private:
  void* data_;
};

/// A sum and the sum of the magnitudes of its terms, which bounds the rounding error.
struct Sum {
  double value = 0;
  double magnitude = 0;
  void add(double term) {
    value += term;
    magnitude += std::fabs(term);
  }
};

/// The largest error relative to the magnitude of the sums; NaN counts as infinite.
inline double worst_error(const std::vector<float>& got, const std::vector<Sum>& want) {
  if (got.size() != want.size()) return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double error =
        std::fabs(static_cast<double>(got[i]) - want[i].value) / (want[i].magnitude + 1e-30);
    if (!(error <= worst))
      worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
  }
  return worst;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return false;
  return a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

inline Sum clamped(Sum s, Clamp c) {
  s.value = std::min(std::max(s.value, static_cast<double>(c.lo)), static_cast<double>(c.hi));
  return s;
}

/// A few units in the last place of f32, relative to the sum of magnitudes.
inline constexpr double kTolerance = 5e-7;

/// The pool of the threaded half of the tests.
inline constexpr int kThreads = 3;

}  // namespace ew::kernels
