// Operators that move elements: reshape, transpose, concatenate, pad.
#include <algorithm>
#include <cmath>

#include "formats/tflite/op_context.h"

namespace ew::formats::tflite {
namespace {

using Ints = std::vector<int64_t>;

constexpr double kMaxRange = 1 << 20;

Result<ValueId> to_shape(const OpContext& c, ValueId x, Ints target) {
  // 0 means "as the input's" to our reshape; of an empty input, one 0 follows from the other sizes.
  const auto zero = std::find(target.begin(), target.end(), 0);
  if (zero != target.end()) {
    const Shape from = c.type(x).shape;
    const bool is_empty = from.is_static() && from.num_elements() == 0;
    const bool is_only = std::all_of(target.begin(), target.end(),
                                     [&](const int64_t& d) { return d >= 1 || &d == &*zero; });
    if (!is_empty || !is_only) return unsupported("an empty tensor of shape ", target);
    *zero = -1;
  }
  return c.b.add(ops::kReshape, {x}, {{"shape", std::move(target)}});
}

/// x as `target`, the shape that the file means: complex numbers are pairs here.
Result<ValueId> to_file_shape(const OpContext& c, ValueId x, Ints target) {
  if (c.is_complex(0)) target.push_back(2);
  return to_shape(c, x, std::move(target));
}

Ints file_shape(const OpContext& c, ValueId x) {
  Ints dims = c.type(x).shape.dims();
  if (c.is_complex(0)) dims.pop_back();
  return dims;
}

Result<ValueId> reshape(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  if (c.has_input(1)) {
    EW_TRY(Ints target, c.ints(1));
    return to_file_shape(c, x, std::move(target));
  }
  Ints target;
  for (const int32_t d : c.options.list<int32_t>(0)) target.push_back(d);
  return to_file_shape(c, x, std::move(target));
}

Result<ValueId> expand_dims(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const Ints axis, c.ints(1));
  Ints shape = file_shape(c, x);
  const auto rank = static_cast<int64_t>(shape.size()) + 1;
  if (axis.size() != 1 || axis[0] < -rank || axis[0] >= rank) {
    return invalid_data("axis ", axis, " for rank ", rank - 1);
  }
  shape.insert(shape.begin() + (axis[0] < 0 ? axis[0] + rank : axis[0]), 1);
  return to_file_shape(c, x, std::move(shape));
}

// Without dimensions all those of length 1 go.
Result<ValueId> squeeze(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  const Ints shape = file_shape(c, x);
  const auto rank = static_cast<int64_t>(shape.size());
  std::vector<bool> goes(shape.size(), false);
  bool is_named = false;
  for (const int32_t axis : c.options.list<int32_t>(0)) {
    const int64_t d = axis < 0 ? axis + rank : axis;
    if (d < 0 || d >= rank || shape[static_cast<size_t>(d)] != 1) {
      return invalid_data("dimension ", axis, " of ", Shape(shape), " is none of length 1");
    }
    goes[static_cast<size_t>(d)] = is_named = true;
  }
  Ints target;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (!(is_named ? goes[d] : shape[d] == 1)) target.push_back(shape[d]);
  }
  return to_file_shape(c, x, std::move(target));
}

// From constants: how long the output is must be known here.
Result<ValueId> range(const OpContext& c) {
  double bounds[3] = {};
  for (size_t i = 0; i < 3; ++i) {
    const ir::Tensor* value = c.constant(i);
    if (value == nullptr || value->size() != 1 || value->type().quant) {
      return unsupported("input ", i, " is no constant number");
    }
    bounds[i] = value->cast(DType::kF64).values<double>()[0];
  }
  EW_TRY(const ir::TensorType type, c.declared(0));
  const double count = std::ceil((bounds[1] - bounds[0]) / bounds[2]);
  if (!(count <= kMaxRange)) {
    return invalid_data("from ", bounds[0], " to ", bounds[1], " by ", bounds[2]);
  }
  std::vector<double> values;
  for (double i = 0; i < count; ++i) values.push_back(bounds[0] + i * bounds[2]);
  const auto n = static_cast<int64_t>(values.size());
  return c.b.constant(ir::Tensor::from(values, Shape{n}).cast(type.dtype));
}

