/// depthwise_conv_weight_grad: the gradient of depthwise_conv's kernel,
/// dw[t, c, m] = sum over n and s of x[n, in(s, t), c] dy[n, s, c*M + m].
///
///   inputs   x: floating [N, spatial..., C]; dy: [N, spatial..., C*M]
///   outputs  dw: [kernel..., C, M]
///   attrs    windows (ops/window.h); kernel: the spatial sizes of the kernel
///   errors   kInvalidArgument for shapes that do not fit together
#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {EW_WINDOW_ATTRS, AttrDef{"kernel", std::vector<int64_t>{}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  const Shape& x = in[0]->shape;
  const Shape& dy = in[1]->shape;
  if (x.rank() < 3 || x.rank() != dy.rank() || x[0] != dy[0] || x[-1] < 1 || dy[-1] % x[-1] != 0) {
    return invalid_argument("input ", x, " and gradient ", dy, " do not fit");
  }
  EW_TRY(const std::vector<WindowDim> dims,
         window_dims(spatial_of(x), attrs.ints("kernel"), attrs));
  if (Shape(out_lengths(dims)) != Shape(spatial_of(dy))) {
    return invalid_argument("gradient ", dy, " does not fit input ", x);
  }
  Shape shape(attrs.ints("kernel"));
  shape.dims().push_back(x[-1]);
  shape.dims().push_back(dy[-1] / x[-1]);
  return one_output(in[0]->dtype, std::move(shape));
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& x = in[0].shape();
  conv_backward_weight({.batch = x[0],
                        .groups = x[-1],
                        .in_channels = 1,
                        .out_channels = in[1].shape()[-1] / x[-1],
                        .dims = *window_dims(spatial_of(x), attrs.ints("kernel"), attrs)},
                       in[0], in[1], out[0]);
}

int64_t macs(InputTypes in, std::span<const TensorType> out, const Attrs&) {
  const Shape& w = out[0].shape;
  return in[1]->shape.num_elements() * w.product(0, w.rank() - 2);
}

}  // namespace

const OpDef kDepthwiseConvWeightGrad{.name = "depthwise_conv_weight_grad",
                                     .attrs = kAttrs,
                                     .min_inputs = 2,
                                     .max_inputs = 2,
                                     .infer = infer,
                                     .reference = reference,
                                     .macs = macs};

}  // namespace ew::ops
