// Operators that pick elements: slices, splits, gathers, selections, resized images.
#include <algorithm>

#include "formats/tflite/op_context.h"

namespace ew::formats::tflite {
namespace {

using Ints = std::vector<int64_t>;

Result<ValueId> slice(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const Ints begin, c.ints(1));
  EW_TRY(const Ints size, c.ints(2));
  if (begin.size() != size.size()) return invalid_data("begins ", begin, " and sizes ", size);
  Ints end;
  for (size_t d = 0; d < begin.size(); ++d) {
    if (begin[d] < 0 || size[d] < -1) return invalid_data("begins ", begin, " and sizes ", size);
    end.push_back(size[d] == -1 ? INT64_MAX : begin[d] + size[d]);
  }
  return c.b.add(ops::kSlice, {x}, {{"begin", begin}, {"end", end}});
}

/// What STRIDED_SLICE asks of each dimension of its input, its masks resolved.
struct StridedSlice {
  Ints begin, end, strides;
  Ints shape;  ///< of the output before sizes are known: -2 copies the next dimension, 1 is new
};

Result<StridedSlice> read_strided_slice(const OpContext& c, const Shape& x) {
  EW_TRY(const Ints begin, c.ints(1));
  EW_TRY(const Ints end, c.ints(2));
  EW_TRY(const Ints strides, c.ints(3));
  if (begin.size() != end.size() || begin.size() != strides.size() || begin.size() > 32) {
    return invalid_data("begins, ends and strides of different lengths");
  }
  const auto mask = [&](int field, size_t i) {
    return (static_cast<uint32_t>(c.options.scalar<int32_t>(field)) >> i & 1U) != 0;
  };
  if (c.options.scalar<int32_t>(2) != 0 && c.options.scalar<int32_t>(3) != 0) {
    return unsupported("an ellipsis together with new axes");
  }
  StridedSlice s;
  const auto whole = [&] {
    s.begin.push_back(0);
    s.end.push_back(INT64_MAX);
    s.strides.push_back(1);
    s.shape.push_back(-2);
  };
  for (size_t i = 0; i < begin.size(); ++i) {
    if (mask(2, i)) {
      const auto rank = static_cast<size_t>(x.rank());
      while (s.begin.size() + (begin.size() - i - 1) < rank) whole();
      continue;
    }
    if (mask(3, i)) {
      s.shape.push_back(1);
      continue;
    }
    const size_t d = s.begin.size();
    if (d >= static_cast<size_t>(x.rank())) return invalid_data("more slices than dimensions");
    if (strides[i] == 0) return invalid_data("a stride is 0");
    const bool is_single = mask(4, i);
    const bool is_backwards = strides[i] < 0;
    const int64_t from = mask(0, i) ? (is_backwards ? INT64_MAX : 0) : begin[i];
    const int64_t open_end = is_backwards ? INT64_MIN : INT64_MAX;
    s.begin.push_back(from);
    s.strides.push_back(is_single ? 1 : strides[i]);
    if (is_single)
      s.end.push_back(from == -1 ? INT64_MAX : from + 1);
    else
      s.end.push_back(mask(1, i) ? open_end : end[i]);
    if (!is_single) s.shape.push_back(-2);
    if (is_single) s.shape.push_back(-3);
  }
  while (s.begin.size() < static_cast<size_t>(x.rank())) whole();
  return s;
}

Result<ValueId> strided_slice(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  const ir::TensorType type = c.type(x);
  EW_TRY(const StridedSlice s, read_strided_slice(c, type.shape));
  const ValueId y =
      c.b.add(ops::kSlice, {x}, {{"begin", s.begin}, {"end", s.end}, {"strides", s.strides}});
  if (!c.b.ok()) return y;
  const Shape sliced = c.b.shape(y);
  Ints shape;
  int d = 0;
  for (const int64_t kind : s.shape) {
    if (kind == 1) {
      shape.push_back(1);
      continue;
    }
    if (kind == -2) shape.push_back(sliced[d]);
    if (kind == -3 && sliced[d] != 1) return invalid_data("an index outside dimension ", d);
    ++d;
  }
  if (shape == sliced.dims()) return y;
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) {
    return unsupported("an empty slice");
  }
  c.typed(y, type);
  return c.b.add(ops::kReshape, {y}, {{"shape", std::move(shape)}});
}

