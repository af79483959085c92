/// transpose: y[i_p0, i_p1, ...] = x[i_0, i_1, ...]: dimension d of the output is dimension perm[d]
/// of the input.
///
///   inputs   x: any dtype and rank
///   attrs    perm: a permutation of 0..rank-1
///   quant    as the input
///   errors   kInvalidArgument if perm is no permutation
#include <algorithm>

#include "ops/strided_copy.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"perm", std::vector<int64_t>{}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  const std::vector<int64_t>& perm = attrs.ints("perm");
  std::vector<int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  bool is_permutation = static_cast<int>(perm.size()) == in[0]->shape.rank();
  for (size_t i = 0; is_permutation && i < sorted.size(); ++i) {
    is_permutation = sorted[i] == static_cast<int64_t>(i);
  }
  if (!is_permutation) {
    return invalid_argument("perm ", perm, " is no permutation of the dimensions of ",
                            in[0]->shape);
  }
  Shape shape;
  for (const int64_t d : perm) shape.dims().push_back(in[0]->shape[static_cast<int>(d)]);
  return std::vector<TensorType>{{in[0]->dtype, std::move(shape), nullptr}};
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const std::vector<int64_t>& perm = attrs.ints("perm");
  const std::vector<int64_t> from = strides_of(in[0].shape());
  const std::vector<int64_t> to = strides_of(out[0].shape());
  std::vector<CopyDim> dims;
  for (size_t d = 0; d < perm.size(); ++d) {
    const int source = static_cast<int>(perm[d]);
    dims.push_back({in[0].shape()[source], from[static_cast<size_t>(source)], to[d]});
  }
  strided_copy(std::move(dims), dtype_size(in[0].dtype()), in[0].data, out[0].data);
}

void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  reference(in, out, attrs);
}

}  // namespace

const OpDef kTranspose{.name = "transpose",
                       .attrs = kAttrs,
                       .infer = infer,
                       .reference = reference,
                       .reference_i8 = reference_i8,
                       .quant = QuantRule::same_as_input()};

}  // namespace ew::ops
