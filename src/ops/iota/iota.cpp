/// iota: 0, 1, ... n-1 for the size n of one dimension of x, which may be unknown until run time.
///
///   inputs   x: any dtype; only its shape matters
///   outputs  y: [n], dtype `dtype`
///   attrs    axis: default 0; dtype: name, default "int32"
///   errors   kInvalidArgument if axis is outside the rank or dtype is none of ours
#include <numeric>

#include "ops/ops.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"axis", int64_t{0}}, {"dtype", std::string("int32")}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY(const int axis, normalize_axis(attrs.integer("axis"), in[0]->shape.rank()));
  EW_TRY(const DType dtype, parse_dtype(attrs.text("dtype")));
  return std::vector<TensorType>{{dtype, Shape{in[0]->shape[axis]}, nullptr}};
}

void reference(ConstViews, Views out, const Attrs&) {
  std::vector<int64_t> numbers(static_cast<size_t>(out[0].size()));
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  convert_elements(DType::kI64, numbers.data(), out[0].dtype(), out[0].data, out[0].size());
}

}  // namespace

const OpDef kIota{.name = "iota", .attrs = kAttrs, .infer = infer, .reference = reference};

}  // namespace ew::ops