/// Parts of the given sizes along an axis.
Result<std::vector<ValueId>> parts(const OpContext& c, ValueId x, int axis, const Ints& sizes) {
  std::vector<ValueId> out;
  const auto d = static_cast<size_t>(axis);
  int64_t at = 0;
  for (const int64_t size : sizes) {
    Ints begin(d + 1, 0);
    Ints end(d + 1, INT64_MAX);
    begin[d] = at;
    end[d] = at + size;
    out.push_back(c.b.add(ops::kSlice, {x}, {{"begin", begin}, {"end", end}}));
    at += size;
  }
  return out;
}

Result<std::vector<ValueId>> split_along(const OpContext& c, ValueId x, int64_t given_axis,
                                         const Ints& sizes) {
  const Shape shape = c.type(x).shape;
  EW_TRY(const int axis, normalize_axis(given_axis, shape.rank()));
  if (shape[axis] == kUnknown) return unsupported("a split of an open dimension");
  for (const int64_t s : sizes) {
    if (s < 0 || s > shape[axis]) return invalid_data("parts ", sizes, " of ", shape[axis]);
  }
  int64_t total = 0;
  for (const int64_t s : sizes) total += s;
  if (total != shape[axis]) return invalid_data("parts ", sizes, " of ", shape[axis]);
  return parts(c, x, axis, sizes);
}

Result<std::vector<ValueId>> split(const OpContext& c) {
  EW_TRY(const Ints axis, c.ints(0));
  EW_TRY(const ValueId x, c.in(1));
  const auto count = static_cast<int64_t>(c.outputs());
  if (axis.size() != 1 || count < 1) return invalid_data("axis ", axis, ", ", count, " parts");
  EW_TRY(const int d, normalize_axis(axis[0], c.type(x).shape.rank()));
  const int64_t size = c.type(x).shape[d];
  if (size == kUnknown || size % count != 0) {
    return invalid_data(count, " equal parts of a dimension of ", size);
  }
  return split_along(c, x, d, Ints(static_cast<size_t>(count), size / count));
}

Result<std::vector<ValueId>> split_v(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(Ints sizes, c.ints(1));
  EW_TRY(const Ints axis, c.ints(2));
  if (axis.size() != 1 || sizes.size() != c.outputs()) return invalid_data("parts ", sizes);
  if (std::count(sizes.begin(), sizes.end(), -1) > 1) return invalid_data("parts ", sizes);
  EW_TRY(const int d, normalize_axis(axis[0], c.type(x).shape.rank()));
  int64_t known = 0;
  for (const int64_t s : sizes) known += std::max<int64_t>(s, 0);
  for (int64_t& s : sizes) s = s == -1 ? c.type(x).shape[d] - known : s;
  return split_along(c, x, d, sizes);
}

Result<std::vector<ValueId>> unpack(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  const ir::TensorType type = c.type(x);
  EW_TRY(const int axis, normalize_axis(c.options.scalar<int32_t>(1), type.shape.rank()));
  EW_TRY(std::vector<ValueId> out, split_along(c, x, axis, Ints(c.outputs(), 1)));
  Ints shape = type.shape.dims();
  shape.erase(shape.begin() + axis);
  for (ValueId& y : out) {
    c.typed(y, type);
    y = c.b.add(ops::kReshape, {y}, {{"shape", shape}});
  }
  return out;
}

