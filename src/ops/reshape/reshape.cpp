/// reshape: the same elements in row-major order under another shape.
///
///   inputs   x: any dtype and rank
///   outputs  y
///   attrs    shape: target; 0 copies the input's dimension at that place, one -1 is inferred
///            (also to "unknown" while the input has unknown dimensions)
///   quant    as the input
///   errors   kInvalidArgument if the numbers of elements differ
#include <cstring>

#include "ops/ops.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"shape", std::vector<int64_t>{-1}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  const Shape& from = in[0]->shape;
  Shape to(attrs.ints("shape"));
  EW_TRY_VOID(check_open_shape(to));
  // Dimensions copied one to one cancel, so an unknown batch does not hide the others.
  int64_t known_from = 1;
  bool is_open = false;
  for (int d = 0; d < from.rank(); ++d) {
    const bool copied = d < to.rank() && to[d] == 0;
    if (copied) continue;
    if (from[d] == kUnknown)
      is_open = true;
    else
      known_from *= from[d];
  }
  int inferred = -1;
  int64_t known_to = 1;
  for (int d = 0; d < to.rank(); ++d) {
    if (to[d] == 0 && attrs.ints("shape")[static_cast<size_t>(d)] == 0) {
      if (d >= from.rank()) return invalid_argument("cannot copy dimension ", d, " of ", from);
      to[d] = from[d];
    } else if (to[d] == -1) {
      if (inferred >= 0) return invalid_argument("more than one -1 in the target shape ", to);
      inferred = d;
    } else if (to[d] < -1) {
      return invalid_argument("negative dimension in the target shape ", to);
    } else {
      known_to *= to[d];
    }
  }
  const auto mismatch = [&] {
    return invalid_argument("cannot reshape ", from, " to ", Shape(attrs.ints("shape")));
  };
  if (inferred >= 0) {
    if (is_open)
      to[inferred] = kUnknown;
    else if (known_to == 0 || known_from % known_to != 0)
      return mismatch();
    else
      to[inferred] = known_from / known_to;
  } else if (!is_open && known_from != known_to) {
    return mismatch();
  }
  return std::vector<TensorType>{{in[0]->dtype, std::move(to), nullptr}};
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

const OpDef kReshape{.name = "reshape",
                     .attrs = kAttrs,
                     .infer = infer,
                     .reference = reference,
                     .reference_i8 = reference_i8,
                     .quant = QuantRule::same_as_input(),
                     .is_view = true};

}  // namespace ew::ops
