// Operators that move or pick elements, and reductions.
#include <algorithm>
#include <cmath>

#include "formats/tflite/emit.h"
#include "ops/slice/slice.h"

namespace ew::formats::tflite {
namespace {

using Ints = std::vector<int64_t>;
using Op = BuiltinOperator;

/// A shape as an operand: one unknown size (the batch) stays open.
Result<int32_t> shape_operand(const EmitContext& c) {
  Ints sizes = c.file.open().type(c.node.outputs[0]).shape.dims();
  if (std::count(sizes.begin(), sizes.end(), kUnknown) > 1) sizes = c.out_type().shape.dims();
  return c.file.ints(sizes, c.name("shape"));
}

Status reshape(const EmitContext& c) {
  EW_TRY(const int32_t shape, shape_operand(c));
  c.file.add(Op::kReshape, {c.in(0), shape}, {c.out()});
  return {};
}

Status transpose(const EmitContext& c) {
  const int32_t perm = c.file.ints(c.node.attrs.ints("perm"), c.name("perm"));
  c.file.add(Op::kTranspose, {c.in(0), perm}, {c.out()});
  return {};
}

// Every runtime concatenates integers of one scale only, so others are rescaled first.
Status concat(const EmitContext& c) {
  std::vector<int32_t> in;
  for (size_t i = 0; i < c.node.inputs.size(); ++i) {
    const ir::TensorType& type = c.in_type(i);
    const bool fits = !type.quant || *type.quant == *c.out_type().quant;
    if (fits) {
      in.push_back(c.in(i));
      continue;
    }
    in.push_back(
        c.step(Op::kQuantize, {c.in(i)}, {type.dtype, type.shape, c.out_type().quant}, "rescaled"));
  }
  const int64_t axis = c.node.attrs.integer("axis");
  const int rank = c.out_type().shape.rank();
  c.file.add(Op::kConcatenation, in, {c.out()}, 10)
      .scalar(0, static_cast<int32_t>(axis < 0 ? axis + rank : axis));
  return {};
}

Status pad(const EmitContext& c) {
  const Ints& pads = c.node.attrs.ints("pads");
  const auto rank = static_cast<size_t>(c.in_type(0).shape.rank());
  std::vector<int32_t> table;
  for (size_t d = 0; d < rank; ++d) {
    table.push_back(static_cast<int32_t>(pads[d]));
    table.push_back(static_cast<int32_t>(pads[rank + d]));
  }
  const int32_t sizes =
      c.file.constant(ir::Tensor::from(table, Shape{c.in_type(0).shape.rank(), 2}), c.name("pads"));
  const double value = c.node.attrs.number("value");
  if (value == 0) {
    c.file.add(Op::kPad, {c.in(0), sizes}, {c.out()}, 22);
    return {};
  }
  if (c.in_type(0).quant && c.in_type(0).dtype == DType::kI8) {
    const ir::QuantParams& q = *c.in_type(0).quant;
    const double stored = std::nearbyint(value / double{q.scales[0]}) + q.zero_points[0];
    ir::Tensor border(ir::TensorType{DType::kI8, Shape{1}, c.in_type(0).quant});
    convert_elements(DType::kF64, &stored, DType::kI8, border.mutable_data(), 1);
    const int32_t fill = c.file.constant(border, c.name("value"));
    c.file.add(Op::kPadv2, {c.in(0), sizes, fill}, {c.out()}, 43);
    return {};
  }
  if (c.in_type(0).dtype != DType::kF32) {
    return unsupported("pad with ", value, " of ", c.in_type(0));
  }
  c.file.add(Op::kPadv2,
             {c.in(0), sizes, c.file.number(static_cast<float>(value), c.name("value"))}, {c.out()},
             43);
  return {};
}

Status slice(const EmitContext& c) {
  const Shape& x = c.in_type(0).shape;
  const Shape& open = c.file.open().type(c.node.inputs[0]).shape;
  Ints begin;
  Ints end;
  Ints strides;
  int32_t end_mask = 0;
  for (int d = 0; d < x.rank(); ++d) {
    const ops::SliceRange range = ops::slice_range(x[d], c.node.attrs, d);
    const bool is_whole = range.begin == 0 && range.stride == 1 && range.count == x[d];
    if (is_whole || (range.stride < 0 && range.begin + range.count * range.stride < 0)) {
      end_mask |= 1 << d;
    }
    if (open[d] == kUnknown && !is_whole) return unsupported("a slice of an open dimension");
    begin.push_back(range.begin);
    end.push_back(range.begin + range.count * range.stride);
    strides.push_back(range.stride);
  }
  FlatTable& options =
      c.file.add(Op::kStridedSlice,
                 {c.in(0), c.file.ints(begin, c.name("begin")), c.file.ints(end, c.name("end")),
                  c.file.ints(strides, c.name("strides"))},
                 {c.out()}, 32);
  options.scalar(1, end_mask);
  return {};
}

template <Op code>
Status reduce(const EmitContext& c) {
  Ints axes = c.node.attrs.ints("axes");
  for (int d = 0; axes.empty() && d < c.in_type(0).shape.rank(); ++d) axes.push_back(d);
  const int32_t operand = c.file.ints(axes, c.name("axes"));
  c.file.add(code, {c.in(0), operand}, {c.out()}, 27).flag(0, c.node.attrs.flag("keepdims"));
  return {};
}

// Integers and truth values have operators of their own for each kind.
Status reduce_any_kind(const EmitContext& c) {
  const std::string& kind = c.node.attrs.text("kind");
  const bool is_bool = c.in_type(0).dtype == DType::kBool;
  if (kind == "sum") return reduce<Op::kSum>(c);
  if (kind == "prod") return reduce<Op::kReduceProd>(c);
  if (kind == "max") return is_bool ? reduce<Op::kReduceAny>(c) : reduce<Op::kReduceMax>(c);
  if (kind == "min") return is_bool ? reduce<Op::kReduceAll>(c) : reduce<Op::kReduceMin>(c);
  return unsupported("the ", kind, " of ", c.in_type(0));
}

// The format's operator drops the axis.
Status arg_max(const EmitContext& c) {
  if (c.node.attrs.flag("last")) return unsupported("arg_max of the last of equals");
  const Shape& x = c.in_type(0).shape;
  EW_TRY(const int axis, normalize_axis(c.node.attrs.integer("axis"), x.rank()));
  ir::TensorType type{DType::kI64, x, nullptr};
  type.shape.dims().erase(type.shape.dims().begin() + axis);
  const bool smallest = c.node.attrs.flag("smallest");
  const int32_t found = c.file.temporary(type, c.name("found"));
  c.file
      .add(smallest ? Op::kArgMin : Op::kArgMax, {c.in(0), c.file.ints({axis}, c.name("axis"))},
           {found}, smallest ? 57 : 40)
      .scalar(0, static_cast<int8_t>(ElementType::kInt64));
  c.file.add(Op::kReshape, {found, c.file.ints(c.out_type().shape.dims(), c.name("shape"))},
             {c.out()});
  return {};
}

Status top_k(const EmitContext& c) {
  const Shape& x = c.in_type(0).shape;
  EW_TRY(const int axis, normalize_axis(c.node.attrs.integer("axis"), x.rank()));
  if (axis != x.rank() - 1 || c.node.attrs.flag("smallest")) {
    return unsupported("top_k but of the largest along the last axis");
  }
  const auto k = static_cast<int32_t>(c.node.attrs.integer("k"));
  const int32_t operand =
      c.file.constant(ir::Tensor::from(std::vector<int32_t>{k}, Shape{}), c.name("k"));
  const int32_t places =
      c.file.temporary({DType::kI32, c.out_type().shape, nullptr}, c.name("places"));
  c.file.add(Op::kTopkV2, {c.in(0), operand}, {c.out(), places}, 34);
  c.file.add(Op::kCast, {places}, {c.out(1)});
  return {};
}

Status cumsum(const EmitContext& c) {
  const auto axis = static_cast<int32_t>(c.node.attrs.integer("axis"));
  const int32_t operand =
      c.file.constant(ir::Tensor::from(std::vector<int32_t>{axis}, Shape{}), c.name("axis"));
  FlatTable& options = c.file.add(Op::kCumsum, {c.in(0), operand}, {c.out()}, 102);
  options.flag(0, c.node.attrs.flag("exclusive"));
  options.flag(1, c.node.attrs.flag("reverse"));
  return {};
}

Status gather(const EmitContext& c) {
  int32_t ids = c.in(1);
  if (is_floating(c.in_type(1).dtype)) {
    ids = c.step(Op::kCast, {ids}, {DType::kI32, c.in_type(1).shape, nullptr}, "ids");
  }
  c.file.add(Op::kGather, {c.in(0), ids}, {c.out()}, 23);
  return {};
}

Status where(const EmitContext& c) {
  c.file.add(Op::kSelectV2, c.all_in(), {c.out()}, 98);
  return {};
}

Status resize(const EmitContext& c) {
  const std::string& method = c.node.attrs.text("method");
  const int32_t size = c.file.ints(c.node.attrs.ints("size"), c.name("size"));
  if (method == "bicubic") return unsupported("resize by bicubic");
  const bool is_bilinear = method == "bilinear";
  const std::string& coordinates = c.node.attrs.text("coordinates");
  FlatTable& options = is_bilinear
                           ? c.file.add(Op::kResizeBilinear, {c.in(0), size}, {c.out()}, 15)
                           : c.file.add(Op::kResizeNearestNeighbor, {c.in(0), size}, {c.out()}, 74);
  options.flag(is_bilinear ? 2 : 0, coordinates == "align_corners");
  options.flag(is_bilinear ? 3 : 1, coordinates == "half_pixel");
  return {};
}

Status broadcast_to(const EmitContext& c) {
  EW_TRY(const int32_t shape, shape_operand(c));
  c.file.add(Op::kBroadcastTo, {c.in(0), shape}, {c.out()});
  return {};
}

// Every element `repeats` times: a new dimension of size 1, repeated, and merged.
Status repeat(const EmitContext& c) {
  const ir::TensorType& x = c.in_type(0);
  EW_TRY(const int axis, normalize_axis(c.node.attrs.integer("axis"), x.shape.rank()));
  const int64_t repeats = c.node.attrs.integer("repeats");
  ir::TensorType type = x;
  type.shape.dims().insert(type.shape.dims().begin() + axis + 1, 1);
  const int32_t apart = c.file.temporary(type, c.name("apart"));
  c.file.add(Op::kReshape, {c.in(0), c.file.ints(type.shape.dims(), c.name("apart_shape"))},
             {apart});
  Ints multiples(static_cast<size_t>(type.shape.rank()), 1);
  multiples[static_cast<size_t>(axis) + 1] = repeats;
  type.shape[axis + 1] = repeats;
  const int32_t tiled =
      c.step(Op::kTile, {apart, c.file.ints(multiples, c.name("multiples"))}, type, "tiled");
  c.file.add(Op::kReshape, {tiled, c.file.ints(c.out_type().shape.dims(), c.name("shape"))},
             {c.out()});
  return {};
}

const Emitter kEmitters[] = {
    {&ops::kArgMax, arg_max},
    {&ops::kBroadcastTo, broadcast_to},
    {&ops::kConcat, concat},
    {&ops::kCumsum, cumsum},
    {&ops::kGather, gather},
    {&ops::kPad, pad},
    {&ops::kReduce, reduce_any_kind},
    {&ops::kReduceMax, reduce<Op::kReduceMax>},
    {&ops::kReduceMean, reduce<Op::kMean>},
    {&ops::kReduceSum, reduce<Op::kSum>},
    {&ops::kRepeat, repeat},
    {&ops::kReshape, reshape},
    {&ops::kResize, resize},
    {&ops::kSlice, slice},
    {&ops::kTopK, top_k},
    {&ops::kTranspose, transpose},
    {&ops::kWhere, where},
};

}  // namespace

std::span<const Emitter> shape_emitters() { return kEmitters; }

}  // namespace ew::formats::tflite
