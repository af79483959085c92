#include "runtime/int8/prove_sum.h"

#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace ew::runtime::int8 {
namespace {

using kernels::int8::AddForm;

/// The defined byte of every pair of bytes, at a * 256 + b.
using Bytes = std::vector<uint8_t>;

Bytes defined_bytes(const ExactSum& exact) {
  Bytes expected(65536);
  std::array<int32_t, 256> part_b;
  for (int b = 0; b < 256; ++b) part_b[static_cast<size_t>(b)] = exact.part_b(b - 128);
  for (int a = 0; a < 256; ++a) {
    const int32_t part_a = exact.part_a(a - 128);
    for (int b = 0; b < 256; ++b) {
      expected[static_cast<size_t>(a * 256 + b)] =
          static_cast<uint8_t>(exact.whole(part_a, part_b[static_cast<size_t>(b)]) + 128);
    }
  }
  return expected;
}

double real_of(const ops::int8::Multiplier& m) {
  return std::ldexp(static_cast<double>(m.value), m.shift - 31);
}

/// The real factors of a and b.
struct Factors {
  double a;
  double b;
  explicit Factors(const ExactSum& exact) {
    const double to_out = real_of(exact.scales.out) * (1 << ExactSum::kShift);
    a = real_of(exact.scales.a) * to_out;
    b = exact.sign * real_of(exact.scales.b) * to_out;
  }
};

// The start that makes these factors give every byte: what each pair asks of it bounds it.
bool find_start(const Bytes& expected, AddForm& form) {
  int64_t low = std::numeric_limits<int32_t>::min();
  int64_t high = std::numeric_limits<int32_t>::max();
  const int64_t one = int64_t{1} << form.shift;
  for (int64_t a = 0; a < 256; ++a) {
    const uint8_t* row = expected.data() + a * 256;
    for (int64_t b = 0; b < 256; ++b) {
      const int64_t sum = (a - 128) * form.whole_a + (b - 128) * form.whole_b;
      const int64_t least = row[b] * one - sum;
      // A byte at its bound says nothing about the side beyond.
      low = std::max(low, row[b] > form.min ? least : low);
      high = std::min(high, row[b] < form.max ? least + one - 1 : high);
    }
  }
  form.start = static_cast<int32_t>(low + (high - low) / 2);
  return low <= high;
}

// Neighbours of the real factors, the nearest first.
bool prove_whole(const ExactSum& exact, const Bytes& expected, AddForm& form) {
  constexpr int kMostShift = 22;  // 256 of them are half of what an int32 holds
  constexpr int kReach = 3;
  constexpr int64_t kLimit = int64_t{1} << 23;
  const Factors real(exact);
  form.shift = kMostShift;
  const double largest = std::max(std::abs(real.a), std::abs(real.b));
  while (form.shift > 0 && std::ldexp(largest, form.shift) + kReach + 1 >= kLimit) --form.shift;
  const int64_t near_a = std::llround(std::ldexp(real.a, form.shift));
  const int64_t near_b = std::llround(std::ldexp(real.b, form.shift));
  for (int reach = 0; form.shift > 0 && reach <= kReach; ++reach) {
    for (int a = -reach; a <= reach; ++a) {
      for (int b = -reach; b <= reach; ++b) {
        if (std::max(std::abs(a), std::abs(b)) != reach) continue;
        form.whole_a = static_cast<int32_t>(near_a + a);
        form.whole_b = static_cast<int32_t>(near_b + b);
        if (find_start(expected, form)) return true;
      }
    }
  }
  form.shift = form.whole_a = form.whole_b = form.start = 0;
  return false;
}

// Tries neighbours of the real factors until all pairs agree with the definition.
bool prove_float(const ExactSum& exact, const Bytes& expected, AddForm& form) {
  const Factors real(exact);
  uint32_t random = 1;
  const auto next = [&] {
    return static_cast<int>((random = random * 1664525U + 1013904223U) >> 24);
  };
  const auto near = [](double x, int ulps) {
    auto f = static_cast<float>(x);
    for (; ulps > 0; --ulps) f = std::nextafter(f, 2 * f);
    for (; ulps < 0; ++ulps) f = std::nextafter(f, 0.0F);
    return f;
  };
  constexpr int kAttempts = 200;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const bool is_first = attempt == 0;
    form.scale_a = near(real.a, is_first ? 0 : next() % 9 - 4);
    form.scale_b = near(real.b, is_first ? 0 : next() % 9 - 4);
    const double zeros = (exact.zero_a + 128) * static_cast<double>(form.scale_a) +
                         (exact.zero_b + 128) * static_cast<double>(form.scale_b);
    form.offset =
        static_cast<float>(128.5 + exact.zero - zeros + (is_first ? 0 : (next() - 128) * 2e-7));
    bool agrees = true;
    for (size_t i = 0; i < 65536 && agrees; i += 256) {
      const double a = static_cast<double>(i / 256) * static_cast<double>(form.scale_a);
      for (size_t b = 0; b < 256; ++b) {
        const auto inner =
            static_cast<double>(std::fmaf(static_cast<float>(b), form.scale_b, form.offset));
        const double sum = a + inner;
        // Truncation is floor() for what is not clamped.
        const auto whole = static_cast<int32_t>(std::clamp(sum, 0.0, 255.5));
        agrees &= std::clamp<int32_t>(whole, form.min, form.max) == expected[i + b];
      }
    }
    if (agrees) return true;
  }
  return false;
}

}  // namespace

bool prove_sum(const ExactSum& exact, bool may_be_whole, AddForm& form) {
  const Bytes expected = defined_bytes(exact);
  return (may_be_whole && prove_whole(exact, expected, form)) || prove_float(exact, expected, form);
}

}  // namespace ew::runtime::int8