Result<ValueId> transpose(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(Ints perm, c.ints(1));
  for (int64_t& d : perm) d = d < 0 ? d + c.type(x).shape.rank() : d;
  return c.b.add(ops::kTranspose, {x}, {{"perm", std::move(perm)}});
}

Result<ValueId> concatenation(const OpContext& c) {
  std::vector<ValueId> in;
  for (size_t i = 0; i < c.inputs(); ++i) {
    EW_TRY(const ValueId x, c.in(i));
    in.push_back(x);
  }
  if (in.empty()) return invalid_data("nothing to concatenate");
  EW_TRY(const ir::TensorType type, c.declared(0));
  const auto differs = [&](ValueId x) {
    return type.quant && (!c.type(x).quant || *c.type(x).quant != *type.quant);
  };
  if (type.dtype == DType::kI16 && std::any_of(in.begin(), in.end(), differs)) {
    return unsupported("of int16 with different scales");
  }
  const ValueId y = c.b.add(ops::kConcat, in, {{"axis", int64_t{c.options.scalar<int32_t>(0)}}});
  return apply_clamp(c, y, c.options.scalar<Activation>(1));
}

Result<ValueId> shape_of(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  const Shape shape = c.type(x).shape;
  if (!shape.is_static()) return unsupported("the shape of a tensor with open sizes");
  EW_TRY(const ir::TensorType type, c.declared(0));
  return c.b.constant(ir::Tensor::from(shape.dims(), Shape{shape.rank()}).cast(type.dtype));
}

Result<ValueId> rank(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  return c.b.constant(ir::Tensor::from(std::vector<int32_t>{c.type(x).shape.rank()}, Shape{}));
}

/// The pads [rank, 2] of PAD and its kin as begins, then ends.
Result<Ints> pads_of(const OpContext& c, ValueId x) {
  EW_TRY(const Ints table, c.ints(1));
  const auto rank = static_cast<size_t>(c.type(x).shape.rank());
  if (table.size() != 2 * rank) {
    return invalid_data("pads of ", table.size(), " elements for rank ", rank);
  }
  Ints pads(2 * rank);
  for (size_t d = 0; d < rank; ++d) {
    pads[d] = table[2 * d];
    pads[rank + d] = table[2 * d + 1];
  }
  return pads;
}

Result<ValueId> pad(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(Ints pads, pads_of(c, x));
  return c.b.add(ops::kPad, {x}, {{"pads", std::move(pads)}});
}

Result<ValueId> pad_v2(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(Ints pads, pads_of(c, x));
  const ir::Tensor* fill = c.constant(2);
  if (fill == nullptr || fill->size() != 1) return unsupported("a border that is no constant");
  double value = fill->cast(DType::kF64).values<double>()[0];
  if (const auto& q = fill->type().quant) {
    value = (value - q->zero_points[0]) * static_cast<double>(q->scales[0]);
  }
  return c.b.add(ops::kPad, {x}, {{"pads", std::move(pads)}, {"value", value}});
}

/// x with its own values mirrored at both ends of one dimension.
Result<ValueId> mirror(const OpContext& c, ValueId x, int d, int64_t begin, int64_t end,
                       int64_t edge) {
  const ir::TensorType type = c.type(x);
  const int64_t size = type.shape[d];
  if (begin < 0 || end < 0 || std::max(begin, end) + edge > size) {
    return invalid_data("mirrored pads ", begin, " and ", end, " of a dimension of ", size);
  }
  const auto part = [&](int64_t from, int64_t count) {
    Ints begins(static_cast<size_t>(d) + 1, 0);
    Ints ends(static_cast<size_t>(d) + 1, INT64_MAX);
    Ints strides(static_cast<size_t>(d) + 1, 1);
    begins.back() = from;
    ends.back() = from - count < 0 ? INT64_MIN : from - count;
    strides.back() = -1;
    return c.typed(
        c.b.add(ops::kSlice, {x}, {{"begin", begins}, {"end", ends}, {"strides", strides}}), type);
  };
  std::vector<ValueId> parts;
  if (begin > 0) parts.push_back(part(begin - 1 + edge, begin));
  parts.push_back(x);
  if (end > 0) parts.push_back(part(size - 1 - edge, end));
  if (parts.size() == 1) return x;
  return c.typed(c.b.add(ops::kConcat, parts, {{"axis", int64_t{d}}}), type);
}

