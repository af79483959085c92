// avg_pool in integers: the mean of the stored values, ties away from zero.
#include "ops/int8.h"
#include "ops/window.h"

namespace ew::ops {

void avg_pool_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile);

void avg_pool_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  const Shape& shape = in[0].shape();
  const std::vector<WindowDim> dims = *window_dims(spatial_of(shape), attrs.ints("pool"), attrs);
  const int64_t channels = shape[-1];
  const std::vector<int64_t> counts = valid_taps(dims);
  const auto* x = in[0].as<int8_t>();
  auto* y = out[0].as<int8_t>();
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
    y[i] = n == 0 ? int8::Range{}(int8::zero_of(*out[0].type))
                  : static_cast<int8_t>((sums[i] + half) / n);
  }
}

}  // namespace ew::ops
