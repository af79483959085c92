// max_pool in integers: scales are positive, so the largest stored value is the largest real one.
#include "ops/int8.h"
#include "ops/window.h"

namespace ew::ops {

void max_pool_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile);

namespace {

template <typename T>
void max_pool(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const std::vector<WindowDim> dims = *window_dims(spatial_of(shape), attrs.ints("pool"), attrs);
  const int64_t channels = shape[-1];
  const auto* x = in[0].as<T>();
  auto* y = out[0].as<T>();
  std::fill_n(y, out[0].size(), std::numeric_limits<T>::min());
  for_each_tap(dims, shape[0], [&](int64_t from, int64_t to) {
    for (int64_t c = 0; c < channels; ++c) {
      y[to * channels + c] = std::max(y[to * channels + c], x[from * channels + c]);
    }
  });
}

}  // namespace

void max_pool_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  if (in[0].dtype() == DType::kI16) return max_pool<int16_t>(in, out, attrs);
  max_pool<int8_t>(in, out, attrs);
}

}  // namespace ew::ops
