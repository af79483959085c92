/// cast: the same values as another dtype, rounding to nearest; saturating to integers.
///
///   inputs   x: any dtype and rank
///   outputs  y: shape of x, dtype `to`
///   attrs    to: dtype name, default "float32"
///   errors   kInvalidArgument if `to` is no dtype
#include "ops/ops.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"to", std::string("float32")}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY(const DType to, parse_dtype(attrs.text("to")));
  return std::vector<TensorType>{{to, in[0]->shape, nullptr}};
}

void reference(ConstViews in, Views out, const Attrs&) {
  convert_elements(in[0].dtype(), in[0].data, out[0].dtype(), out[0].data, in[0].size());
}

}  // namespace

const OpDef kCast{.name = "cast", .attrs = kAttrs, .infer = infer, .reference = reference};

}  // namespace ew::ops
