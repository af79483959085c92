/// max_pool_grad: the gradient of max_pool's input: every output's gradient goes to the first
/// maximum of its window, as in TensorFlow.
///
///   inputs   x: floating [N, spatial..., C]; dy: the shape of max_pool(x)
///   outputs  dx: the shape of x
///   attrs    those of max_pool
///   errors   kInvalidArgument if dy has another shape
#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {AttrDef{"pool", std::vector<int64_t>{}}, EW_WINDOW_ATTRS};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  EW_TRY(const std::vector<TensorType> y, infer_pool(*in[0], attrs));
  if (y[0].shape != in[1]->shape) {
    return invalid_argument("expected a gradient of shape ", y[0].shape, ", found ", in[1]->shape);
  }
  return infer_same(in, attrs);
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const std::vector<WindowDim> dims = *window_dims(spatial_of(shape), attrs.ints("pool"), attrs);
  const int64_t channels = shape[-1];
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* x = in[0].as<T>();
    const T* dy = in[1].as<T>();
    T* dx = out[0].as<T>();
    std::vector<int64_t> argmax(static_cast<size_t>(in[1].size()), -1);
    for_each_tap(dims, shape[0], [&](int64_t from, int64_t to) {
      for (int64_t c = 0; c < channels; ++c) {
        int64_t& best = argmax[static_cast<size_t>(to * channels + c)];
        const int64_t at = from * channels + c;
        if (best < 0 || x[at] > x[best]) best = at;
      }
    });
    std::vector<double> sums(static_cast<size_t>(in[0].size()), 0.0);
    for (size_t i = 0; i < argmax.size(); ++i) {
      if (argmax[i] >= 0) sums[static_cast<size_t>(argmax[i])] += static_cast<double>(dy[i]);
    }
    for (size_t i = 0; i < sums.size(); ++i) dx[i] = static_cast<T>(sums[i]);
  });
}

}  // namespace

const OpDef kMaxPoolGrad{.name = "max_pool_grad",
                         .attrs = kAttrs,
                         .min_inputs = 2,
                         .max_inputs = 2,
                         .infer = infer,
                         .reference = reference};

}  // namespace ew::ops
