// dense in integers: acc = sum (x - zero_x) (w - zero_w) + bias in int32, then rescaled.
#include "ops/hybrid.h"
#include "ops/int16.h"

namespace ew::ops {

void dense_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile);

namespace {

void dense_i16(ConstViews in, TensorView out, const Attrs& attrs, Int8Profile profile) {
  const int64_t k_size = in[1].shape()[0];
  const int64_t n_size = in[1].shape()[1];
  const int64_t rows = in[0].shape().product(0, in[0].shape().rank() - 1);
  const auto* x = in[0].as<int16_t>();
  const auto* w = in[1].as<int8_t>();
  auto* y = out.as<int16_t>();
  const int16::Requantizer requantize(in, *out.type, n_size, attrs, int8::Product::kDense, profile);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t n = 0; n < n_size; ++n) {
      int64_t sum = 0;
      for (int64_t k = 0; k < k_size; ++k) sum += x[r * k_size + k] * w[k * n_size + n];
      y[r * n_size + n] = requantize(sum, n);
    }
  }
}

}  // namespace

void dense_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile) {
  if (is_hybrid(in)) return dense_hybrid(in, out[0], attrs);
  if (int16::is_int16(in[0])) return dense_i16(in, out[0], attrs, profile);
  const int64_t k_size = in[1].shape()[0];
  const int64_t n_size = in[1].shape()[1];
  const int64_t rows = in[0].shape().product(0, in[0].shape().rank() - 1);
  const auto* x = in[0].as<int8_t>();
  const auto* w = in[1].as<int8_t>();
  const int32_t* bias = in.size() > 2 && in[2] ? in[2].as<int32_t>() : nullptr;
  auto* y = out[0].as<int8_t>();
  const int8::Requantizer requantize(*in[0].type, *in[1].type, *out[0].type, n_size, attrs,
                                     int8::Product::kDense, profile);
  const int32_t zero_x = int8::zero_of(*in[0].type);
  const int32_t zero_w = int8::zero_of(*in[1].type);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t n = 0; n < n_size; ++n) {
      int64_t sum = bias ? bias[n] : 0;
      for (int64_t k = 0; k < k_size; ++k) {
        sum += (x[r * k_size + k] - zero_x) * (w[k * n_size + n] - zero_w);
      }
      // The definition accumulates in int32, which wraps.
      y[r * n_size + n] = requantize(static_cast<int32_t>(sum), n);
    }
  }
}

}  // namespace ew::ops
