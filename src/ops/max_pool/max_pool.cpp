/// max_pool: y[n, s, c] = the maximum over taps t of x[n, in(s, t), c]; padding never wins.
///
///   inputs   x: floating or int8 [N, spatial..., C]
///   outputs  y: [N, spatial..., C]
///   attrs    pool: the window's sizes; windows (ops/window.h)
///   quant    as the input
///   errors   kInvalidArgument for attributes that do not fit x
#include <algorithm>
#include <limits>

#include "ops/int16.h"
#include "ops/window.h"

namespace ew::ops {

void max_pool_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile);

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
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* x = in[0].as<T>();
    T* y = out[0].as<T>();
    std::fill_n(y, out[0].size(), -std::numeric_limits<T>::infinity());
    for_each_tap(dims, shape[0], [&](int64_t from, int64_t to) {
      for (int64_t c = 0; c < channels; ++c) {
        T& best = y[to * channels + c];
        best = std::max(best, x[from * channels + c]);
      }
    });
  });
}

}  // namespace

const OpDef kMaxPool{.name = "max_pool",
                     .attrs = kAttrs,
                     .infer = infer,
                     .reference = reference,
                     .reference_i8 = max_pool_i8,
                     .quant = QuantRule::same_as_input()};

}  // namespace ew::ops
