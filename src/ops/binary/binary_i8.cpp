// add, sub and mul in integers, with broadcasting and a fused activation.
#include "ops/binary/binary_i8.h"

namespace ew::ops {
namespace {

using int8::scale_of;
using int8::scale_twice_rounded;
using int8::zero_of;

constexpr int kSumShift = 20;

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

template <int sign>
void sum_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  const SumScales scales = sum_scales(*in[0].type, *in[1].type, *out[0].type);
  for_each_pair(in, out, attrs, [&](int32_t a, int32_t b) {
    const int32_t scaled_a = scale_twice_rounded(a * (1 << kSumShift), scales.a);
    const int32_t scaled_b = scale_twice_rounded(b * (1 << kSumShift), scales.b);
    return scale_twice_rounded(scaled_a + sign * scaled_b, scales.out);
  });
}

void mul_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  const int8::Multiplier m =
      int8::quantize_multiplier(double{scale_of(*in[0].type)} * double{scale_of(*in[1].type)} /
                                double{scale_of(*out[0].type)});
  for_each_pair(in, out, attrs,
                [&](int32_t a, int32_t b) { return scale_twice_rounded(a * b, m); });
}

// Values of one scale compare as they are stored; importers refuse others.
template <bool takes_larger>
void select_i8(ConstViews in, Views out, const Attrs&, Int8Profile) {
  const auto* a = in[0].as<int8_t>();
  const auto* b = in[1].as<int8_t>();
  auto* y = out[0].as<int8_t>();
  const BroadcastIndex index_a(in[0].shape(), out[0].shape());
  const BroadcastIndex index_b(in[1].shape(), out[0].shape());
  const int64_t n = out[0].size();
  for (int64_t i = 0; i < n; ++i) {
    const int8_t x = a[index_a(i)];
    const int8_t z = b[index_b(i)];
    y[i] = takes_larger ? std::max(x, z) : std::min(x, z);
  }
}

}  // namespace

SumScales sum_scales(const TensorType& a, const TensorType& b, const TensorType& out) {
  const double twice_larger = 2 * double{std::max(scale_of(a), scale_of(b))};
  return {int8::quantize_multiplier(double{scale_of(a)} / twice_larger),
          int8::quantize_multiplier(double{scale_of(b)} / twice_larger),
          int8::quantize_multiplier(twice_larger / ((1 << kSumShift) * double{scale_of(out)}))};
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
