/// depthwise_conv: every channel is convolved by M filters of its own,
/// y[n, s, c*M + m] = bias + sum over taps t of x[n, in(s, t), c] w[t, c, m].
///
///   inputs   x: floating or int8 [N, spatial..., C]; w: [kernel..., C, M]; bias: [C*M], optional
///   outputs  y: [N, spatial..., C*M]
///   attrs    windows (ops/window.h)
///            clamp_min, clamp_max: a fused activation's real bounds
///            asymmetric_inputs: of a float x with an int8 w (ops/hybrid.h)
///   quant    calibrated; w int8 per output channel or per tensor, bias int32 at s_x s_w
///   errors   kInvalidArgument for shapes that do not fit together
#include "ops/hybrid.h"
#include "ops/int16.h"
#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {EW_WINDOW_ATTRS, int8::kClampMin, int8::kClampMax, kAsymmetricInputs};

std::span<const int64_t> kernel_of(const Shape& w) {
  return std::span(w.dims()).first(static_cast<size_t>(w.rank() - 2));
}

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(int16::expect_real(*in[0]));
  EW_TRY_VOID(int8::check_operands(in, in[1]->shape.rank() - 2));
  const Shape& x = in[0]->shape;
  const Shape& w = in[1]->shape;
  if (x.rank() < 3 || x.rank() != w.rank() || !w.is_static()) {
    return invalid_argument("expected x [N, spatial..., C] and a kernel of the same rank, found ",
                            x, " and ", w);
  }
  EW_TRY_VOID(check_shape(w));
  if (x[-1] != kUnknown && x[-1] != w[-2]) {
    return invalid_argument("kernel has ", w[-2], " channels, input has ", x[-1]);
  }
  const int64_t channels = w[-2] * w[-1];
  if (in.size() > 2 && in[2] != nullptr && in[2]->shape != Shape{channels}) {
    return invalid_argument("expected a bias of ", channels, " elements, found shape ",
                            in[2]->shape);
  }
  EW_TRY(const std::vector<WindowDim> dims, window_dims(spatial_of(x), kernel_of(w), attrs));
  return one_output(in[0]->dtype, shape_around(x[0], out_lengths(dims), channels));
}

// [kernel..., C, M] lies in memory as [kernel..., 1, C*M], conv's kernel of C groups.
ConvGeometry geometry(ConstViews in, const Attrs& attrs) {
  const Shape& x = in[0].shape();
  const Shape& w = in[1].shape();
  return {.batch = x[0],
          .groups = w[-2],
          .in_channels = 1,
          .out_channels = w[-1],
          .dims = *window_dims(spatial_of(x), kernel_of(w), attrs)};
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  conv_forward(geometry(in, attrs), in[0], in[1], in.size() > 2 ? in[2] : ConstTensorView(),
               out[0]);
  int8::clamp_real(attrs, out[0]);
}

void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile) {
  conv_forward_i8(geometry(in, attrs), in, out[0], attrs, profile);
}

int64_t macs(InputTypes in, std::span<const TensorType> out, const Attrs&) {
  const Shape& w = in[1]->shape;
  return out[0].shape.num_elements() * w.product(0, w.rank() - 2);
}

}  // namespace

const OpDef kDepthwiseConv{.name = "depthwise_conv",
                           .attrs = kAttrs,
                           .min_inputs = 2,
                           .max_inputs = 3,
                           .infer = infer,
                           .reference = reference,
                           .reference_i8 = reference_i8,
                           .quant = QuantRule::calibrated(),
                           .macs = macs};

}  // namespace ew::ops
