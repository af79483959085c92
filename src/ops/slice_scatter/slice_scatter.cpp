/// slice_scatter: zeros of `shape` with x written to the places that slice would read.
///
///   inputs   x: any dtype
///   attrs    shape: static; begin, end, strides: as for slice
///   errors   kInvalidArgument if x has not the shape of that slice
#include <cstring>

#include "ops/slice/slice.h"
#include "ops/strided_copy.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"begin", std::vector<int64_t>{}},
                          {"end", std::vector<int64_t>{}},
                          {"strides", std::vector<int64_t>{}},
                          {"shape", std::vector<int64_t>{}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  const Shape shape(attrs.ints("shape"));
  EW_TRY_VOID(check_shape(shape));
  const TensorType whole{in[0]->dtype, shape, nullptr};
  const std::vector<const TensorType*> whole_input{&whole};
  EW_TRY(const std::vector<TensorType> part, kSlice.infer(whole_input, attrs));
  if (part[0].shape != in[0]->shape) {
    return invalid_argument("expected a slice of shape ", part[0].shape, ", found ", in[0]->shape);
  }
  return std::vector<TensorType>{whole};
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = out[0].shape();
  const std::vector<int64_t> from = strides_of(in[0].shape());
  const std::vector<int64_t> to = strides_of(shape);
  const size_t size = dtype_size(in[0].dtype());
  std::vector<CopyDim> dims;
  int64_t first = 0;
  for (int d = 0; d < shape.rank(); ++d) {
    const SliceRange range = slice_range(shape[d], attrs, d);
    const auto at = static_cast<size_t>(d);
    first += range.begin * to[at];
    dims.push_back({in[0].shape()[d], from[at], range.stride * to[at]});
  }
  std::memset(out[0].data, 0, static_cast<size_t>(out[0].size()) * size);
  strided_copy(std::move(dims), size, in[0].data,
               static_cast<uint8_t*>(out[0].data) + first * static_cast<int64_t>(size));
}

}  // namespace

const OpDef kSliceScatter{
    .name = "slice_scatter", .attrs = kAttrs, .infer = infer, .reference = reference};

}  // namespace ew::ops
