/// reshape_like: x with its first dimension split into the leading dimensions of another tensor.
/// It undoes [batch, time, ...] -> [batch * time, ...] when both are unknown until run time, which
/// reshape cannot express.
///
///   inputs   x: any dtype, [P, ...]; like: any dtype, [d_0, ..., d_k-1, ...] with P = d_0 ...
///   d_k-1;
///            only its shape matters
///   outputs  y: [d_0, ..., d_k-1, ...]
///   attrs    leading: k, default 2
///   quant    as x
///   errors   kInvalidArgument if P is not that product
#include <cstring>

#include "ops/ops.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"leading", int64_t{2}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  const int64_t leading = attrs.integer("leading");
  const Shape& x = in[0]->shape;
  const Shape& like = in[1]->shape;
  if (x.rank() < 1 || leading < 1 || leading > like.rank()) {
    return invalid_argument("cannot split ", x, " into the ", leading, " leading dimensions of ",
                            like);
  }
  Shape shape(std::vector<int64_t>(like.begin(), like.begin() + leading));
  if (shape.is_static() && x[0] != kUnknown && shape.num_elements() != x[0]) {
    return invalid_argument("cannot split the first dimension of ", x, " into ", shape);
  }
  for (int d = 1; d < x.rank(); ++d) shape.dims().push_back(x[d]);
  return std::vector<TensorType>{{in[0]->dtype, std::move(shape), nullptr}};
}

void reference(ConstViews in, Views out, const Attrs&) {
  if (out[0].data == in[0].data) return;  // shares the input's storage
  const size_t bytes = static_cast<size_t>(in[0].size()) * dtype_size(in[0].dtype());
  if (bytes > 0) std::memcpy(out[0].data, in[0].data, bytes);
}

void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  reference(in, out, attrs);
}

}  // namespace

const OpDef kReshapeLike{.name = "reshape_like",
                         .attrs = kAttrs,
                         .min_inputs = 2,
                         .max_inputs = 2,
                         .infer = infer,
                         .reference = reference,
                         .reference_i8 = reference_i8,
                         .quant = QuantRule::same_as_input(),
                         .is_view = true};

}  // namespace ew::ops
