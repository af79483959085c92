// Operators that find, count and place elements: arg max, top k, one hot, gathers and scatters by
// tuples of indices, segments.
#include "formats/tflite/op_context.h"

namespace ew::formats::tflite {
namespace {

using Ints = std::vector<int64_t>;

/// Integers of our operators, int64, as the file declares output i.
Result<ValueId> as_declared(const OpContext& c, ValueId x, size_t i) {
  EW_TRY(const ir::TensorType type, c.declared(i));
  return c.b.add(ops::kCast, {x}, {{"to", std::string(dtype_name(type.dtype))}});
}

template <bool smallest>
Result<ValueId> arg_max(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const Ints axis, c.ints(1));
  const Shape shape = c.type(x).shape;
  if (axis.size() != 1) return invalid_data(axis.size(), " axes, expected 1");
  EW_TRY(const int d, normalize_axis(axis[0], shape.rank()));
  ValueId y = c.b.add(ops::kArgMax, {x}, {{"axis", int64_t{d}}, {"smallest", smallest}});
  Ints without = shape.dims();
  without.erase(without.begin() + d);
  for (const int64_t n : without) {
    if (n < 1) return unsupported("of shape ", shape, "; expected sizes of 1 or more");
  }
  y = c.b.add(ops::kReshape, {y}, {{"shape", std::move(without)}});
  return as_declared(c, y, 0);
}

Result<std::vector<ValueId>> top_k(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const Ints k, c.ints(1));
  if (k.size() != 1) return invalid_data(k.size(), " values of k, expected 1");
  if (c.type(x).quant) return unsupported("of ", c.type(x));
  std::vector<ValueId> out = c.b.add_multi(ops::kTopK, {x}, {{"k", k[0]}});
  if (!c.b.ok() || c.outputs() < 2) return out;
  EW_TRY(out[1], as_declared(c, out[1], 1));
  return out;
}

Result<ValueId> cumsum(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const Ints axis, c.ints(1));
  if (axis.size() != 1) return invalid_data(axis.size(), " axes, expected 1");
  return c.b.add(
      ops::kCumsum, {x},
      {{"axis", axis[0]}, {"exclusive", c.options.flag(0)}, {"reverse", c.options.flag(1)}});
}

/// 0, 1, ... n - 1 of a dtype.
ValueId counting(const OpContext& c, int64_t n, DType dtype) {
  ir::Tensor steps(DType::kI64, Shape{n});
  for (int64_t i = 0; i < n; ++i) steps.mutable_values<int64_t>()[static_cast<size_t>(i)] = i;
  return c.b.constant(steps.cast(dtype));
}

Result<ValueId> one_hot(const OpContext& c) {
  EW_TRY(const ValueId ids, c.in(0));
  EW_TRY(const Ints depth, c.ints(1));
  EW_TRY(const ValueId on, c.in(2));
  EW_TRY(const ValueId off, c.in(3));
  const Shape shape = c.type(ids).shape;
  constexpr int64_t kMost = 1 << 20;
  if (depth.size() != 1 || depth[0] < 1 || depth[0] > kMost) {
    return unsupported("a depth of ", depth, "; expected one from 1 to ", kMost);
  }
  EW_TRY(const int axis, normalize_axis(c.options.scalar<int32_t>(0), shape.rank() + 1));
  Ints apart = shape.dims();
  apart.insert(apart.begin() + axis, 1);
  for (const int64_t n : apart) {
    if (n < 1) return unsupported("indices of shape ", shape, "; expected sizes of 1 or more");
  }
  Ints along(apart.size(), 1);
  along[static_cast<size_t>(axis)] = depth[0];
  const ValueId wide = c.b.add(ops::kReshape, {ids}, {{"shape", std::move(apart)}});
  const ValueId steps = c.b.add(ops::kReshape, {counting(c, depth[0], c.type(ids).dtype)},
                                {{"shape", std::move(along)}});
  return c.b.add(ops::kWhere, {c.b.add(ops::kEqual, {wide, steps}), on, off});
}

/// Tuples of indices [..., k] into dimensions of `shape` as row numbers of the flattened table.
Result<ValueId> row_numbers(const OpContext& c, ValueId ids, const Shape& shape) {
  const ir::TensorType type = c.type(ids);
  const int64_t k = type.shape.rank() > 0 ? type.shape[-1] : 0;
  if (k < 1 || k > shape.rank() || !shape.is_static() || !type.shape.is_static() ||
      is_floating(type.dtype)) {
    return unsupported("indices ", type, " into a tensor of shape ", shape);
  }
  Ints strides(static_cast<size_t>(k), 1);
  for (int d = static_cast<int>(k) - 2; d >= 0; --d) {
    strides[static_cast<size_t>(d)] = strides[static_cast<size_t>(d) + 1] * shape[d + 1];
  }
  const ValueId scaled =
      c.b.add(ops::kMul, {ids, c.b.constant(ir::Tensor::from(strides, Shape{k}).cast(type.dtype))});
  return c.b.add(ops::kReduce, {scaled},
                 {{"kind", std::string("sum")}, {"axes", Ints{-1}}, {"keepdims", false}});
}

