// avg_pool in integers: the mean of the stored values, ties away from zero.
#include "ops/int8.h"
#include "ops/window.h"

namespace ew::ops {

void avg_pool_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile);

namespace {

template <typename T>
void avg_pool(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const std::vector<WindowDim> dims = *window_dims(spatial_of(shape), attrs.ints("pool"), attrs);
  const int64_t channels = shape[-1];
  const std::vector<int64_t> counts = valid_taps(dims);
  const auto* x = in[0].as<T>();
  auto* y = out[0].as<T>();
  std::vector<int64_t> sums(static_cast<size_t>(out[0].size()), 0);
  for_each_tap(dims, shape[0], [&](int64_t from, int64_t to) {
    for (int64_t c = 0; c < channels; ++c) {
      sums[static_cast<size_t>(to * channels + c)] += x[from * channels + c];
    }
  });
  for (size_t i = 0; i < sums.size(); ++i) {
    const int64_t n = counts[i / static_cast<size_t>(channels) % counts.size()];
    const int64_t half = sums[i] > 0 ? n / 2 : -(n / 2);
    // A window in the padding alone is the real 0, as in the float definition.
    y[i] = static_cast<T>(n == 0 ? int8::zero_of(*out[0].type) : (sums[i] + half) / n);
  }
}

}  // namespace

void avg_pool_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  if (in[0].dtype() == DType::kI16) return avg_pool<int16_t>(in, out, attrs);
  avg_pool<int8_t>(in, out, attrs);
}

}  // namespace ew::ops
