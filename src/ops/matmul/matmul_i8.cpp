// matmul of two quantised activations: acc = sum (a - zero_a) (b - zero_b), rescaled by
// s_a s_b / s_c; in int32 for int8, in int64 for int16.
#include "ops/int16.h"

namespace ew::ops {

void matmul_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile);

namespace {

Shape leading(const Shape& shape) {
  return Shape(std::vector<int64_t>(shape.dims().begin(), shape.dims().end() - 2));
}

template <typename T>
int64_t stored(int64_t sum, int8::Multiplier m) {
  if constexpr (sizeof(T) == 2) return int16::scale_wide(sum, m);
  // The definition adds up in int32, which wraps.
  return int8::scale_twice_rounded(static_cast<int32_t>(sum), m);
}

template <typename T>
void product(ConstViews in, TensorView out, const Attrs& attrs) {
  const bool ta = attrs.flag("transpose_a");
  const bool tb = attrs.flag("transpose_b");
  const int64_t m_size = out.shape()[-2];
  const int64_t n_size = out.shape()[-1];
  const int64_t k_size = in[0].shape()[ta ? -2 : -1];
  const Shape batch = leading(out.shape());
  const BroadcastIndex index_a(leading(in[0].shape()), batch);
  const BroadcastIndex index_b(leading(in[1].shape()), batch);
  const int64_t zero_a = int8::zero_of(*in[0].type);
  const int64_t zero_b = int8::zero_of(*in[1].type);
  const int8::Multiplier scale = int8::quantize_multiplier(double{int8::scale_of(*in[0].type)} *
                                                           double{int8::scale_of(*in[1].type)} /
                                                           double{int8::scale_of(*out.type)});
  for (int64_t i = 0; i < batch.num_elements(); ++i) {
    const T* a = in[0].as<T>() + index_a(i) * m_size * k_size;
    const T* b = in[1].as<T>() + index_b(i) * k_size * n_size;
    T* c = out.as<T>() + i * m_size * n_size;
    for (int64_t m = 0; m < m_size; ++m) {
      for (int64_t n = 0; n < n_size; ++n) {
        int64_t sum = 0;
        for (int64_t k = 0; k < k_size; ++k) {
          const int64_t x = ta ? a[k * m_size + m] : a[m * k_size + k];
          const int64_t y = tb ? b[n * k_size + k] : b[k * n_size + n];
          sum += (x - zero_a) * (y - zero_b);
        }
        c[m * n_size + n] = static_cast<T>(
            std::clamp<int64_t>(stored<T>(sum, scale) + int8::zero_of(*out.type),
                                std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
      }
    }
  }
}

}  // namespace

void matmul_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  if (int16::is_int16(in[0])) return product<int16_t>(in, out[0], attrs);
  product<int8_t>(in, out[0], attrs);
}

}  // namespace ew::ops
