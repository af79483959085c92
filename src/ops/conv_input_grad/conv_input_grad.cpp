/// conv_input_grad: the gradient of conv's input,
/// dx[n, i, g*C + c] = sum over o and all (s, t) with in(s, t) = i of dy[n, s, g*O + o] w[t, c, g*O
/// + o].
///
///   inputs   dy: floating [N, spatial..., G*O]; w: [kernel..., C, G*O]
///   outputs  dx: [N, input_lengths..., G*C]
///   attrs    those of conv; input_lengths: the spatial lengths of conv's input
///   errors   kInvalidArgument for shapes that do not fit together
#include <algorithm>

#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {EW_WINDOW_ATTRS, AttrDef{"groups", int64_t{1}},
                          AttrDef{"input_lengths", std::vector<int64_t>{}}};

Result<std::vector<WindowDim>> dims_of(const Shape& w, const Attrs& attrs) {
  return window_dims(attrs.ints("input_lengths"),
                     std::span(w.dims()).first(static_cast<size_t>(w.rank() - 2)), attrs);
}

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  const Shape& dy = in[0]->shape;
  const Shape& w = in[1]->shape;
  const int64_t groups = attrs.integer("groups");
  if (dy.rank() < 3 || dy.rank() != w.rank() || dy[-1] != w[-1] || groups < 1 ||
      w[-1] % groups != 0 || groups > kMaxElements / std::max<int64_t>(w[-2], 1)) {
    return invalid_argument("gradient ", dy, " and kernel ", w, " do not fit with ", groups,
                            " groups");
  }
  EW_TRY(const std::vector<WindowDim> dims, dims_of(w, attrs));
  if (Shape(out_lengths(dims)) != Shape(spatial_of(dy))) {
    return invalid_argument("gradient ", dy, " does not fit an input of lengths ",
                            attrs.ints("input_lengths"));
  }
  return one_output(in[0]->dtype, shape_around(dy[0], in_lengths(dims), w[-2] * groups));
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& w = in[1].shape();
  const int64_t groups = attrs.integer("groups");
  conv_backward_input({.batch = in[0].shape()[0],
                       .groups = groups,
                       .in_channels = w[-2],
                       .out_channels = w[-1] / groups,
                       .dims = *dims_of(w, attrs)},
                      in[0], in[1], {}, out[0]);
}

int64_t macs(InputTypes in, std::span<const TensorType>, const Attrs&) {
  const Shape& w = in[1]->shape;
  return in[0]->shape.num_elements() * w.product(0, w.rank() - 1);
}

}  // namespace

const OpDef kConvInputGrad{.name = "conv_input_grad",
                           .attrs = kAttrs,
                           .min_inputs = 2,
                           .max_inputs = 2,
                           .infer = infer,
                           .reference = reference,
                           .macs = macs};

}  // namespace ew::ops
