// softmax in integers: exp in Q5.26 -> Q0.31, their sum in Q12.19, a reciprocal in Q0.31. The
// output's scale is 1/256 and its zero point -128 by definition.
#include "ops/int8.h"

namespace ew::ops {

void softmax_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile);
void softmax_i16(ConstViews in, Views out, const Attrs& attrs);

namespace {

constexpr int kDifferenceBits = 5;
constexpr int kSumBits = 12;

}  // namespace

void softmax_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  if (in[0].dtype() == DType::kI16) return softmax_i16(in, out, attrs);
  const Shape& shape = in[0].shape();
  const AxisSplit v = split_at(shape, *normalize_axis(attrs.integer("axis"), shape.rank()));
  if (in[0].size() == 0) return;
  const auto* x = in[0].as<int8_t>();
  auto* y = out[0].as<int8_t>();
  const double factor = double{int8::scale_of(*in[0].type)} * (1 << (31 - kDifferenceBits));
  const int8::Multiplier m =
      int8::quantize_multiplier(std::min(factor, static_cast<double>((int64_t{1} << 31) - 1)));
  // Differences beyond this are exp() = 0 at the output's precision.
  const int32_t smallest = -int8::input_radius(kDifferenceBits, m.shift);
  const auto exponential = [&](int32_t difference) {
    return int8::exp_negative(int8::scale_twice_rounded(difference, m), kDifferenceBits);
  };
  for (int64_t o = 0; o < v.outer; ++o) {
    for (int64_t i = 0; i < v.inner; ++i) {
      const auto at = [&](int64_t a) { return (o * v.axis + a) * v.inner + i; };
      int32_t max = -128;
      for (int64_t a = 0; a < v.axis; ++a) max = std::max<int32_t>(max, x[at(a)]);
      int64_t sum = 0;
      for (int64_t a = 0; a < v.axis; ++a) {
        const int32_t difference = x[at(a)] - max;
        if (difference < smallest) continue;
        sum += int8::rounding_shift_right(exponential(difference), kSumBits);
      }
      // Q12.19 holds 4095 equal classes; more would wrap in the definition.
      sum = std::clamp<int64_t>(sum, 1, std::numeric_limits<int32_t>::max());
      int exponent = 0;
      const int32_t scale = int8::reciprocal(static_cast<int32_t>(sum), kSumBits, exponent);
      for (int64_t a = 0; a < v.axis; ++a) {
        const int32_t difference = x[at(a)] - max;
        int32_t stored = -128;
        if (difference >= smallest) {
          const int32_t share = int8::high_multiply(scale, exponential(difference));
          stored += int8::rounding_shift_right(share, exponent + 31 - 8);
        }
        y[at(a)] = int8::Range{}(stored);
      }
    }
  }
}

}  // namespace ew::ops
