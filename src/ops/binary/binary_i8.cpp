// add, sub and mul in integers, with broadcasting and a fused activation.
#include "ops/binary/binary_i8.h"

#include "ops/int16.h"

namespace ew::ops {
namespace {

using int16::is_int16;
using int8::scale_of;
using int8::scale_twice_rounded;
using int8::zero_of;

template <typename F>
void for_each_pair(ConstViews in, Views out, const Attrs& attrs, F f) {
  const auto* a = in[0].as<int8_t>();
  const auto* b = in[1].as<int8_t>();
  auto* y = out[0].as<int8_t>();
  const BroadcastIndex index_a(in[0].shape(), out[0].shape());
  const BroadcastIndex index_b(in[1].shape(), out[0].shape());
  const int8::Range range = int8::clamp_range(attrs, *out[0].type);
  const int32_t zero_a = zero_of(*in[0].type);
  const int32_t zero_b = zero_of(*in[1].type);
  const int64_t zero = zero_of(*out[0].type);
  const int64_t n = out[0].size();
  for (int64_t i = 0; i < n; ++i) {
    const int64_t stored = f(a[index_a(i)] - zero_a, b[index_b(i)] - zero_b) + zero;
    y[i] = static_cast<int8_t>(std::clamp<int64_t>(stored, range.min, range.max));
  }
}

// Zero points of int16 are 0. A common scale has 15 more bits.
template <typename F>
void for_each_pair_i16(ConstViews in, Views out, const Attrs& attrs, F f) {
  const auto* a = in[0].as<int16_t>();
  const auto* b = in[1].as<int16_t>();
  auto* y = out[0].as<int16_t>();
  const BroadcastIndex index_a(in[0].shape(), out[0].shape());
  const BroadcastIndex index_b(in[1].shape(), out[0].shape());
  const int16::Range range = int16::clamp_range(attrs, *out[0].type);
  const int64_t n = out[0].size();
  for (int64_t i = 0; i < n; ++i) y[i] = range(f(a[index_a(i)], b[index_b(i)]));
}

constexpr int kSumBits16 = 15;

template <int sign>
void sum_i16(ConstViews in, Views out, const Attrs& attrs) {
  const SumScales scales = sum_scales(*in[0].type, *in[1].type, *out[0].type, kSumBits16);
  for_each_pair_i16(in, out, attrs, [&](int32_t a, int32_t b) {
    const int32_t scaled_a = scale_twice_rounded(a * (1 << kSumBits16), scales.a);
    const int32_t scaled_b = scale_twice_rounded(b * (1 << kSumBits16), scales.b);
    return scale_twice_rounded(scaled_a + sign * scaled_b, scales.out);
  });
}

template <int sign>
void sum_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  if (is_int16(in[0])) return sum_i16<sign>(in, out, attrs);
  const SumScales scales = sum_scales(*in[0].type, *in[1].type, *out[0].type);
  for_each_pair(in, out, attrs, [&](int32_t a, int32_t b) {
    const int32_t scaled_a = scale_twice_rounded(a * (1 << kSumBits), scales.a);
    const int32_t scaled_b = scale_twice_rounded(b * (1 << kSumBits), scales.b);
    return scale_twice_rounded(scaled_a + sign * scaled_b, scales.out);
  });
}

void mul_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  const int8::Multiplier m =
      int8::quantize_multiplier(double{scale_of(*in[0].type)} * double{scale_of(*in[1].type)} /
                                double{scale_of(*out[0].type)});
  if (is_int16(in[0])) {
    return for_each_pair_i16(in, out, attrs,
                             [&](int32_t a, int32_t b) { return scale_twice_rounded(a * b, m); });
  }
  for_each_pair(in, out, attrs,
                [&](int32_t a, int32_t b) { return scale_twice_rounded(a * b, m); });
}

// Values of one scale compare as they are stored; importers refuse others.
template <bool takes_larger, typename T>
void select(ConstViews in, Views out) {
  const auto* a = in[0].as<T>();
  const auto* b = in[1].as<T>();
  auto* y = out[0].as<T>();
  const BroadcastIndex index_a(in[0].shape(), out[0].shape());
  const BroadcastIndex index_b(in[1].shape(), out[0].shape());
  const int64_t n = out[0].size();
  for (int64_t i = 0; i < n; ++i) {
    const T x = a[index_a(i)];
    const T z = b[index_b(i)];
    y[i] = takes_larger ? std::max(x, z) : std::min(x, z);
  }
}

template <bool takes_larger>
void select_i8(ConstViews in, Views out, const Attrs&, Int8Profile) {
  if (is_int16(in[0])) return select<takes_larger, int16_t>(in, out);
  select<takes_larger, int8_t>(in, out);
}

}  // namespace

SumScales sum_scales(const TensorType& a, const TensorType& b, const TensorType& out, int bits) {
  const double twice_larger = 2 * double{std::max(scale_of(a), scale_of(b))};
  return {int8::quantize_multiplier(double{scale_of(a)} / twice_larger),
          int8::quantize_multiplier(double{scale_of(b)} / twice_larger),
          int8::quantize_multiplier(twice_larger / ((1 << bits) * double{scale_of(out)}))};
}

QuantRule binary_quant_rule(std::string_view name) {
  return name == "add" || name == "sub" || name == "mul" ? QuantRule::calibrated() : QuantRule{};
}

ir::ReferenceI8Fn binary_reference_i8(std::string_view name) {
  if (name == "add") return sum_i8<1>;
  if (name == "sub") return sum_i8<-1>;
  if (name == "mul") return mul_i8;
  if (name == "maximum") return select_i8<true>;
  if (name == "minimum") return select_i8<false>;
  return nullptr;
}

}  // namespace ew::ops
