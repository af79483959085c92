/// slice: every stride-th element of a range of each dimension (Python's x[begin:end:stride]).
///
///   inputs   x: any dtype
///   attrs    begin, end, strides: one entry per leading dimension, the others are taken whole;
///            negative begin and end count from the end, then both are clipped to the dimension;
///            with a negative stride the range runs backwards and INT64_MIN as end means "through
///            element 0"; strides may be left out (all 1)
///   quant    as the input
///   errors   kInvalidArgument for a stride of 0 or lists of other lengths
#include "ops/slice/slice.h"

#include <algorithm>

#include "ops/strided_copy.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"begin", std::vector<int64_t>{}},
                          {"end", std::vector<int64_t>{}},
                          {"strides", std::vector<int64_t>{}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  Shape shape = in[0]->shape;
  const std::vector<int64_t>& begin = attrs.ints("begin");
  const std::vector<int64_t>& strides = attrs.ints("strides");
  const auto count = static_cast<int>(begin.size());
  if (count > shape.rank() || attrs.ints("end").size() != begin.size() ||
      (!strides.empty() && strides.size() != begin.size())) {
    return invalid_argument("begin, end and strides do not fit a tensor of shape ", shape);
  }
  for (const int64_t stride : strides) {
    if (stride == 0) return invalid_argument("a stride is 0");
  }
  for (int d = 0; d < count; ++d) {
    const int64_t from = begin[static_cast<size_t>(d)];
    const int64_t to = attrs.ints("end")[static_cast<size_t>(d)];
    const int64_t stride = strides.empty() ? 1 : strides[static_cast<size_t>(d)];
    if (shape[d] != kUnknown)
      shape[d] = slice_range(shape[d], attrs, d).count;
    else if (stride == 1 && (from == -1 || (from >= 0 && to > 0 && to - 1 == from)))
      shape[d] = 1;  // a single element, which is there or the graph does not fit the input
  }
  return std::vector<TensorType>{{in[0]->dtype, std::move(shape), nullptr}};
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const std::vector<int64_t> from = strides_of(shape);
  const std::vector<int64_t> to = strides_of(out[0].shape());
  const size_t size = dtype_size(in[0].dtype());
  std::vector<CopyDim> dims;
  int64_t first = 0;
  for (int d = 0; d < shape.rank(); ++d) {
    const SliceRange range = slice_range(shape[d], attrs, d);
    const auto at = static_cast<size_t>(d);
    first += range.begin * from[at];
    dims.push_back({out[0].shape()[d], range.stride * from[at], to[at]});
  }
  strided_copy(std::move(dims), size,
               static_cast<const uint8_t*>(in[0].data) + first * static_cast<int64_t>(size),
               out[0].data);
}

void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  reference(in, out, attrs);
}

}  // namespace

SliceRange slice_range(int64_t size, const Attrs& attrs, int dim) {
  const auto d = static_cast<size_t>(dim);
  const std::vector<int64_t>& strides = attrs.ints("strides");
  if (d >= attrs.ints("begin").size()) return {0, size, 1};
  const int64_t stride = strides.empty() ? 1 : strides[d];
  const auto place = [&](int64_t at) {
    if (at < 0) at = at < -size ? -1 - size : at;
    if (at < 0) at += size;
    return stride > 0 ? std::clamp<int64_t>(at, 0, size) : std::clamp<int64_t>(at, -1, size - 1);
  };
  const int64_t begin = place(attrs.ints("begin")[d]);
  const int64_t end = place(attrs.ints("end")[d]);
  const int64_t span = stride > 0 ? end - begin : begin - end;
  // A stride beyond the dimension takes one element; bounding it keeps its negation defined.
  const int64_t step = std::min(std::abs(std::max(stride, -size - 1)), size + 1);
  return {begin, span <= 0 ? 0 : (span - 1) / step + 1, stride > 0 ? step : -step};
}

const OpDef kSlice{.name = "slice",
                   .attrs = kAttrs,
                   .infer = infer,
                   .reference = reference,
                   .reference_i8 = reference_i8,
                   .quant = QuantRule::same_as_input()};

}  // namespace ew::ops
