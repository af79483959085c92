// max_pool in integers: scales are positive, so the largest stored value is the largest real one.
#include "ops/int8.h"
#include "ops/window.h"

namespace ew::ops {

void max_pool_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile);

void max_pool_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  const Shape& shape = in[0].shape();
  const std::vector<WindowDim> dims = *window_dims(spatial_of(shape), attrs.ints("pool"), attrs);
  const int64_t channels = shape[-1];
  const auto* x = in[0].as<int8_t>();
  auto* y = out[0].as<int8_t>();
  std::fill_n(y, out[0].size(), int8_t{-128});
  for_each_tap(dims, shape[0], [&](int64_t from, int64_t to) {
    for (int64_t c = 0; c < channels; ++c) {
      y[to * channels + c] = std::max(y[to * channels + c], x[from * channels + c]);
    }
  });
}

}  // namespace ew::ops
