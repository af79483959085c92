#include "ops/hybrid.h"

#include <algorithm>
#include <cmath>

#include "ops/int8.h"

namespace ew::ops {
namespace {

/// One sample as integers: x = scale * (q - zero).
struct Quantised {
  std::vector<int8_t> q;
  float scale = 1;
  int32_t zero = 0;
};

Quantised quantise(std::span<const float> x, const Attrs& attrs) {
  // NaN would turn into any integer; a sample that has one has no range.
  if (!std::all_of(x.begin(), x.end(), [](float v) { return std::isfinite(v); })) {
    return {std::vector<int8_t>(x.size(), 0), std::numeric_limits<float>::quiet_NaN(), 0};
  }
  float low = 0;
  float high = 0;
  for (const float v : x) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  const SampleQuant form = sample_quant(low, high, attrs.flag("asymmetric_inputs"));
  Quantised out{std::vector<int8_t>(x.size()), form.scale, form.zero};
  for (size_t i = 0; i < x.size(); ++i) {
    const float q = std::round(x[i] * form.inverse + static_cast<float>(form.zero));
    out.q[i] = static_cast<int8_t>(std::clamp(q, static_cast<float>(form.low), 127.F));
  }
  return out;
}

/// The real value of a sum for one output channel, in the peers' order, because what is rounded
/// here decides which integer the next layer's input becomes: whole convolutions apply a scale per
/// channel before the input's, all others multiply the two scales first.
float real_sum(int64_t sum, float input_scale, const TensorType& w, size_t channel,
               const float* bias, bool channel_first) {
  const std::vector<float>& scales = w.quant->scales;
  const float scale = scales.size() > 1 ? scales[channel] : scales[0];
  const auto acc = static_cast<float>(sum);
  const float scaled =
      channel_first && scales.size() > 1 ? acc * scale * input_scale : acc * (input_scale * scale);
  return bias == nullptr ? scaled : scaled + bias[channel];
}

}  // namespace

int64_t scale_group(const TensorType& w) {
  if (!w.quant || w.quant->axis != 1 || w.shape.rank() != 2 || !w.shape.is_static()) return 0;
  const auto scales = static_cast<int64_t>(w.quant->scales.size());
  if (scales <= w.shape[1]) return 0;
  // Doubling a group halves their number, so at most one size fits.
  for (int64_t group = 16; group < w.shape[0]; group *= 2) {
    if (group_count(w.shape[0], group) * w.shape[1] == scales) return group;
  }
  return 0;
}

SampleQuant sample_quant(float low, float high, bool asymmetric) {
  SampleQuant out;
  if (!asymmetric) {
    const float largest = std::max(-low, high);
    if (largest == 0) return out;
    return {.scale = largest / 127.F, .inverse = 127.F / largest};
  }
  out.low = -128;
  if (low == high) return out;
  // The zero point comes from that end of the range where rounding it costs less.
  const double scale = (double{high} - double{low}) / 255;
  const double from_low = -128 - low / scale;
  const double from_high = 127 - high / scale;
  const double low_error = 128 + std::abs(low / scale);
  const double high_error = 127 + std::abs(high / scale);
  const double zero = low_error < high_error ? from_low : from_high;
  out.zero = static_cast<int32_t>(std::clamp(std::round(zero), -128.0, 127.0));
  out.scale = static_cast<float>(scale);
  out.inverse = 1.F / out.scale;
  return out;
}

bool is_hybrid(ConstViews in) {
  return in[0].type->quant == nullptr && in[1].type->quant != nullptr;
}

void conv_forward_hybrid(const ConvGeometry& g, ConstViews in, TensorView out, const Attrs& attrs) {
  const auto channels = static_cast<size_t>(g.groups * g.out_channels);
  const float* x = in[0].as<float>();
  const auto* w = in[1].as<int8_t>();
  const float* bias = in.size() > 2 && in[2] ? in[2].as<float>() : nullptr;
  float* y = out.as<float>();
  ConvGeometry one = g;
  one.batch = 1;
  const auto in_size = g.batch > 0 ? static_cast<size_t>(in[0].size() / g.batch) : 0;
  const auto out_size = g.batch > 0 ? static_cast<size_t>(out.size() / g.batch) : 0;
  for (int64_t n = 0; n < g.batch; ++n) {
    const Quantised q = quantise({x, in_size}, attrs);
    std::vector<int64_t> sums(out_size, 0);
    for_each_product(one, [&](int64_t xi, int64_t wi, int64_t yi) {
      sums[static_cast<size_t>(yi)] += (q.q[static_cast<size_t>(xi)] - q.zero) * w[wi];
    });
    for (size_t i = 0; i < out_size; ++i) {
      y[i] = real_sum(sums[i], q.scale, *in[1].type, i % channels, bias, g.groups == 1);
    }
    x += in_size;
    y += out_size;
  }
  int8::clamp_real(attrs, out);
}

void dense_hybrid(ConstViews in, TensorView out, const Attrs& attrs) {
  const auto k_size = static_cast<size_t>(in[1].shape()[0]);
  const auto n_size = static_cast<size_t>(in[1].shape()[1]);
  const int64_t rows = in[0].shape().product(0, in[0].shape().rank() - 1);
  const int64_t given = scale_group(*in[1].type);
  const size_t group = given > 0 ? static_cast<size_t>(given) : std::max<size_t>(k_size, 1);
  const float* x = in[0].as<float>();
  const auto* w = in[1].as<int8_t>();
  const float* bias = in.size() > 2 && in[2] ? in[2].as<float>() : nullptr;
  float* y = out.as<float>();
  for (int64_t r = 0; r < rows; ++r) {
    const Quantised q = quantise({x, k_size}, attrs);
    for (size_t n = 0; n < n_size; ++n) {
      float total = 0;
      for (size_t g = 0; g * group < k_size; ++g) {
        int64_t sum = 0;
        for (size_t k = g * group; k < std::min(k_size, (g + 1) * group); ++k) {
          sum += (q.q[k] - q.zero) * w[k * n_size + n];
        }
        const float part = real_sum(sum, q.scale, *in[1].type, g * n_size + n, nullptr, false);
        total = g == 0 ? part : total + part;
      }
      y[n] = bias == nullptr ? total : total + bias[n];
    }
    x += k_size;
    y += n_size;
  }
  int8::clamp_real(attrs, out);
}

}  // namespace ew::ops
