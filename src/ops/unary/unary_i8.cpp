// Integer definitions of the elementwise functions that have one: each fills the table of all 256
// outputs. The others stay in float.
#include "ops/unary/unary_i8.h"

#include <string_view>
#include <type_traits>

#include "ops/int8.h"

namespace ew::ops {
namespace {

using int8::high_multiply;
using int8::Multiplier;
using int8::quantize_multiplier;
using int8::Range;
using int8::rounding_shift_right;
using int8::scale_of;
using int8::scale_twice_rounded;
using int8::Table;
using int8::zero_of;

template <typename F>
Table fill(F f) {
  Table table{};
  for (int q = -128; q < 128; ++q) table[static_cast<size_t>(q + 128)] = f(q);
  return table;
}

int8_t shifted(int32_t scaled, int32_t zero, Range range = {}) {
  return static_cast<int8_t>(std::clamp<int64_t>(int64_t{scaled} + zero, range.min, range.max));
}

// relu, relu6, clip: a change of scale, then a clamp. The ratio of scales is a float quotient.
Table clamp_table(const TensorType& x, const TensorType& y, double min, double max) {
  const Multiplier m = quantize_multiplier(double{scale_of(x) / scale_of(y)});
  const Range range = int8::quantized_range(min, max, y);
  return fill(
      [&](int q) { return shifted(scale_twice_rounded(q - zero_of(x), m), zero_of(y), range); });
}

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Table relu(const TensorType& x, const TensorType& y, const Attrs&) {
  return clamp_table(x, y, 0, kInfinity);
}
Table relu6(const TensorType& x, const TensorType& y, const Attrs&) {
  return clamp_table(x, y, 0, 6);
}
Table clip(const TensorType& x, const TensorType& y, const Attrs& attrs) {
  return clamp_table(x, y, attrs.number("alpha"), attrs.number("beta"));
}

Table leaky_relu(const TensorType& x, const TensorType& y, const Attrs& attrs) {
  const auto alpha = static_cast<float>(attrs.number("alpha"));
  const Multiplier identity = quantize_multiplier(double{scale_of(x) / scale_of(y)});
  const Multiplier slope = quantize_multiplier(std::abs(double{scale_of(x) * alpha / scale_of(y)}));
  return fill([&](int q) {
    const int32_t v = q - zero_of(x);
    if (v >= 0) return shifted(scale_twice_rounded(v, identity), zero_of(y));
    const int32_t scaled = scale_twice_rounded(v, slope);
    return shifted(alpha < 0 ? -scaled : scaled, zero_of(y));
  });
}

// sigmoid and tanh share their argument: Q4.27, saturating outside of its range.
template <typename F>
Table from_q4(const TensorType& x, F f) {
  constexpr int kBits = 4;
  const Multiplier m = quantize_multiplier(double{scale_of(x)} * (1 << (31 - kBits)));
  const int32_t radius = int8::input_radius(kBits, m.shift);
  return fill([&](int q) -> int8_t {
    const int32_t v = q - zero_of(x);
    if (v <= -radius) return -128;
    if (v >= radius) return 127;
    return f(scale_twice_rounded(v, m));
  });
}

Table sigmoid(const TensorType& x, const TensorType&, const Attrs&) {
  return from_q4(x, [](int32_t v) {
    return shifted(rounding_shift_right(int8::sigmoid_q4(v), 31 - 8), -128);
  });
}

Table tanh(const TensorType& x, const TensorType&, const Attrs&) {
  return from_q4(
      x, [](int32_t v) { return shifted(rounding_shift_right(int8::tanh_q4(v), 31 - 7), 0); });
}

int16_t saturate16(int32_t x) {
  return static_cast<int16_t>(std::clamp<int32_t>(x, -32768, 32767));
}
// round(a * b / 2^15), ties upwards.
int16_t high_multiply16(int16_t a, int16_t b) {
  if (a == -32768 && b == -32768) return 32767;
  const int32_t product = int32_t{a} * b;
  return static_cast<int16_t>((product + (product >= 0 ? 1 << 14 : 1 - (1 << 14))) / (1 << 15));
}
int16_t shift_left16(int16_t x, int amount) {
  return saturate16(static_cast<int32_t>(
      std::clamp<int64_t>(int64_t{x} * (int64_t{1} << std::min(amount, 31)), -32768, 32767)));
}
// The upper half of a multiplier.
int16_t to_16_bits(const Multiplier& m) {
  if (m.value >= std::numeric_limits<int32_t>::max() - (1 << 15)) return 32767;
  return static_cast<int16_t>((m.value + (1 << 15)) >> 16);
}

// x * relu6(x + 3) / 6 in 16-bit fixed point (the definition of HARD_SWISH).
Table hard_silu(const TensorType& x, const TensorType& y, const Attrs&) {
  const float fine = 1.F / 128 * scale_of(x);
  const Multiplier out = quantize_multiplier(double{fine / scale_of(y)});
  const Multiplier gate = quantize_multiplier(double{fine / (3.F / 32768)});
  const int16_t out16 = to_16_bits(out);
  const int16_t gate16 = to_16_bits(gate);
  return fill([&](int q) {
    const auto v = static_cast<int16_t>((q - zero_of(x)) * 128);
    const int16_t value = high_multiply16(v, out16);
    int16_t g = v;
    // The last bit of a left shift comes after the multiply, where saturating is harmless.
    if (gate.shift > 0) g = shift_left16(g, gate.shift - 1);
    g = high_multiply16(g, gate16);
    if (gate.shift > 0) g = shift_left16(g, 1);
    if (gate.shift < 0) g = static_cast<int16_t>(rounding_shift_right(g, -gate.shift));
    const int32_t weight = (g + (1 << 15)) >> 1;
    // Towards zero: this cancels the bias of the roundings above.
    const int32_t product = weight * value / (1 << 15);
    return shifted(rounding_shift_right(product, std::max(-out.shift, 0)), zero_of(y));
  });
}

struct Row {
  std::string_view name;
  Table (*table)(const TensorType& x, const TensorType& y, const Attrs& attrs);
  QuantRule rule;
  ir::ReferenceI8Fn reference;
};

// `wide`: void (ConstTensorView in, TensorView out) for 16 bits, or nullptr.
template <Table (*make)(const TensorType&, const TensorType&, const Attrs&), auto wide>
void look_up(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  if constexpr (!std::is_null_pointer_v<decltype(wide)>) {
    if (in[0].dtype() == DType::kI16) return wide(in[0], out[0]);
  }
  const Table table = make(*in[0].type, *out[0].type, attrs);
  const auto* x = in[0].as<int8_t>();
  auto* y = out[0].as<int8_t>();
  const int64_t n = in[0].size();
  for (int64_t i = 0; i < n; ++i) y[i] = table[static_cast<size_t>(x[i] + 128)];
}

template <Table (*make)(const TensorType&, const TensorType&, const Attrs&), auto wide = nullptr>
constexpr Row row(std::string_view name, QuantRule rule = QuantRule::calibrated()) {
  return {name, make, rule, look_up<make, wide>};
}

constexpr Row kRows[] = {
    row<clip>("clip"),
    row<hard_silu>("hard_silu"),
    row<leaky_relu>("leaky_relu"),
    row<relu, relu_i16>("relu"),
    row<relu6>("relu6"),
    row<sigmoid, sigmoid_i16>("sigmoid", QuantRule::fixed(1.F / 256, -128)),
    row<tanh, tanh_i16>("tanh", QuantRule::fixed(1.F / 128, 0)),
};

const Row* find(std::string_view name) {
  for (const Row& r : kRows) {
    if (r.name == name) return &r;
  }
  return nullptr;
}

}  // namespace

ir::ReferenceI8Fn unary_reference_i8(std::string_view name) {
  const Row* r = find(name);
  return r ? r->reference : nullptr;
}

QuantRule unary_quant_rule(std::string_view name) {
  const Row* r = find(name);
  return r ? r->rule : QuantRule{};
}

int8::Table unary_table(const OpDef& op, const TensorType& x, const TensorType& y,
                        const Attrs& attrs) {
  const Row* r = find(op.name);
  EW_DCHECK(r != nullptr);
  return r->table(x, y, attrs);
}

}  // namespace ew::ops
