// softmax of int16: exp over [-10, 0] and 1 / (1 + x) over [0, 1] are tables of straight pieces.
// The output's scale is 2^-15.
#include <bit>
#include <cmath>

#include "ops/int16.h"

namespace ew::ops {

void softmax_i16(ConstViews in, Views out, const Attrs& attrs);

namespace {

struct Tables {
  int16::Table exp{-10, 0, [](double x) { return std::exp(x); }};
  int16::Table one_over{0, 1, [](double x) { return 1 / (1 + x); }};
};

}  // namespace

void softmax_i16(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const AxisSplit v = split_at(shape, *normalize_axis(attrs.integer("axis"), shape.rank()));
  if (in[0].size() == 0) return;
  const auto* x = in[0].as<int16_t>();
  auto* y = out[0].as<int16_t>();
  const Tables tables;
  const int8::Multiplier m =
      int8::quantize_multiplier(double{int8::scale_of(*in[0].type)} / (10.0 / 65535));
  const int16::Range saturate;
  for (int64_t o = 0; o < v.outer; ++o) {
    for (int64_t i = 0; i < v.inner; ++i) {
      const auto at = [&](int64_t a) { return (o * v.axis + a) * v.inner + i; };
      int32_t max = -32768;
      for (int64_t a = 0; a < v.axis; ++a) max = std::max<int32_t>(max, x[at(a)]);
      int64_t sum = 0;
      for (int64_t a = 0; a < v.axis; ++a) {
        const int64_t scaled = int8::scale_twice_rounded(x[at(a)] - max, m);
        y[at(a)] = tables.exp(saturate(scaled + 32767));
        sum += y[at(a)];
      }
      // 2^16 equal classes fit; more would wrap in the definition.
      sum = std::clamp<int64_t>(sum, 1, std::numeric_limits<int32_t>::max());
      const int headroom = std::countl_zero(static_cast<uint32_t>(sum));
      const int64_t one_plus = ((sum << (headroom - 1)) + (1 << 13)) >> 14;
      const int64_t reciprocal = tables.one_over(saturate(one_plus - (1 << 15) - (1 << 16)));
      const int shift = 31 - headroom;
      const int64_t half = shift > 0 ? int64_t{1} << (shift - 1) : 0;
      for (int64_t a = 0; a < v.axis; ++a) {
        const int64_t share = (y[at(a)] * reciprocal + half) >> shift;
        y[at(a)] = static_cast<int16_t>(std::clamp<int64_t>(share, 0, 32767));
      }
    }
  }
}

}  // namespace ew::ops
