/// conv_transpose: transposed convolution over 1 to 3 spatial dimensions: what conv_input_grad
/// computes for the convolution whose output is x, plus a bias.
///
///   inputs   x: floating or int8 [N, spatial..., C]; w: [kernel..., O, C]; bias: [O], optional
///   outputs  y: [N, spatial..., O]; lengths by Keras' rule: "same" length * stride, "valid"
///            length * stride + max(kernel - stride, 0); with output_padding
///            (length - 1) * stride + kernel - 2 * (kernel / 2 if "same") + output_padding
///   attrs    windows (ops/window.h); output_padding: one per spatial dimension, or empty
///   quant    w int8 per output channel or per tensor, bias int32 at s_x s_w
///   errors   kInvalidArgument for shapes that do not fit together
#include "ops/int8.h"
#include "ops/window.h"

namespace ew::ops {

void conv_transpose_i8(const ConvGeometry& g, ConstViews in, TensorView out, Int8Profile profile);

namespace {

const AttrDef kAttrs[] = {EW_WINDOW_ATTRS, AttrDef{"output_padding", std::vector<int64_t>{}}};

Result<std::vector<WindowDim>> dims_of(const Shape& x, const Shape& w, const Attrs& attrs) {
  return transposed_window_dims(spatial_of(x),
                                std::span(w.dims()).first(static_cast<size_t>(w.rank() - 2)),
                                attrs.ints("output_padding"), attrs);
}

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_real(*in[0]));
  EW_TRY_VOID(int8::check_operands(in, in[1]->shape.rank() - 2));
  if (!in[0]->quant && in[1]->quant) {
    return invalid_argument("a kernel of ", *in[1], " beside ", *in[0]);
  }
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

ConvGeometry geometry(ConstViews in, const Attrs& attrs) {
  const Shape& x = in[0].shape();
  const Shape& w = in[1].shape();
  return {.batch = x[0],
          .groups = 1,
          .in_channels = w[-2],
          .out_channels = w[-1],
          .dims = *dims_of(x, w, attrs)};
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  conv_backward_input(geometry(in, attrs), in[0], in[1], in.size() > 2 ? in[2] : ConstTensorView(),
                      out[0]);
}

void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile) {
  conv_transpose_i8(geometry(in, attrs), in, out[0], profile);
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
                           .reference_i8 = reference_i8,
                           .macs = macs};

}  // namespace ew::ops