/// The shape with its first k dimensions made one.
Ints flattened(const Shape& shape, int k) {
  Ints rows{shape.product(0, k)};
  for (int d = k; d < shape.rank(); ++d) rows.push_back(shape[d]);
  return rows;
}

Status expect_elements(const Shape& shape) {
  if (shape.is_static() && shape.num_elements() > 0) return {};
  return unsupported("a tensor of shape ", shape, "; expected sizes of 1 or more");
}

Result<ValueId> gather_nd(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const ValueId ids, c.in(1));
  const ir::TensorType type = c.type(x);
  EW_TRY_VOID(expect_elements(type.shape));
  EW_TRY(const ValueId rows, row_numbers(c, ids, type.shape));
  if (!c.b.ok()) return rows;
  const auto k = static_cast<int>(c.type(ids).shape[-1]);
  const ValueId table =
      c.typed(c.b.add(ops::kReshape, {x}, {{"shape", flattened(type.shape, k)}}), type);
  return c.b.add(ops::kGather, {table, rows});
}

Result<ValueId> scatter_nd(const OpContext& c) {
  EW_TRY(const ValueId ids, c.in(0));
  EW_TRY(const ValueId updates, c.in(1));
  EW_TRY(const Ints dims, c.ints(2));
  const Shape shape(dims);
  EW_TRY_VOID(check_shape(shape));
  EW_TRY_VOID(expect_elements(shape));
  if (c.type(updates).quant) return unsupported("of ", c.type(updates));
  EW_TRY(const ValueId rows, row_numbers(c, ids, shape));
  if (!c.b.ok()) return rows;
  const auto k = static_cast<int>(c.type(ids).shape[-1]);
  const ValueId zero = c.b.constant(ir::Tensor(c.type(updates).dtype, Shape{}));
  const ValueId table = c.b.add(ops::kBroadcastTo, {zero}, {{"shape", flattened(shape, k)}});
  const ValueId y = c.b.add(ops::kScatter, {table, rows, updates}, {{"kind", std::string("add")}});
  return c.b.add(ops::kReshape, {y}, {{"shape", dims}});
}

Result<ValueId> embedding_lookup(const OpContext& c) {
  EW_TRY(const ValueId ids, c.in(0));
  EW_TRY(const ValueId table, c.in(1));
  return c.b.add(ops::kGather, {table, ids});
}

/// What an empty segment holds.
Result<double> neutral(const std::string& kind, DType dtype) {
  if (kind == "add") return 0.0;
  if (kind == "mul") return 1.0;
  const bool is_min = kind == "min";
  if (dtype == DType::kF32) return is_min ? 3.4028234663852886e38 : -3.4028234663852886e38;
  if (dtype == DType::kI32) return is_min ? double{INT32_MAX} : double{INT32_MIN};
  return unsupported("of ", dtype_name(dtype), "; expected float32 or int32");
}

template <const char* const& kind>
Result<ValueId> segments(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const ValueId ids, c.in(1));
  EW_TRY(const Ints count, c.ints(2));
  const ir::TensorType type = c.type(x);
  EW_TRY_VOID(expect_elements(type.shape));
  if (type.quant || count.size() != 1 || count[0] < 1 || count[0] > kMaxElements) {
    return unsupported(count, " segments of ", type);
  }
  EW_TRY(const double start, neutral(kind, type.dtype));
  Ints shape{count[0]};
  for (int d = c.type(ids).shape.rank(); d < type.shape.rank(); ++d) shape.push_back(type.shape[d]);
  const ValueId table = c.b.add(
      ops::kBroadcastTo,
      {c.b.constant(ir::Tensor::from(std::vector<double>{start}, Shape{}).cast(type.dtype))},
      {{"shape", std::move(shape)}});
  return c.b.add(ops::kScatter, {table, ids, x}, {{"kind", std::string(kind)}});
}

constexpr const char* kSum = "add";
constexpr const char* kProduct = "mul";
constexpr const char* kLeast = "min";
constexpr const char* kMost = "max";

const Lowering kLowerings[] = {
    {BuiltinOperator::kArgMax, one<arg_max<false>>},
    {BuiltinOperator::kArgMin, one<arg_max<true>>},
    {BuiltinOperator::kCumsum, one<cumsum>},
    {BuiltinOperator::kEmbeddingLookup, one<embedding_lookup>},
    {BuiltinOperator::kGatherNd, one<gather_nd>},
    {BuiltinOperator::kOneHot, one<one_hot>},
    {BuiltinOperator::kScatterNd, one<scatter_nd>},
    {BuiltinOperator::kTopkV2, top_k},
    {BuiltinOperator::kUnsortedSegmentMax, one<segments<kMost>>},
    {BuiltinOperator::kUnsortedSegmentMin, one<segments<kLeast>>},
    {BuiltinOperator::kUnsortedSegmentProd, one<segments<kProduct>>},
    {BuiltinOperator::kUnsortedSegmentSum, one<segments<kSum>>},
};

}  // namespace

std::span<const Lowering> select_lowerings() { return kLowerings; }

}  // namespace ew::formats::tflite
