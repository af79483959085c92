/// conv: convolution over 1 to 3 spatial dimensions,
/// y[n, s, g*O + o] = bias + sum over taps t, channels c of x[n, in(s, t), g*C + c] w[t, c, g*O +
/// o].
///
///   inputs   x: floating [N, spatial..., G*C]; w: [kernel..., C, G*O]; bias: [G*O], optional
///   outputs  y: [N, spatial..., G*O]
///   attrs    windows (ops/window.h); groups G
///   errors   kInvalidArgument for shapes that do not fit together
#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {EW_WINDOW_ATTRS, AttrDef{"groups", int64_t{1}}};

std::span<const int64_t> kernel_of(const Shape& w) {
  return std::span(w.dims()).first(static_cast<size_t>(w.rank() - 2));
}

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
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

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& x = in[0].shape();
  const Shape& w = in[1].shape();
  const int64_t groups = attrs.integer("groups");
  conv_forward({.batch = x[0],
                .groups = groups,
                .in_channels = w[-2],
                .out_channels = w[-1] / groups,
                .dims = *window_dims(spatial_of(x), kernel_of(w), attrs)},
               in[0], in[1], in.size() > 2 ? in[2] : ConstTensorView(), out[0]);
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
                  .quant = QuantRule::calibrated(),
                  .macs = macs};

}  // namespace ew::ops
