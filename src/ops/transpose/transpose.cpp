/// transpose: y[i_p0, i_p1, ...] = x[i_0, i_1, ...]: dimension d of the output is dimension perm[d]
/// of the input.
///
///   inputs   x: any dtype and rank
///   attrs    perm: a permutation of 0..rank-1
///   quant    as the input
///   errors   kInvalidArgument if perm is no permutation
#include <algorithm>
#include <cstring>

#include "ops/ops.h"

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
  const std::vector<int64_t> in_strides = strides_of(in[0].shape());
  const std::vector<int64_t> out_strides = strides_of(out[0].shape());
  const size_t size = dtype_size(in[0].dtype());
  const auto* source = static_cast<const uint8_t*>(in[0].data);
  auto* target = static_cast<uint8_t*>(out[0].data);
  const int64_t n = in[0].size();
  for (int64_t i = 0; i < n; ++i) {
    int64_t rest = i;
    int64_t from = 0;
    for (size_t d = 0; d < perm.size(); ++d) {
      from += rest / out_strides[d] * in_strides[static_cast<size_t>(perm[d])];
      rest %= out_strides[d];
    }
    std::memcpy(target + static_cast<size_t>(i) * size, source + static_cast<size_t>(from) * size,
                size);
  }
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