Result<ValueId> reverse(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const Ints axes, c.ints(1));
  const auto rank = static_cast<size_t>(c.type(x).shape.rank());
  Ints begin(rank, 0);
  Ints end(rank, INT64_MAX);
  Ints strides(rank, 1);
  for (const int64_t axis : axes) {
    EW_TRY(const int checked, normalize_axis(axis, static_cast<int>(rank)));
    const auto d = static_cast<size_t>(checked);
    begin[d] = INT64_MAX;
    end[d] = INT64_MIN;
    strides[d] = -1;
  }
  return c.b.add(ops::kSlice, {x}, {{"begin", begin}, {"end", end}, {"strides", strides}});
}

// Our gather takes rows; another axis is brought to the front and back.
Result<ValueId> gather(const OpContext& c) {
  EW_TRY(ValueId x, c.in(0));
  EW_TRY(const ValueId ids, c.in(1));
  const ir::TensorType type = c.type(x);
  if (c.options.scalar<int32_t>(1) != 0) return unsupported("batch dimensions");
  EW_TRY(const int axis, normalize_axis(c.options.scalar<int32_t>(0), type.shape.rank()));
  if (axis == 0) return c.b.add(ops::kGather, {x, ids});
  Ints to_front{axis};
  for (int d = 0; d < type.shape.rank(); ++d) {
    if (d != axis) to_front.push_back(d);
  }
  x = c.typed(c.b.add(ops::kTranspose, {x}, {{"perm", to_front}}), type);
  const ValueId y = c.typed(c.b.add(ops::kGather, {x, ids}), type);
  const int id_rank = c.type(ids).shape.rank();
  Ints back;
  for (int d = 0; d < axis; ++d) back.push_back(id_rank + d);
  for (int d = 0; d < id_rank; ++d) back.push_back(d);
  for (int d = axis + 1; d < type.shape.rank(); ++d) back.push_back(id_rank + d - 1);
  return c.b.add(ops::kTranspose, {y}, {{"perm", back}});
}

Result<ValueId> select(const OpContext& c) {
  EW_TRY(ValueId condition, c.in(0));
  EW_TRY(const ValueId x, c.in(1));
  EW_TRY(const ValueId y, c.in(2));
  // SELECT takes a vector of conditions for whole rows.
  const int rank = c.type(x).shape.rank();
  const Shape shape = c.type(condition).shape;
  if (c.code() == BuiltinOperator::kSelect && shape.rank() == 1 && rank > 1) {
    Ints wide(static_cast<size_t>(rank), 1);
    wide[0] = shape[0];
    condition = c.b.add(ops::kReshape, {condition}, {{"shape", wide}});
  }
  return c.b.add(ops::kWhere, {condition, x, y});
}

Result<ValueId> resize(const OpContext& c, const char* method, bool align, bool half_pixel) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const Ints size, c.ints(1));
  const char* coordinates = align ? "align_corners" : half_pixel ? "half_pixel" : "asymmetric";
  return c.b.add(
      ops::kResize, {x},
      {{"size", size}, {"method", std::string(method)}, {"coordinates", std::string(coordinates)}});
}
Result<ValueId> resize_bilinear(const OpContext& c) {
  return resize(c, "bilinear", c.options.flag(2), c.options.flag(3));
}
Result<ValueId> resize_nearest(const OpContext& c) {
  return resize(c, "nearest", c.options.flag(0), c.options.flag(1));
}

const Lowering kLowerings[] = {
    {BuiltinOperator::kGather, one<gather>},
    {BuiltinOperator::kResizeBilinear, one<resize_bilinear>},
    {BuiltinOperator::kResizeNearestNeighbor, one<resize_nearest>},
    {BuiltinOperator::kReverseV2, one<reverse>},
    {BuiltinOperator::kSelect, one<select>},
    {BuiltinOperator::kSelectV2, one<select>},
    {BuiltinOperator::kSlice, one<slice>},
    {BuiltinOperator::kSplit, split},
    {BuiltinOperator::kSplitV, split_v},
    {BuiltinOperator::kStridedSlice, one<strided_slice>},
    {BuiltinOperator::kUnpack, unpack},
};

}  // namespace

std::span<const Lowering> index_lowerings() { return kLowerings; }

}  // namespace ew::formats::tflite
