// Transposed convolutions in integers: acc = sum (x - zero_x) w + bias in int32, then rescaled per
// channel.
#include "ops/int8.h"
#include "ops/window.h"

namespace ew::ops {

void conv_transpose_i8(const ConvGeometry& g, ConstViews in, TensorView out, Int8Profile profile);

void conv_transpose_i8(const ConvGeometry& g, ConstViews in, TensorView out, Int8Profile profile) {
  const auto* x = in[0].as<int8_t>();
  const auto* w = in[1].as<int8_t>();
  const int32_t* bias = in.size() > 2 && in[2] ? in[2].as<int32_t>() : nullptr;
  auto* y = out.as<int8_t>();
  const int32_t zero_x = int8::zero_of(*in[0].type);
  const auto channels = static_cast<size_t>(g.in_channels);
  const auto n = static_cast<size_t>(out.size());
  std::vector<int64_t> sums(n, 0);
  // The geometry is the forward convolution's: its input is our output.
  for_each_product(g, [&](int64_t yi, int64_t wi, int64_t xi) {
    sums[static_cast<size_t>(yi)] += (x[xi] - zero_x) * w[wi];
  });
  const Attrs open{{int8::kClampMin.name, int8::kClampMin.default_value},
                   {int8::kClampMax.name, int8::kClampMax.default_value}};
  const int8::Requantizer requantize(*in[0].type, *in[1].type, *out.type, g.in_channels, open,
                                     int8::Product::kConvolution, profile);
  for (size_t i = 0; i < n; ++i) {
    const size_t c = i % channels;
    // The definition accumulates in int32, which wraps.
    y[i] =
        requantize(static_cast<int32_t>(sums[i] + (bias ? bias[c] : 0)), static_cast<int64_t>(c));
  }
}

}  // namespace ew::ops
