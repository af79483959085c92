/// conv_transpose: transposed convolution over 1 to 3 spatial dimensions: what conv_input_grad
/// computes for the convolution whose output is x, plus a bias.
///
///   inputs   x: floating [N, spatial..., C]; w: [kernel..., O, C]; bias: [O], optional
///   outputs  y: [N, spatial..., O]; lengths by Keras' rule: "same" length * stride, "valid"
///            length * stride + max(kernel - stride, 0); with output_padding
///            (length - 1) * stride + kernel - 2 * (kernel / 2 if "same") + output_padding
///   attrs    windows (ops/window.h); output_padding: one per spatial dimension, or empty
///   errors   kInvalidArgument for shapes that do not fit together
#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {EW_WINDOW_ATTRS, AttrDef{"output_padding", std::vector<int64_t>{}}};

Result<std::vector<WindowDim>> dims_of(const Shape& x, const Shape& w, const Attrs& attrs) {
  return transposed_window_dims(spatial_of(x),
                                std::span(w.dims()).first(static_cast<size_t>(w.rank() - 2)),
                                attrs.ints("output_padding"), attrs);
}

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  EW_TRY_VOID(expect_same_dtype(in));
  const Shape& x = in[0]->shape;
  const Shape& w = in[1]->shape;
  if (x.rank() < 3 || x.rank() != w.rank() || !w.is_static()) {
    return invalid_argument("expected x [N, spatial..., C] and a kernel of the same rank, found ",
                            x, " and ", w);
  }
  if (x[-1] != kUnknown && x[-1] != w[-1]) {
    return invalid_argument("kernel has ", w[-1], " input channels, input has ", x[-1]);
  }
  if (in.size() > 2 && in[2] != nullptr && in[2]->shape != Shape{w[-2]}) {
    return invalid_argument("expected a bias of ", w[-2], " elements, found shape ", in[2]->shape);
  }
  EW_TRY(const std::vector<WindowDim> dims, dims_of(x, w, attrs));
  return one_output(in[0]->dtype, shape_around(x[0], in_lengths(dims), w[-2]));
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& x = in[0].shape();
  const Shape& w = in[1].shape();
  conv_backward_input({.batch = x[0],
                       .groups = 1,
                       .in_channels = w[-2],
                       .out_channels = w[-1],
                       .dims = *dims_of(x, w, attrs)},
                      in[0], in[1], in.size() > 2 ? in[2] : ConstTensorView(), out[0]);
}

int64_t macs(InputTypes in, std::span<const TensorType>, const Attrs&) {
  const Shape& w = in[1]->shape;
  return in[0]->shape.num_elements() * w.product(0, w.rank() - 1);
}

}  // namespace

const OpDef kConvTranspose{.name = "conv_transpose",
                           .attrs = kAttrs,
                           .min_inputs = 2,
                           .max_inputs = 3,
                           .infer = infer,
                           .reference = reference,
                           .quant = QuantRule::calibrated(),
                           .macs = macs};

}  // namespace ew::ops
