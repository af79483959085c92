// The forms of sums against the definition, for every pair of bytes.
#include "runtime/int8/prove_sum.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

namespace ew::runtime::int8 {
namespace {

using ir::TensorType;
using kernels::int8::AddForm;

ExactSum random_sum(uint32_t seed) {
  std::mt19937 rng(seed);
  const auto pick = [&](int64_t low, int64_t high) {
    return static_cast<int32_t>(std::uniform_int_distribution<int64_t>(low, high)(rng));
  };
  const auto type = [&](float scale, int32_t zero) {
    return TensorType{DType::kI8, Shape{1, 1},
                      std::make_shared<const ir::QuantParams>(ir::QuantParams{{scale}, {zero}})};
  };
  const auto scale = [&] { return std::exp2(std::uniform_real_distribution<float>(-6, -3)(rng)); };
  const TensorType a = type(scale(), pick(-128, 127));
  const TensorType b = type(scale(), pick(-128, 127));
  const TensorType y = type(scale(), pick(0, 1) == 0 ? -128 : pick(-128, 127));
  const int32_t zero = ops::int8::zero_of(y);
  return {.scales = ops::sum_scales(a, b, y),
          .zero_a = ops::int8::zero_of(a),
          .zero_b = ops::int8::zero_of(b),
          .zero = zero,
          .sign = pick(0, 1) == 0 ? 1 : -1,
          .range = {.min = pick(0, 1) == 0 ? zero : -128, .max = 127}};
}

int64_t saturated(int64_t x) {
  return std::clamp<int64_t>(x, std::numeric_limits<int32_t>::min(),
                             std::numeric_limits<int32_t>::max());
}

// As kernels add it up: sixteen bits of each factor first, then eight.
int byte_of(const AddForm& f, int a, int b) {
  int64_t sum = f.start;
  sum = saturated(sum + 256 * (a - 128) * int64_t{f.whole_a >> 8} +
                  256 * (b - 128) * int64_t{f.whole_b >> 8});
  sum = saturated(sum + (a - 128) * (f.whole_a & 0xFF) + (b - 128) * (f.whole_b & 0xFF));
  return static_cast<int>(std::clamp<int64_t>(sum >> f.shift, f.min, f.max));
}

TEST_CASE("int8 sums: a form of integers gives the defined byte for every pair") {
  int whole = 0;
  constexpr int kSums = 60;
  for (uint32_t seed = 0; seed < kSums; ++seed) {
    const ExactSum exact = random_sum(seed);
    AddForm form;
    form.min = static_cast<uint8_t>(exact.range.min + 128);
    form.max = static_cast<uint8_t>(exact.range.max + 128);
    if (!prove_sum(exact, true, form) || form.shift == 0) continue;
    ++whole;
    CHECK(form.shift <= 22);
    CHECK(std::max(std::abs(form.whole_a), std::abs(form.whole_b)) < 1 << 23);
    int wrong = 0;
    for (int a = 0; a < 256; ++a) {
      for (int b = 0; b < 256; ++b) {
        const int stored = exact.whole(exact.part_a(a - 128), exact.part_b(b - 128));
        wrong += byte_of(form, a, b) != stored + 128;
      }
    }
    CHECK_MESSAGE(wrong == 0, "seed ", seed);
  }
  CHECK(whole * 10 > kSums * 7);
}

TEST_CASE("int8 sums: kernels without integers get floats") {
  AddForm form;
  CHECK(prove_sum(random_sum(1), false, form));
  CHECK(form.shift == 0);
  CHECK(form.scale_a != 0.F);
}

}  // namespace
}  // namespace ew::runtime::int8
