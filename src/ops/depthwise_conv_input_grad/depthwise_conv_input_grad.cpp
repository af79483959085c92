/// depthwise_conv_input_grad: the gradient of depthwise_conv's input,
/// dx[n, i, c] = sum over m and all (s, t) with in(s, t) = i of dy[n, s, c*M + m] w[t, c, m].
///
///   inputs   dy: floating [N, spatial..., C*M]; w: [kernel..., C, M]
///   outputs  dx: [N, input_lengths..., C]
///   attrs    windows (ops/window.h); input_lengths: the spatial lengths of the input
///   errors   kInvalidArgument for shapes that do not fit together
#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {EW_WINDOW_ATTRS, AttrDef{"input_lengths", std::vector<int64_t>{}}};

Result<std::vector<WindowDim>> dims_of(const Shape& w, const Attrs& attrs) {
  return window_dims(attrs.ints("input_lengths"),
                     std::span(w.dims()).first(static_cast<size_t>(w.rank() - 2)), attrs);
}

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  const Shape& dy = in[0]->shape;
  const Shape& w = in[1]->shape;
  EW_TRY_VOID(check_shape(w));
  if (dy.rank() < 3 || dy.rank() != w.rank() || dy[-1] != w[-1] * w[-2]) {
    return invalid_argument("gradient ", dy, " and kernel ", w, " do not fit");
  }
  EW_TRY(const std::vector<WindowDim> dims, dims_of(w, attrs));
  if (Shape(out_lengths(dims)) != Shape(spatial_of(dy))) {
    return invalid_argument("gradient ", dy, " does not fit an input of lengths ",
                            attrs.ints("input_lengths"));
  }
  return one_output(in[0]->dtype, shape_around(dy[0], in_lengths(dims), w[-2]));
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& w = in[1].shape();
  conv_backward_input({.batch = in[0].shape()[0],
                       .groups = w[-2],
                       .in_channels = 1,
                       .out_channels = w[-1],
                       .dims = *dims_of(w, attrs)},
                      in[0], in[1], {}, out[0]);
}

int64_t macs(InputTypes in, std::span<const TensorType>, const Attrs&) {
  const Shape& w = in[1]->shape;
  return in[0]->shape.num_elements() * w.product(0, w.rank() - 2);
}

}  // namespace

const OpDef kDepthwiseConvInputGrad{.name = "depthwise_conv_input_grad",
                                    .attrs = kAttrs,
                                    .min_inputs = 2,
                                    .max_inputs = 2,
                                    .infer = infer,
                                    .reference = reference,
                                    .macs = macs};

}  // namespace ew::ops
