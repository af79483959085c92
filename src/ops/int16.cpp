#include "ops/int16.h"

#include <cmath>

namespace ew::ops::int16 {

bool has_form(const OpDef& op) {
  const OpDef* const known[] = {
      &kAdd,      &kAvgPool,    &kBroadcastTo, &kConcat,  &kConv,          &kDense,     &kMatmul,
      &kMaxPool,  &kDequantize, &kReduceMean,  &kGather,  &kDepthwiseConv, &kMul,       &kPad,
      &kQuantize, &kRepeat,     &kReshape,     &kSigmoid, &kSlice,         &kSoftmax,   &kSub,
      &kTanh,     &kWhere,      &kTranspose,   &kMaximum, &kMinimum,       &kReduceMax, &kRelu};
  return std::find(std::begin(known), std::end(known), &op) != std::end(known);
}

Status expect_real(const TensorType& type) {
  if (type.dtype == DType::kI16 && type.quant) return {};
  return ops::expect_real(type);
}

Range clamp_range(const Attrs& attrs, const TensorType& out) {
  Range range;
  const auto stored = [&](double bound) {
    const float steps = std::round(static_cast<float>(bound) / int8::scale_of(out));
    return static_cast<int64_t>(std::clamp(static_cast<double>(steps), -32768.0, 32767.0));
  };
  const double min = attrs.number("clamp_min");
  const double max = attrs.number("clamp_max");
  if (std::isfinite(min)) range.min = stored(min);
  if (std::isfinite(max)) range.max = std::max(range.min, stored(max));
  return range;
}

int32_t scale_wide(int64_t x, int8::Multiplier m) {
  constexpr int64_t kLimit = int64_t{1} << 47;
  x = std::clamp(x, -kLimit, kLimit - 1);
  const int64_t half = m.value < 0x7FFF0000 ? (m.value + (1 << 15)) >> 16 : 0x7FFF;
  const int shift = 15 - m.shift;
  const int64_t product = x * half;
  // Factors of 2^15 and more are beyond the definition: everything but 0 leaves int16.
  if (shift < 1) return product > 0 ? INT32_MAX : product < 0 ? INT32_MIN : 0;
  return static_cast<int32_t>((product + (int64_t{1} << (shift - 1))) >> shift);
}

Requantizer::Requantizer(ConstViews in, const TensorType& y, int64_t channels, const Attrs& attrs,
                         int8::Product product, Int8Profile profile)
    : rounds_once_(product == int8::Product::kDense && profile != Int8Profile::kTflm),
      range_(clamp_range(attrs, y)) {
  const std::vector<float>& scales = in[1].type->quant->scales;
  for (int64_t c = 0; c < channels; ++c) {
    const float s_w = scales.size() > 1 ? scales[static_cast<size_t>(c)] : scales[0];
    const double scale = double{int8::scale_of(*in[0].type)} * double{s_w};
    reals_.push_back(scale / double{int8::scale_of(y)});
    multipliers_.push_back(int8::quantize_multiplier(reals_.back()));
  }
  bias_.assign(static_cast<size_t>(channels), 0);
  if (in.size() < 3 || !in[2]) return;
  is_wide_ = in[2].dtype() == DType::kI64;
  for (size_t c = 0; c < bias_.size(); ++c) {
    bias_[c] = is_wide_ ? in[2].as<int64_t>()[c] : in[2].as<int32_t>()[c];
  }
}

int16_t Requantizer::operator()(int64_t sum, int64_t channel) const {
  const auto c = static_cast<size_t>(channel);
  // Sums wrap at their width.
  sum = static_cast<int64_t>(static_cast<uint64_t>(sum) + static_cast<uint64_t>(bias_[c]));
  if (rounds_once_) {
    const double scaled = std::round(static_cast<double>(sum) * reals_[c]);
    return range_(static_cast<int64_t>(std::clamp(scaled, -32768.0, 32767.0)));
  }
  if (is_wide_) return range_(scale_wide(sum, multipliers_[c]));
  return range_(int8::scale_twice_rounded(static_cast<int32_t>(sum), multipliers_[c]));
}

// Every entry gives way by half of what the straight piece after it is off in its middle.
Table::Table(double min, double max, double (*f)(double)) {
  constexpr double kOne = 32768;
  const double step = (max - min) / 512;
  const auto bounded = [](double v) {
    return static_cast<int16_t>(std::clamp(v, -32768.0, 32767.0));
  };
  for (int i = 0; i < 512; ++i) {
    const double here = std::round(f(min + i * step) * kOne);
    const double next = f(min + (i + 1) * step) * kOne;
    const double middle = std::round(f(min + i * step + step / 2) * kOne);
    const double error = std::round((next + here) / 2) - middle;
    entries_[static_cast<size_t>(i)] = bounded(here - std::round(error / 2));
  }
  entries_[512] = bounded(std::round(f(max) * kOne));
}

int16_t Table::operator()(int16_t q) const {
  const auto i = static_cast<size_t>(256 + (q >> 7));
  const int slope = static_cast<int16_t>(entries_[i + 1] - entries_[i]);
  return static_cast<int16_t>(entries_[i] + ((slope * (q & 0x7F) + 64) >> 7));
}

}  // namespace ew::ops::int16
