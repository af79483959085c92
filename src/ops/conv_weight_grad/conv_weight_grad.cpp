/// conv_weight_grad: the gradient of conv's kernel,
/// dw[t, c, g*O + o] = sum over n and s of x[n, in(s, t), g*C + c] dy[n, s, g*O + o].
///
///   inputs   x: floating [N, spatial..., G*C]; dy: [N, spatial..., G*O]
///   outputs  dw: [kernel..., C, G*O]
///   attrs    those of conv; kernel: the spatial sizes of the kernel
///   errors   kInvalidArgument for shapes that do not fit together
#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {EW_WINDOW_ATTRS, AttrDef{"groups", int64_t{1}},
                          AttrDef{"kernel", std::vector<int64_t>{}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  const Shape& x = in[0]->shape;
  const Shape& dy = in[1]->shape;
  const int64_t groups = attrs.integer("groups");
  if (x.rank() < 3 || x.rank() != dy.rank() || x[0] != dy[0] || groups < 1 || x[-1] % groups != 0 ||
      dy[-1] % groups != 0) {
    return invalid_argument("input ", x, " and gradient ", dy, " do not fit with ", groups,
                            " groups");
  }
  EW_TRY(const std::vector<WindowDim> dims,
         window_dims(spatial_of(x), attrs.ints("kernel"), attrs));
  if (Shape(out_lengths(dims)) != Shape(spatial_of(dy))) {
    return invalid_argument("gradient ", dy, " does not fit input ", x);
  }
  Shape shape(attrs.ints("kernel"));
  shape.dims().push_back(x[-1] / groups);
  shape.dims().push_back(dy[-1]);
  return one_output(in[0]->dtype, std::move(shape));
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& x = in[0].shape();
  const int64_t groups = attrs.integer("groups");
  conv_backward_weight({.batch = x[0],
                        .groups = groups,
                        .in_channels = x[-1] / groups,
                        .out_channels = in[1].shape()[-1] / groups,
                        .dims = *window_dims(spatial_of(x), attrs.ints("kernel"), attrs)},
                       in[0], in[1], out[0]);
}

int64_t macs(InputTypes in, std::span<const TensorType> out, const Attrs&) {
  const Shape& w = out[0].shape;
  return in[1]->shape.num_elements() * w.product(0, w.rank() - 1);
}

}  // namespace

const OpDef kConvWeightGrad{.name = "conv_weight_grad",
                            .attrs = kAttrs,
                            .min_inputs = 2,
                            .max_inputs = 2,
                            .infer = infer,
                            .reference = reference,
                            .macs = macs};

}  // namespace ew::ops