Result<ValueId> mirror_pad(const OpContext& c) {
  EW_TRY(ValueId x, c.in(0));
  EW_TRY(const Ints pads, pads_of(c, x));
  const int rank = c.type(x).shape.rank();
  if (!c.type(x).shape.is_static()) return unsupported("mirrored pads of open sizes");
  const int64_t edge = c.options.scalar<int8_t>(0) == 0 ? 1 : 0;  // REFLECT leaves the edge out
  for (int d = 0; d < rank; ++d) {
    const auto i = static_cast<size_t>(d);
    EW_TRY(x, mirror(c, x, d, pads[i], pads[i + static_cast<size_t>(rank)], edge));
  }
  return x;
}

Result<ValueId> pack(const OpContext& c) {
  std::vector<ValueId> in;
  EW_TRY(const ValueId first, c.in(0));
  const int rank = c.type(first).shape.rank() + 1;
  EW_TRY(const int axis, normalize_axis(c.options.scalar<int32_t>(1), rank));
  for (size_t i = 0; i < c.inputs(); ++i) {
    EW_TRY(const ValueId x, c.in(i));
    const ir::TensorType type = c.type(x);
    Ints shape = type.shape.dims();
    if (static_cast<int>(shape.size()) + 1 != rank) return invalid_data("inputs of other ranks");
    shape.insert(shape.begin() + axis, 1);
    EW_TRY(const ValueId apart, to_shape(c, x, std::move(shape)));
    in.push_back(c.typed(apart, type));
  }
  return c.b.add(ops::kConcat, in, {{"axis", int64_t{axis}}});
}

Status expect_sizes(const Ints& shape) {
  const bool fits = std::all_of(shape.begin(), shape.end(), [](int64_t d) { return d >= 1; });
  if (fits) return {};
  return unsupported("the shape ", shape, "; expected sizes of 1 or more");
}

Result<ValueId> broadcast_to(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(Ints shape, c.ints(1));
  EW_TRY_VOID(expect_sizes(shape));
  return c.b.add(ops::kBroadcastTo, {x}, {{"shape", std::move(shape)}});
}

Result<ValueId> fill(const OpContext& c) {
  EW_TRY(Ints shape, c.ints(0));
  EW_TRY(const ValueId value, c.in(1));
  EW_TRY_VOID(expect_sizes(shape));
  return c.b.add(ops::kBroadcastTo, {value}, {{"shape", std::move(shape)}});
}

Result<ValueId> zeros_like(const OpContext& c) {
  EW_TRY(const ir::TensorType type, c.declared(0));
  if (type.quant) return unsupported("of ", type);
  EW_TRY_VOID(expect_sizes(type.shape.dims()));
  const ValueId zero = c.b.constant(ir::Tensor(type.dtype, Shape{}));
  return c.b.add(ops::kBroadcastTo, {zero}, {{"shape", type.shape.dims()}});
}

// Each dimension d becomes (1, d), is broadcast to (n, d) and merged again.
Result<ValueId> tile(const OpContext& c) {
  EW_TRY(ValueId x, c.in(0));
  EW_TRY(const Ints multiples, c.ints(1));
  const ir::TensorType type = c.type(x);
  if (static_cast<int>(multiples.size()) != type.shape.rank() || !type.shape.is_static()) {
    return invalid_data(multiples.size(), " multiples for shape ", type.shape);
  }
  Ints merged = type.shape.dims();
  for (size_t d = 0; d < multiples.size(); ++d) {
    if (multiples[d] < 1 || multiples[d] > kMaxElements) {
      return unsupported("multiples ", multiples, "; expected 1 or more");
    }
    if (multiples[d] == 1) continue;
    Ints apart = merged;
    apart.insert(apart.begin() + static_cast<std::ptrdiff_t>(d), 1);
    EW_TRY(x, to_shape(c, x, apart));
    apart[d] = multiples[d];
    x = c.typed(c.b.add(ops::kBroadcastTo, {c.typed(x, type)}, {{"shape", apart}}), type);
    merged[d] *= multiples[d];
    EW_TRY(x, to_shape(c, x, merged));
    c.typed(x, type);
  }
  return to_shape(c, x, merged);
}

