#include "ops/int8.h"

#include <cmath>

#include "ops/hybrid.h"

namespace ew::ops::int8 {
namespace {

int32_t wrap(int64_t x) { return static_cast<int32_t>(x); }

int32_t saturate(double x) {
  constexpr double kMin = std::numeric_limits<int32_t>::min();
  constexpr double kMax = std::numeric_limits<int32_t>::max();
  return x >= kMax   ? std::numeric_limits<int32_t>::max()
         : x <= kMin ? std::numeric_limits<int32_t>::min()
                     : static_cast<int32_t>(x);
}

}  // namespace

Multiplier quantize_multiplier(double real) {
  if (real == 0) return {};
  if (!std::isfinite(real)) return {std::numeric_limits<int32_t>::max(), 31};
  Multiplier m;
  const double fraction = std::frexp(real, &m.shift);
  // Rounded half away from zero: below 2^31 the half is exact, and the conversion cuts off.
  const double scaled = fraction * (int64_t{1} << 31);
  auto value = static_cast<int64_t>(scaled + (scaled < 0 ? -0.5 : 0.5));
  if (value == int64_t{1} << 31) {
    value /= 2;
    ++m.shift;
  }
  if (m.shift < -31) return {};
  if (m.shift > 31) return {std::numeric_limits<int32_t>::max(), 31};
  m.value = static_cast<int32_t>(value);
  return m;
}

int32_t high_multiply(int32_t a, int32_t b) {
  if (a == b && a == std::numeric_limits<int32_t>::min()) {
    return std::numeric_limits<int32_t>::max();
  }
  const int64_t product = int64_t{a} * b;
  const int64_t half = product >= 0 ? int64_t{1} << 30 : 1 - (int64_t{1} << 30);
  return static_cast<int32_t>((product + half) / (int64_t{1} << 31));
}

int32_t rounding_shift_right(int32_t x, int exponent) {
  const int64_t mask = (int64_t{1} << exponent) - 1;
  const int64_t remainder = x & mask;
  const int64_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return static_cast<int32_t>((int64_t{x} >> exponent) + (remainder > threshold ? 1 : 0));
}

int32_t scale_twice_rounded(int32_t x, Multiplier m) {
  const int left = std::max(m.shift, 0);
  const int right = std::max(-m.shift, 0);
  return rounding_shift_right(high_multiply(wrap(int64_t{x} * (int64_t{1} << left)), m.value),
                              right);
}

int32_t scale_once_rounded(int32_t x, double real) { return saturate(std::round(x * real)); }

Range quantized_range(double min, double max, const TensorType& type) {
  // The peers divide and round in float.
  const auto stored = [&](double bound) {
    const float steps = std::round(static_cast<float>(bound) / scale_of(type));
    return std::clamp(static_cast<double>(steps) + zero_of(type), -128.0, 127.0);
  };
  Range range;
  if (min > -std::numeric_limits<double>::infinity()) range.min = static_cast<int32_t>(stored(min));
  if (max < std::numeric_limits<double>::infinity()) range.max = static_cast<int32_t>(stored(max));
  range.max = std::max(range.min, range.max);
  return range;
}

Range clamp_range(const Attrs& attrs, const TensorType& out) {
  return quantized_range(attrs.number("clamp_min"), attrs.number("clamp_max"), out);
}

bool has_clamp(const Attrs& attrs) {
  return attrs.has("clamp_min") &&
         (std::isfinite(attrs.number("clamp_min")) || std::isfinite(attrs.number("clamp_max")));
}

void clamp_real(const Attrs& attrs, TensorView out) {
  if (!has_clamp(attrs)) return;
  dispatch_real(out.dtype(), [&]<typename T>() {
    const T min = static_cast<T>(attrs.number("clamp_min"));
    const T max = static_cast<T>(attrs.number("clamp_max"));
    T* y = out.as<T>();
    const int64_t n = out.size();
    for (int64_t i = 0; i < n; ++i) y[i] = std::min(std::max(y[i], min), max);
  });
}

Requantizer::Requantizer(const TensorType& x, const TensorType& w, const TensorType& y,
                         int64_t channels, const Attrs& attrs, Product product, Int8Profile profile)
    : rounding_(profile == Int8Profile::kXnnpack ? Rounding::kFloatNearestEven
                : profile == Int8Profile::kLitertRef && product == Product::kDense
                    ? Rounding::kOnce
                    : Rounding::kTwice),
      zero_(zero_of(y)),
      range_(clamp_range(attrs, y)) {
  const std::vector<float>& scales = w.quant->scales;
  reals_.reserve(static_cast<size_t>(channels));
  multipliers_.reserve(static_cast<size_t>(channels));
  for (int64_t c = 0; c < channels; ++c) {
    const float s_w = scales.size() > 1 ? scales[static_cast<size_t>(c)] : scales[0];
    double real = double{scale_of(x)} * double{s_w} / double{scale_of(y)};
    if (rounding_ == Rounding::kFloatNearestEven) {
      real = double{scale_of(x) * s_w / scale_of(y)};
    }
    reals_.push_back(real);
    multipliers_.push_back(quantize_multiplier(real));
  }
}

int8_t Requantizer::operator()(int32_t accumulator, int64_t channel) const {
  const auto c = static_cast<size_t>(channel);
  int32_t scaled = 0;
  switch (rounding_) {
    case Rounding::kTwice:
      scaled = scale_twice_rounded(accumulator, multipliers_[c]);
      break;
    case Rounding::kOnce:
      scaled = scale_once_rounded(accumulator, reals_[c]);
      break;
    case Rounding::kFloatNearestEven:
      scaled = saturate(static_cast<double>(
          std::nearbyint(static_cast<float>(accumulator) * static_cast<float>(reals_[c]))));
      break;
  }
  const int64_t stored = int64_t{scaled} + zero_;
  return static_cast<int8_t>(std::clamp<int64_t>(stored, range_.min, range_.max));
}

namespace {
Status check_kernel_axis(const TensorType& w, int channel_axis) {
  const bool has_groups = w.quant->axis == 1 && w.shape.rank() == 2 && w.shape.is_static() &&
                          static_cast<int64_t>(w.quant->scales.size()) > w.shape[1];
  if (has_groups && (channel_axis != 1 || scale_group(w) == 0)) {
    return invalid_argument(w.quant->scales.size(), " scales do not fit groups of 16, 32, 64, ... ",
                            "inputs of a dense kernel ", w.shape);
  }
  if (w.quant->axis < 0 || w.quant->scales.size() == 1 || w.quant->axis == channel_axis) return {};
  return invalid_argument("expected kernel scales per axis ", channel_axis, ", found axis ",
                          w.quant->axis);
}
}  // namespace

Status check_operands(InputTypes in, int channel_axis) {
  const TensorType& x = *in[0];
  const TensorType& w = *in[1];
  const TensorType* bias = in.size() > 2 ? in[2] : nullptr;
  if (!x.quant) {
    if (w.quant == nullptr) return expect_same_dtype(in);
    const bool is_hybrid = x.dtype == DType::kF32 && w.dtype == DType::kI8 &&
                           (bias == nullptr || bias->dtype == DType::kF32);
    if (!is_hybrid) {
      return invalid_argument("expected float32 beside an int8 kernel, found ", x,
                              bias ? str(" and a bias ", *bias) : "");
    }
    return check_kernel_axis(w, channel_axis);
  }
  if (w.quant && scale_group(w) > 0) {
    return invalid_argument("scales for groups of inputs need a float32 input, found ", x);
  }
  const bool is_wide = x.dtype == DType::kI16;
  if (!w.quant || w.dtype != DType::kI8 || (x.dtype != DType::kI8 && !is_wide)) {
    return invalid_argument(
        "expected an int8 or int16 input and an int8 kernel with quantisation, ", "found ", x,
        " and ", w);
  }
  EW_TRY_VOID(check_kernel_axis(w, channel_axis));
  if (bias != nullptr && bias->dtype != DType::kI32 && !(is_wide && bias->dtype == DType::kI64)) {
    return invalid_argument("expected an int32 bias", is_wide ? " or an int64 one" : "", ", found ",
                            *bias);
  }
  return {};
}

}  // namespace ew::ops::int8
