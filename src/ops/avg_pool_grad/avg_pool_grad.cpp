/// avg_pool_grad: the gradient of avg_pool's input: every output's gradient is shared evenly by the
/// inputs of its window.
///
///   inputs   dy: floating [N, spatial..., C]
///   outputs  dx: [N, input_lengths..., C]
///   attrs    those of avg_pool; input_lengths: the spatial lengths of its input
///   errors   kInvalidArgument if dy does not fit them
#include <algorithm>

#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {AttrDef{"pool", std::vector<int64_t>{}}, EW_WINDOW_ATTRS,
                          AttrDef{"input_lengths", std::vector<int64_t>{}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  const Shape& dy = in[0]->shape;
  EW_TRY(const std::vector<WindowDim> dims,
         window_dims(attrs.ints("input_lengths"), attrs.ints("pool"), attrs));
  if (dy.rank() < 3 || Shape(out_lengths(dims)) != Shape(spatial_of(dy))) {
    return invalid_argument("gradient ", dy, " does not fit an input of lengths ",
                            attrs.ints("input_lengths"));
  }
  return one_output(in[0]->dtype, shape_around(dy[0], in_lengths(dims), dy[-1]));
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const std::vector<WindowDim> dims =
      *window_dims(attrs.ints("input_lengths"), attrs.ints("pool"), attrs);
  const int64_t channels = shape[-1];
  const std::vector<int64_t> counts = valid_taps(dims);
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* dy = in[0].as<T>();
    T* dx = out[0].as<T>();
    std::vector<double> sums(static_cast<size_t>(out[0].size()), 0.0);
    for_each_tap(dims, shape[0], [&](int64_t to, int64_t from) {
      const int64_t n = counts[static_cast<size_t>(from) % counts.size()];
      for (int64_t c = 0; c < channels; ++c) {
        sums[static_cast<size_t>(to * channels + c)] +=
            static_cast<double>(dy[from * channels + c]) / static_cast<double>(n);
      }
    });
    for (size_t i = 0; i < sums.size(); ++i) dx[i] = static_cast<T>(sums[i]);
  });
}

}  // namespace

const OpDef kAvgPoolGrad{
    .name = "avg_pool_grad", .attrs = kAttrs, .infer = infer, .reference = reference};

}  // namespace ew::ops
