// Transcendental functions in fixed point: the definitions of gemmlowp's fixedpoint.h, which the
// TFLite int8 operators are specified by.
#include <bit>

#include "ops/int8.h"

namespace ew::ops::int8 {
namespace {

constexpr int32_t kMax = std::numeric_limits<int32_t>::max();
constexpr int32_t kMin = std::numeric_limits<int32_t>::min();

// Additions wrap, as the definition's do.
int32_t add(int32_t a, int32_t b) { return static_cast<int32_t>(int64_t{a} + b); }
int32_t negate(int32_t a) { return static_cast<int32_t>(-int64_t{a}); }

// x * 2^exponent, saturating.
int32_t saturating_shift_left(int32_t x, int exponent) {
  const int64_t wide = int64_t{x} * (int64_t{1} << exponent);
  if (wide > kMax) return kMax;
  if (wide < kMin) return kMin;
  return static_cast<int32_t>(wide);
}

int32_t rounding_half_sum(int32_t a, int32_t b) {
  const int64_t sum = int64_t{a} + b;
  return static_cast<int32_t>((sum + (sum >= 0 ? 1 : -1)) / 2);
}

// exp(x) for x in [-1/4, 0), Q0.31: a Taylor series of 4 terms around -1/8.
int32_t exp_quarter(int32_t x) {
  constexpr int32_t kExpMinusEighth = 1895147668;
  constexpr int32_t kThird = 715827883;
  const int32_t t = add(x, 1 << 28);
  const int32_t t2 = high_multiply(t, t);
  const int32_t t3 = high_multiply(t2, t);
  const int32_t t4 = high_multiply(t2, t2);
  const int32_t cubic = high_multiply(add(rounding_shift_right(t4, 2), t3), kThird);
  const int32_t tail = rounding_shift_right(add(cubic, t2), 1);
  return add(kExpMinusEighth, high_multiply(kExpMinusEighth, add(t, tail)));
}

// The reciprocal of d in [1/2, 1] by three Newton steps from 48/17 - 32/17 d; result in Q2.29.
int32_t newton_reciprocal(int32_t half_denominator) {
  constexpr int32_t k48Over17 = 1515870810;
  constexpr int32_t kMinus32Over17 = -1010580540;
  constexpr int32_t kOneQ2 = 1 << 29;
  int32_t x = add(k48Over17, high_multiply(half_denominator, kMinus32Over17));
  for (int i = 0; i < 3; ++i) {
    const int32_t error = add(kOneQ2, negate(high_multiply(half_denominator, x)));
    x = add(x, saturating_shift_left(high_multiply(x, error), 2));
  }
  return x;
}

}  // namespace

int32_t exp_negative(int32_t x, int bits) {
  const int fraction_bits = 31 - bits;
  const int32_t quarter = 1 << (fraction_bits - 2);
  const int32_t part = (x & (quarter - 1)) - quarter;
  int32_t result = exp_quarter(saturating_shift_left(part, bits));
  const int32_t remainder = add(part, negate(x));
  // exp(-2^e) for e = -2 .. 4, in Q0.31
  constexpr int32_t kFactors[] = {1672461947, 1302514674, 790015084, 290630308,
                                  39332535,   720401,     242};
  for (int e = -2; e <= 4 && e < bits; ++e) {
    if ((remainder & (int32_t{1} << (fraction_bits + e))) != 0) {
      result = high_multiply(result, kFactors[e + 2]);
    }
  }
  return x == 0 ? kMax : result;
}

int32_t one_over_one_plus(int32_t x) {
  // Halving turns Q2.29 into Q1.30 without a shift.
  return saturating_shift_left(newton_reciprocal(rounding_half_sum(x, kMax)), 1);
}

int32_t one_minus_over_one_plus(int32_t x) {
  const int32_t y = newton_reciprocal(rounding_half_sum(x, kMax));
  return saturating_shift_left(add(y, -(1 << 29)), 2);
}

int32_t reciprocal(int32_t x, int bits, int& exponent) {
  const int headroom = std::countl_zero(static_cast<uint32_t>(x));
  exponent = bits - headroom;
  const uint32_t fraction = (static_cast<uint32_t>(x) << headroom) - (uint32_t{1} << 31);
  return one_over_one_plus(static_cast<int32_t>(fraction));
}

int32_t sigmoid_q4(int32_t x) {
  if (x == 0) return 1 << 30;
  const int32_t positive = one_over_one_plus(exp_negative(x > 0 ? negate(x) : x, 4));
  return x > 0 ? positive : add(kMax, negate(positive));
}

int32_t tanh_q4(int32_t x) {
  if (x == 0) return 0;
  // tanh(-y) = -(1 - e) / (1 + e) with e = exp(-2 y); doubling is one more integer bit.
  const int32_t size = one_minus_over_one_plus(exp_negative(x < 0 ? x : negate(x), 5));
  return x < 0 ? negate(size) : size;
}

int32_t input_radius(int bits, int left_shift, int total_bits) {
  const double radius = static_cast<double>((1 << bits) - 1) *
                        static_cast<double>(int64_t{1} << (total_bits - bits)) /
                        std::ldexp(1.0, left_shift);
  return static_cast<int32_t>(std::min(std::floor(radius), static_cast<double>(kMax)));
}

}  // namespace ew::ops::int8
