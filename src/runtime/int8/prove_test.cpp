// The proofs against the exact functions, at every step and beside it.
#include "runtime/int8/prove.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "runtime/kernels/int8/int8_kernels.h"

namespace ew::runtime::int8 {
namespace {

using ir::TensorType;
using ops::int8::Requantizer;

struct Channel {
  Requantizer exact;
  int64_t lowest;
  int64_t highest;
  std::string text;
  int value(int64_t acc) const { return exact(static_cast<int32_t>(acc), 0); }
};

Channel random_channel(uint32_t seed) {
  std::mt19937 rng(seed);
  const auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(rng);
  };
  const auto type = [](float scale, int32_t zero) {
    return TensorType{DType::kI8, Shape{1, 1},
                      std::make_shared<const ir::QuantParams>(ir::QuantParams{{scale}, {zero}})};
  };
  // Factors from 0.5 down to 2^-18: those of layers of few to of thousands of products.
  const float factor = std::exp2(std::uniform_real_distribution<float>(-18, -1)(rng));
  const int32_t zero = pick(0, 1) == 0 ? -128 : static_cast<int32_t>(pick(-128, 127));
  ir::Attrs attrs{{"clamp_min", -std::numeric_limits<double>::infinity()},
                  {"clamp_max", std::numeric_limits<double>::infinity()}};
  if (pick(0, 2) == 0) attrs.set("clamp_min", 0.0);
  const auto profile = static_cast<ir::Int8Profile>(pick(0, 5) < 4 ? 0 : pick(1, 2));
  const int64_t span = pick(1, static_cast<int64_t>(400 / factor));
  return {
      Requantizer(type(1, 0), type(factor, 0), type(1, zero), 1, attrs,
                  pick(0, 1) == 0 ? ops::int8::Product::kConvolution : ops::int8::Product::kDense,
                  profile),
      -pick(0, span), pick(1, span),
      "seed " + std::to_string(seed) + " factor " + std::to_string(factor)};
}

// Accumulators where a form could be wrong: at every step, beside it, and at the ends.
std::vector<int64_t> probes(const Steps& s) {
  std::vector<int64_t> found{s.lowest, s.highest};
  for (const int64_t at : s.at) {
    for (int64_t acc = at - 2; acc <= at + 2; ++acc) {
      if (acc >= s.lowest && acc <= s.highest) found.push_back(acc);
    }
  }
  return found;
}

TEST_CASE("int8 proofs: steps are where the exact function steps") {
  for (uint32_t seed = 0; seed < 400; ++seed) {
    const Channel c = random_channel(seed);
    const Steps s = steps_of(c.exact, 0, c.lowest, c.highest);
    REQUIRE(s.first == c.value(c.lowest));
    REQUIRE(s.last == c.value(c.highest));
    bool is_right = s.at.size() == static_cast<size_t>(s.last - s.first);
    for (size_t i = 0; is_right && i < s.at.size(); ++i) {
      const int level = s.first + 1 + static_cast<int>(i);
      is_right = c.value(s.at[i]) >= level && c.value(s.at[i] - 1) < level;
    }
    CHECK_MESSAGE(is_right, c.text);
  }
}

TEST_CASE("int8 proofs: a proved form gives the exact value everywhere") {
  int forms = 0;
  for (uint32_t seed = 0; seed < 400; ++seed) {
    const Channel c = random_channel(seed);
    const Steps s = steps_of(c.exact, 0, c.lowest, c.highest);
    const bool is_relu = c.exact.range().min >= c.exact.zero();
    const int32_t base = seed % 4 == 0 ? 0 : c.exact.zero();
    const FloatForm f = prove_any(s, c.exact.real(0), c.exact.zero(), base, is_relu);
    if (!f.is_proved) continue;
    ++forms;
    int wrong = 0;
    for (const int64_t acc : probes(s)) {
      const int64_t at = acc - f.centre;
      const float offset = at < 0 ? f.offset_negative : f.offset;
      const double y =
          std::floor(static_cast<double>(static_cast<float>(at)) * static_cast<double>(f.scale) +
                     static_cast<double>(offset)) +
          base;
      const auto range = c.exact.range();
      wrong += std::clamp(y, static_cast<double>(range.min), static_cast<double>(range.max)) !=
               c.value(acc);
    }
    CHECK_MESSAGE(wrong == 0, c.text);
  }
  CHECK(forms > 360);
}

TEST_CASE("int8 proofs: a proved form of two scales gives the exact value everywhere") {
  int forms = 0;
  int tried = 0;
  for (uint32_t seed = 0; seed < 400; ++seed) {
    const Channel c = random_channel(seed);
    const Steps s = steps_of(c.exact, 0, c.lowest, c.highest);
    if (s.at.empty()) continue;
    ++tried;
    const FloatForm f = prove_fine(s, c.exact.real(0), c.exact.zero());
    if (!f.is_proved) continue;
    ++forms;
    int wrong = 0;
    for (const int64_t acc : probes(s)) {
      const auto x = static_cast<float>(acc);
      const float inner = std::fmaf(x, f.fine, acc < 0 ? f.offset_negative : f.offset);
      const double y =
          c.exact.zero() + std::floor(static_cast<double>(x) * static_cast<double>(f.scale) +
                                      static_cast<double>(inner));
      const auto range = c.exact.range();
      wrong += std::clamp(y, static_cast<double>(range.min), static_cast<double>(range.max)) !=
               c.value(acc);
    }
    CHECK_MESSAGE(wrong == 0, c.text);
  }
  CHECK(forms * 10 > tried * 9);
}

TEST_CASE("int8 proofs: two hundred steps of ten thousand sums each need two scales") {
  // A layer of MobileNetV2: its sums reach a million, its steps lie 10,855 apart.
  int coarse = 0;
  int fine = 0;
  for (uint32_t i = 0; i < 50; ++i) {
    const auto type = [](float scale, int32_t zero) {
      return TensorType{DType::kI8, Shape{1, 1},
                        std::make_shared<const ir::QuantParams>(ir::QuantParams{{scale}, {zero}})};
    };
    const float factor = 9.21197e-05F + 1e-8F * static_cast<float>(i);
    const Requantizer exact(type(0.9731F, 0), type(factor, 0), type(1.0127F, -9), 1,
                            {{"clamp_min", -std::numeric_limits<double>::infinity()},
                             {"clamp_max", std::numeric_limits<double>::infinity()}},
                            ops::int8::Product::kConvolution, ir::Int8Profile{});
    const Steps s = steps_of(exact, 0, -1165095, 1138830);
    coarse += prove_any(s, exact.real(0), -9, -9, false).is_proved ? 1 : 0;
    fine += prove_fine(s, exact.real(0), -9).is_proved ? 1 : 0;
  }
  CHECK(fine == 50);
  CHECK(coarse < fine);
}

TEST_CASE("int8 proofs: a proved form of bits gives the exact value everywhere") {
  int forms = 0;
  int tried = 0;
  for (uint32_t seed = 0; seed < 400; ++seed) {
    const Channel c = random_channel(seed);
    const auto range = c.exact.range();
    if (range.min > -128 || c.exact.zero() > -128) continue;
    ++tried;
    const Steps s = steps_of(c.exact, 0, c.lowest, c.highest);
    const FloatForm f = prove_bits(s, c.exact.real(0), c.exact.zero());
    if (!f.is_proved) continue;
    ++forms;
    int wrong = 0;
    for (const int64_t acc : probes(s)) {
      const double x = kernels::int8::kFloatOne + static_cast<double>(acc - f.centre);
      const double y = std::floor(x * static_cast<double>(f.scale) + static_cast<double>(f.offset));
      wrong += std::clamp(y, 0.0, 255.0) - 128 != c.value(acc);
    }
    CHECK_MESSAGE(wrong == 0, c.text);
  }
  CHECK(tried > 100);
  CHECK(forms * 2 > tried);
}

TEST_CASE("int8 proofs: a channel that is only a bias has a form of bits, however large that is") {
  const int64_t bias = int64_t{1} << 30;
  const FloatForm f = prove_bits(
      {.lowest = bias, .highest = bias, .first = 127, .last = 127, .at = {}}, 1e-9, -128);
  CHECK(f.is_proved);
  CHECK(f.centre == bias);
  CHECK(f.scale == 0.F);
  CHECK(std::floor(f.offset) == 255.F);
}

TEST_CASE("int8 proofs: pieces of one function are joined, those of two or with a gap are not") {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    const Channel c = random_channel(seed);
    const Steps all = steps_of(c.exact, 0, c.lowest, c.highest);
    const int64_t third = (c.highest - c.lowest) / 3;
    const Steps left = steps_of(c.exact, 0, c.lowest, c.highest - third);
    const Steps right = steps_of(c.exact, 0, c.lowest + third, c.highest);
    const auto joined = join_steps({&right, &left});
    REQUIRE_MESSAGE(joined, c.text);
    CHECK(joined->lowest == all.lowest);
    CHECK(joined->highest == all.highest);
    CHECK(joined->first == all.first);
    CHECK(joined->last == all.last);
    CHECK(joined->at == all.at);
    if (all.at.size() < 3) continue;
    Steps moved = right;
    if (!moved.at.empty()) {
      --moved.at[0];
      CHECK_MESSAGE(!join_steps({&all, &moved}), c.text);
    }
    // The steps between the first and the last accumulator are known to neither.
    const Steps low = steps_of(c.exact, 0, c.lowest, c.lowest + 1);
    const Steps high = steps_of(c.exact, 0, c.highest - 1, c.highest);
    if (high.first - low.last > 0) CHECK_MESSAGE(!join_steps({&low, &high}), c.text);
  }
}

}  // namespace
}  // namespace ew::runtime::int8
