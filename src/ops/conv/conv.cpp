/// conv: convolution over 1 to 3 spatial dimensions,
/// y[n, s, g*O + o] = bias + sum over taps t, channels c of x[n, in(s, t), g*C + c] w[t, c, g*O +
/// o].
///
///   inputs   x: floating or int8 [N, spatial..., G*C]; w: [kernel..., C, G*O]; bias: [G*O],
///   optional outputs  y: [N, spatial..., G*O] attrs    windows (ops/window.h); groups G
///            clamp_min, clamp_max: a fused activation's real bounds
///            asymmetric_inputs: of a float x with an int8 w (ops/hybrid.h)
///   quant    calibrated; w int8 per output channel or per tensor, bias int32 at s_x s_w
///   errors   kInvalidArgument for shapes that do not fit together
#include "ops/hybrid.h"
#include "ops/int16.h"
#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {EW_WINDOW_ATTRS, int8::kClampMin, int8::kClampMax, kAsymmetricInputs,
                          AttrDef{"groups", int64_t{1}}};

std::span<const int64_t> kernel_of(const Shape& w) {
  return std::span(w.dims()).first(static_cast<size_t>(w.rank() - 2));
}

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(int16::expect_real(*in[0]));
  EW_TRY_VOID(int8::check_operands(in, in[1]->shape.rank() - 1));
  const Shape& x = in[0]->shape;
  const Shape& w = in[1]->shape;
  const int64_t groups = attrs.integer("groups");
  if (x.rank() < 3 || x.rank() != w.rank() || !w.is_static()) {
    return invalid_argument("expected x [N, spatial..., C] and a kernel of the same rank, found ",
                            x, " and ", w);
  }
  if (groups < 1 || w[-1] < 1 || w[-1] % groups != 0) {
    return invalid_argument(groups, " groups do not divide ", w[-1], " output channels");
  }
  // Divided, not multiplied: the number of groups may be anything.
  if (x[-1] != kUnknown && (x[-1] % groups != 0 || x[-1] / groups != w[-2])) {
    return invalid_argument("kernel has ", w[-2], " input channels in ", groups,
                            " groups, input has ", x[-1]);
  }
  if (in.size() > 2 && in[2] != nullptr && in[2]->shape != Shape{w[-1]}) {
    return invalid_argument("expected a bias of ", w[-1], " elements, found shape ", in[2]->shape);
  }
  EW_TRY(const std::vector<WindowDim> dims, window_dims(spatial_of(x), kernel_of(w), attrs));
  return one_output(in[0]->dtype, shape_around(x[0], out_lengths(dims), w[-1]));
}

ConvGeometry geometry(ConstViews in, const Attrs& attrs) {
  const Shape& x = in[0].shape();
  const Shape& w = in[1].shape();
  const int64_t groups = attrs.integer("groups");
  return {.batch = x[0],
          .groups = groups,
          .in_channels = w[-2],
          .out_channels = w[-1] / groups,
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
  return out[0].shape.num_elements() * w.product(0, w.rank() - 1);
}

}  // namespace

const OpDef kConv{.name = "conv",
                  .attrs = kAttrs,
                  .min_inputs = 2,
                  .max_inputs = 3,
                  .infer = infer,
                  .reference = reference,
                  .reference_i8 = reference_i8,
                  .quant = QuantRule::calibrated(),
                  .macs = macs};

}  // namespace ew::ops
