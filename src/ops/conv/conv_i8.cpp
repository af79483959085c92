// Convolutions in integers: acc = sum (x - zero_x) w + bias in int32, then rescaled per channel.
// Padding reads as the zero point, so it adds nothing.
#include "ops/hybrid.h"
#include "ops/int16.h"
#include "ops/window.h"

namespace ew::ops {
namespace {

void conv_forward_i16(const ConvGeometry& g, ConstViews in, TensorView out, const Attrs& attrs,
                      Int8Profile profile) {
  const int64_t channels = g.groups * g.out_channels;
  const auto* x = in[0].as<int16_t>();
  const auto* w = in[1].as<int8_t>();
  auto* y = out.as<int16_t>();
  std::vector<int64_t> sums(static_cast<size_t>(out.size()), 0);
  for_each_product(g, [&](int64_t xi, int64_t wi, int64_t yi) {
    sums[static_cast<size_t>(yi)] += x[xi] * w[wi];
  });
  const int16::Requantizer requantize(in, *out.type, channels, attrs, int8::Product::kConvolution,
                                      profile);
  for (size_t i = 0; i < sums.size(); ++i) {
    y[i] = requantize(sums[i], static_cast<int64_t>(i % static_cast<size_t>(channels)));
  }
}

}  // namespace

void conv_forward_i8(const ConvGeometry& g, ConstViews in, TensorView out, const Attrs& attrs,
                     Int8Profile profile) {
  if (is_hybrid(in)) return conv_forward_hybrid(g, in, out, attrs);
  if (int16::is_int16(in[0])) return conv_forward_i16(g, in, out, attrs, profile);
  const int64_t channels = g.groups * g.out_channels;
  const auto* x = in[0].as<int8_t>();
  const auto* w = in[1].as<int8_t>();
  const int32_t* bias = in.size() > 2 && in[2] ? in[2].as<int32_t>() : nullptr;
  auto* y = out.as<int8_t>();
  const int32_t zero_x = int8::zero_of(*in[0].type);
  const auto n = static_cast<size_t>(out.size());
  std::vector<int64_t> sums(n, 0);
  if (bias != nullptr) {
    for (size_t i = 0; i < n; ++i) sums[i] = bias[i % static_cast<size_t>(channels)];
  }
  for_each_product(g, [&](int64_t xi, int64_t wi, int64_t yi) {
    sums[static_cast<size_t>(yi)] += (x[xi] - zero_x) * w[wi];
  });
  const int8::Requantizer requantize(*in[0].type, *in[1].type, *out.type, channels, attrs,
                                     int8::Product::kConvolution, profile);
  for (size_t i = 0; i < n; ++i) {
    // The definition accumulates in int32, which wraps.
    y[i] = requantize(static_cast<int32_t>(sums[i]),
                      static_cast<int64_t>(i % static_cast<size_t>(channels)));
  }
}

}  // namespace ew::ops
