/// slice_scatter: zeros of `shape` with x written to the places that slice would read.
///
///   inputs   x: any dtype
///   attrs    shape: static; begin, end, strides: as for slice
///   errors   kInvalidArgument if x has not the shape of that slice
#include <cstring>

#include "ops/slice/slice.h"

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
  const Shape& to = out[0].shape();
  const std::vector<int64_t> in_strides = strides_of(in[0].shape());
  const std::vector<int64_t> out_strides = strides_of(to);
  std::vector<SliceRange> ranges;
  for (int d = 0; d < to.rank(); ++d) ranges.push_back(slice_range(to[d], attrs, d));
  const size_t size = dtype_size(in[0].dtype());
  const auto* source = static_cast<const uint8_t*>(in[0].data);
  auto* target = static_cast<uint8_t*>(out[0].data);
  std::memset(target, 0, static_cast<size_t>(out[0].size()) * size);
  const int64_t n = in[0].size();
  for (int64_t i = 0; i < n; ++i) {
    int64_t rest = i;
    int64_t at = 0;
    for (size_t d = 0; d < ranges.size(); ++d) {
      at += (ranges[d].begin + rest / in_strides[d] * ranges[d].stride) * out_strides[d];
      rest %= in_strides[d];
    }
    std::memcpy(target + static_cast<size_t>(at) * size, source + static_cast<size_t>(i) * size,
                size);
  }
}

}  // namespace

const OpDef kSliceScatter{
    .name = "slice_scatter", .attrs = kAttrs, .infer = infer, .reference = reference};

}  // namespace ew::ops