/// reshape, transpose, reshape: how blocks of pixels become channels and back.
Result<ValueId> regroup(const OpContext& c, ValueId x, const Ints& split, const Ints& perm,
                        const Ints& merged) {
  const ir::TensorType type = c.type(x);
  EW_TRY(ValueId y, to_shape(c, x, split));
  c.typed(y, type);
  y = c.typed(c.b.add(ops::kTranspose, {y}, {{"perm", perm}}), type);
  return to_shape(c, y, merged);
}

Result<std::pair<Shape, int64_t>> block_of(const OpContext& c, ValueId x) {
  const Shape shape = c.type(x).shape;
  const int64_t block = c.options.scalar<int32_t>(0);
  if (shape.rank() != 4 || !shape.is_static() || block < 1 || block > 4096) {
    return invalid_data("blocks of ", block, " in a tensor of shape ", shape);
  }
  return std::pair(shape, block);
}

Result<ValueId> space_to_depth(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const auto found, block_of(c, x));
  const auto& [s, k] = found;
  if (s[1] % k != 0 || s[2] % k != 0) return invalid_data("blocks of ", k, " do not divide ", s);
  return regroup(c, x, {s[0], s[1] / k, k, s[2] / k, k, s[3]}, {0, 1, 3, 2, 4, 5},
                 {s[0], s[1] / k, s[2] / k, k * k * s[3]});
}

Result<ValueId> depth_to_space(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const auto found, block_of(c, x));
  const auto& [s, k] = found;
  if (s[3] % (k * k) != 0) return invalid_data("blocks of ", k, " do not divide ", s);
  return regroup(c, x, {s[0], s[1], s[2], k, k, s[3] / (k * k)}, {0, 1, 3, 2, 4, 5},
                 {s[0], s[1] * k, s[2] * k, s[3] / (k * k)});
}

struct Blocks {
  Ints size;
  Ints edges;  ///< begin and end per blocked dimension
};
Result<Blocks> blocks_nd(const OpContext& c, const Shape& shape) {
  Blocks blocks;
  EW_TRY(blocks.size, c.ints(1));
  EW_TRY(blocks.edges, c.ints(2));
  const size_t n = blocks.size.size();
  const bool fits = n >= 1 && n <= 2 && blocks.edges.size() == 2 * n &&
                    shape.rank() == static_cast<int>(n) + 2 && shape.is_static() &&
                    std::all_of(blocks.size.begin(), blocks.size.end(),
                                [](int64_t b) { return b >= 1 && b <= 4096; }) &&
                    std::all_of(blocks.edges.begin(), blocks.edges.end(),
                                [](int64_t e) { return e >= 0 && e <= kMaxElements; });
  if (!fits) return invalid_data("blocks ", blocks.size, " in a tensor of shape ", shape);
  return blocks;
}

