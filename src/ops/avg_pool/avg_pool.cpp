/// avg_pool: y[n, s, c] = the mean over taps t of x[n, in(s, t), c]; padding does not count.
///
///   inputs   x: floating or int8 [N, spatial..., C]
///   outputs  y: [N, spatial..., C]; 0 for a window that lies in the padding altogether
///   attrs    pool: the window's sizes; windows (ops/window.h)
///   quant    as the input
///   errors   kInvalidArgument for attributes that do not fit x
#include <algorithm>

#include "ops/int16.h"
#include "ops/window.h"

namespace ew::ops {

void avg_pool_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile);

namespace {

const AttrDef kAttrs[] = {AttrDef{"pool", std::vector<int64_t>{}}, EW_WINDOW_ATTRS};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(int16::expect_real(*in[0]));
  return infer_pool(*in[0], attrs);
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const std::vector<WindowDim> dims = *window_dims(spatial_of(shape), attrs.ints("pool"), attrs);
  const int64_t channels = shape[-1];
  const std::vector<int64_t> counts = valid_taps(dims);
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* x = in[0].as<T>();
    T* y = out[0].as<T>();
    std::vector<double> sums(static_cast<size_t>(out[0].size()), 0.0);
    for_each_tap(dims, shape[0], [&](int64_t from, int64_t to) {
      for (int64_t c = 0; c < channels; ++c) {
        sums[static_cast<size_t>(to * channels + c)] += static_cast<double>(x[from * channels + c]);
      }
    });
    for (size_t i = 0; i < sums.size(); ++i) {
      const int64_t n = counts[i / static_cast<size_t>(channels) % counts.size()];
      y[i] = static_cast<T>(sums[i] / static_cast<double>(std::max<int64_t>(n, 1)));
    }
  });
}

}  // namespace

const OpDef kAvgPool{.name = "avg_pool",
                     .attrs = kAttrs,
                     .infer = infer,
                     .reference = reference,
                     .reference_i8 = avg_pool_i8,
                     .quant = QuantRule::same_as_input()};

}  // namespace ew::ops