Result<ValueId> space_to_batch_nd(const OpContext& c) {
  EW_TRY(ValueId x, c.in(0));
  const ir::TensorType type = c.type(x);
  EW_TRY(const Blocks blocks, blocks_nd(c, type.shape));
  const size_t n = blocks.size.size();
  Ints pads(2 * (n + 2), 0);
  for (size_t i = 0; i < n; ++i) {
    pads[i + 1] = blocks.edges[2 * i];
    pads[n + 2 + i + 1] = blocks.edges[2 * i + 1];
  }
  // TensorFlow Lite Micro pads with the stored 0, not with the zero point.
  double border = 0;
  if (type.quant && c.b.graph().int8_profile == ir::Int8Profile::kTflm) {
    border = -double{type.quant->scales[0]} * type.quant->zero_points[0];
  }
  x = c.typed(c.b.add(ops::kPad, {x}, {{"pads", pads}, {"value", border}}), type);
  if (!c.b.ok()) return x;
  const Shape s = c.b.shape(x);
  Ints split{s[0]};
  Ints perm;
  Ints merged{s[0]};
  for (size_t i = 0; i < n; ++i) {
    const int64_t length = s[static_cast<int>(i) + 1];
    if (length % blocks.size[i] != 0) return invalid_data("blocks do not divide ", s);
    split.push_back(length / blocks.size[i]);
    split.push_back(blocks.size[i]);
    perm.push_back(static_cast<int64_t>(2 * i + 2));
    merged[0] *= blocks.size[i];
    merged.push_back(length / blocks.size[i]);
  }
  perm.push_back(0);
  for (size_t i = 0; i < n; ++i) perm.push_back(static_cast<int64_t>(2 * i + 1));
  perm.push_back(static_cast<int64_t>(2 * n + 1));
  split.push_back(s[-1]);
  merged.push_back(s[-1]);
  return regroup(c, x, split, perm, merged);
}

Result<ValueId> batch_to_space_nd(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  const ir::TensorType type = c.type(x);
  EW_TRY(const Blocks blocks, blocks_nd(c, type.shape));
  const size_t n = blocks.size.size();
  const Shape& s = type.shape;
  int64_t batch = s[0];
  Ints split(blocks.size);
  for (const int64_t b : blocks.size) {
    if (batch % b != 0) return invalid_data("blocks ", blocks.size, " do not divide the batch");
    batch /= b;
  }
  split.push_back(batch);
  Ints perm{static_cast<int64_t>(n)};
  Ints merged{batch};
  Ints begin{0};
  Ints end{INT64_MAX};
  for (size_t i = 0; i < n; ++i) {
    const int64_t length = s[static_cast<int>(i) + 1];
    split.push_back(length);
    perm.push_back(static_cast<int64_t>(n + 1 + i));
    perm.push_back(static_cast<int64_t>(i));
    merged.push_back(length * blocks.size[i]);
    begin.push_back(blocks.edges[2 * i]);
    end.push_back(std::max<int64_t>(merged.back() - blocks.edges[2 * i + 1], 0));
  }
  split.push_back(s[-1]);
  perm.push_back(static_cast<int64_t>(2 * n + 1));
  merged.push_back(s[-1]);
  EW_TRY(const ValueId y, regroup(c, x, split, perm, merged));
  return c.b.add(ops::kSlice, {c.typed(y, type)}, {{"begin", begin}, {"end", end}});
}

const Lowering kLowerings[] = {
    {BuiltinOperator::kBatchToSpaceNd, one<batch_to_space_nd>},
    {BuiltinOperator::kBroadcastTo, one<broadcast_to>},
    {BuiltinOperator::kConcatenation, one<concatenation>},
    {BuiltinOperator::kDepthToSpace, one<depth_to_space>},
    {BuiltinOperator::kExpandDims, one<expand_dims>},
    {BuiltinOperator::kFill, one<fill>},
    {BuiltinOperator::kMirrorPad, one<mirror_pad>},
    {BuiltinOperator::kPack, one<pack>},
    {BuiltinOperator::kPad, one<pad>},
    {BuiltinOperator::kPadv2, one<pad_v2>},
    {BuiltinOperator::kRange, one<range>},
    {BuiltinOperator::kRank, one<rank>},
    {BuiltinOperator::kReshape, one<reshape>},
    {BuiltinOperator::kShape, one<shape_of>},
    {BuiltinOperator::kSpaceToBatchNd, one<space_to_batch_nd>},
    {BuiltinOperator::kSpaceToDepth, one<space_to_depth>},
    {BuiltinOperator::kSqueeze, one<squeeze>},
    {BuiltinOperator::kTile, one<tile>},
    {BuiltinOperator::kTranspose, one<transpose>},
    {BuiltinOperator::kZerosLike, one<zeros_like>},
};

}  // namespace

std::span<const Lowering> shape_lowerings() { return kLowerings; }

}  // namespace ew::formats::tflite
