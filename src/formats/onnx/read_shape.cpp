// ONNX operators that make constants, change shapes or say what shapes are.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "formats/onnx/handlers.h"
#include "formats/onnx/int8_forms.h"
#include "formats/onnx/tensor_data.h"

namespace ew::formats::onnx {
namespace {

// A vector of sizes as a value: a constant where all are known.
ValPtr sizes_value(Call& c, std::vector<int64_t> sizes) {
  auto value = std::make_shared<Val>();
  const bool is_known = std::none_of(sizes.begin(), sizes.end(), [](int64_t d) { return d < -1; });
  if (is_known) {
    value->form[kPlain] = c.ints_constant(sizes);
  } else {
    value->has_dims = true;
    value->dims = std::move(sizes);
  }
  return value;
}

bool is_static_sizes(const std::vector<int64_t>& sizes) {
  return std::none_of(sizes.begin(), sizes.end(), [](int64_t d) { return d < 0; });
}

// The output, and its int8 form where the input has one.
void set_reshaped(Call& c, const ValPtr& value, ValueId x, const std::vector<int64_t>& target) {
  auto out = std::make_shared<Val>();
  out->form[kPlain] = c.reshape(x, target);
  if (c.ok() && has_int8(*value)) {
    const ValueId from = c.m().int8_form(*value, kPlain);
    const bool is_same = out->form[kPlain] == x;
    out->int8 = std::make_shared<Int8Form>();
    out->int8->params = value->int8->params;
    out->int8->id[kPlain] =
        is_same ? from
                : c.m().typed_int8(c.m().b().add(ops::kReshape, {from}, {{"shape", target}}),
                                   value->int8->params);
  }
  c.set(0, out);
}

}  // namespace

Shape checked_shape(Call& c, const std::vector<int64_t>& sizes, const char* what) {
  Shape shape(sizes);
  if (!c.ok()) return {};
  for (const int64_t d : sizes) {
    if (d < -1) {
      Val open;
      open.has_dims = true;
      c.m().require(open, str(c.where(), ": ", what));
      return {};
    }
  }
  if (Status fits = check_shape(shape); !fits.ok()) {
    c.m().b().fail(at(c.where(), fits.error()));
    return {};
  }
  return shape;
}

std::vector<int64_t> reshape_target(Call& c, ValueId x, std::vector<int64_t> sizes) {
  if (!c.ok()) return sizes;
  const Shape from = c.shape(x);
  // An open size at the place of the input's own is copied, one other is inferred.
  int64_t open = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] >= -1) continue;
    const bool same_place =
        static_cast<int>(i) < from.rank() && from[static_cast<int>(i)] == kUnknown;
    const bool is_inferred = std::count(sizes.begin(), sizes.end(), -1) > 0;
    if (is_inferred && same_place) {
      sizes[i] = 0;
    } else if (++open == 1) {
      sizes[i] = -1;
    } else {
      Val unknown;
      unknown.has_dims = true;
      c.m().require(unknown, str(c.where(), ": the target shape"));
      return sizes;
    }
  }
  return sizes;
}

void read_shape(Call& c) {
  const ValPtr value = c.val(0);
  if (!c.ok()) return;
  Shape shape;
  ValueId id = kNoValue;
  if (value->has_dims) {
    shape = Shape{static_cast<int64_t>(value->dims.size())};
  } else {
    id = c.x(0);
    if (!c.ok()) return;
    shape = c.shape(id);
  }
  const int64_t rank = shape.rank();
  const auto bound = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const int64_t start = bound(c.integer("start", 0));
  const int64_t end = bound(c.integer("end", rank));
  std::vector<int64_t> sizes;
  for (int64_t d = start; d < end; ++d) {
    const int64_t size = shape[static_cast<int>(d)];
    sizes.push_back(size == kUnknown ? c.m().symbol(id, static_cast<int>(d)) : size);
  }
  c.set(0, sizes_value(c, std::move(sizes)));
}

void read_size(Call& c) {
  const ValueId x = c.x();
  if (!c.need_static(x, "the size")) return;
  c.set(0, c.m().b().constant(
               Tensor::from<int64_t>(std::vector<int64_t>{c.shape(x).num_elements()}, Shape{})));
}

void read_identity(Call& c) { c.set(0, c.val(0)); }

void read_dropout(Call& c) {
  if (c.has(2)) {
    const Tensor training = c.known(2, "training_mode");
    if (c.ok() && training.size() == 1 && training.cast(DType::kBool).values<bool>()[0]) {
      const double ratio = c.has(1) ? c.known_number(1, "ratio") : 0.5;
      if (ratio != 0) {
        c.unsupported("dropout in training mode");
        return;
      }
    }
  }
  c.set(0, c.val(0));
  if (!c.wants(1)) return;
  const ValueId x = c.x();
  if (!c.need_static(x, "the mask")) return;
  Tensor one(DType::kBool, Shape{});
  one.mutable_values<bool>()[0] = true;
  const ValueId mask = c.broadcast(c.m().b().constant(std::move(one)), c.shape(x));
  c.set(1, c.opset() < 10 ? c.cast(mask, c.dtype(x)) : mask);
}

void read_cast(Call& c) {
  const ValPtr value = c.val(0);
  const Result<DType> to = dtype_of(static_cast<int32_t>(c.integer("to", 0)));
  if (!to.ok() || c.integer("to", 0) >= static_cast<int64_t>(OnnxType::kUint4)) {
    c.unsupported("a cast to element type ", c.integer("to", 0));
    return;
  }
  if (value->has_dims) {
    if (*to == DType::kI64 || *to == DType::kI32) return c.set(0, value);
  }
  c.elementwise(1, [&](const std::vector<ValueId>& in) { return c.cast(in[0], *to); });
}

void read_cast_like(Call& c) {
  const ValueId like = c.x(1);
  if (!c.ok()) return;
  const DType to = c.dtype(like);
  c.elementwise(1, [&](const std::vector<ValueId>& in) { return c.cast(in[0], to); });
}

void read_reshape(Call& c) {
  if (!c.ok()) return;
  std::vector<int64_t> sizes = c.opset() < 5 ? c.ints("shape") : c.sizes(1, "the shape");
  const ValPtr value = c.val(0);
  if (c.ok() && value->has_dims) return c.set(0, value);
  const ValueId x = c.x();
  if (!c.ok()) return;
  const Shape from = c.shape(x);
  const bool allow_zero = c.integer("allowzero", 0) != 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] != 0 || allow_zero) continue;
    if (static_cast<int>(i) >= from.rank()) {
      c.fail("cannot copy dimension ", i, " of ", from);
      return;
    }
    const int64_t own = from[static_cast<int>(i)];
    if (own != kUnknown) sizes[i] = own;
  }
  sizes = reshape_target(c, x, std::move(sizes));
  if (from.is_static()) {
    int64_t known = 1;
    for (const int64_t d : sizes)
      known *= d > 0 && d <= kMaxElements && known <= kMaxElements ? d : 1;
    for (int64_t& d : sizes) {
      if (d == -1 && known > 0 && from.num_elements() % known == 0) d = from.num_elements() / known;
    }
  }
  set_reshaped(c, value, x, sizes);
}

void read_flatten(Call& c) {
  const ValueId x = c.x();
  if (!c.ok()) return;
  const Shape shape = c.shape(x);
  const int64_t given = c.integer("axis", 1);
  const int64_t axis = given < 0 ? given + shape.rank() : given;
  if (axis < 0 || axis > shape.rank()) {
    c.fail("axis ", given, " out of range for rank ", shape.rank());
    return;
  }
  std::vector<int64_t> target{1, 1};
  for (int d = 0; d < shape.rank(); ++d) {
    int64_t& side = target[d < axis ? 0 : 1];
    side = side < 0 || shape[d] == kUnknown ? -2 : side * shape[d];
  }
  const bool copies = target[0] == -2 && axis == 1;
  if (copies) target[0] = 0;
  if (target[0] == -2 && target[1] == -2) {
    c.need_static(x, "the shape");
    return;
  }
  for (int64_t& side : target) side = side == -2 ? -1 : side;
  set_reshaped(c, c.val(0), x, target);
}

void read_squeeze(Call& c) {
  const ValPtr value = c.val(0);
  const std::optional<std::vector<int64_t>> axes = c.ints_or_input("axes", 12, 1);
  if (!c.ok()) return;
  if (value->has_dims && value->dims.size() == 1) return c.set(0, value);
  const ValueId x = c.x();
  if (!c.ok()) return;
  const Shape from = c.shape(x);
  std::vector<bool> gone(static_cast<size_t>(from.rank()), false);
  if (axes) {
    for (const int64_t axis : *axes) gone[static_cast<size_t>(c.axis_of(axis, x))] = true;
  } else {
    if (!c.need_static(x, "the shape")) return;
    for (int d = 0; d < from.rank(); ++d) gone[static_cast<size_t>(d)] = from[d] == 1;
  }
  if (!c.ok()) return;
  std::vector<int64_t> target;
  for (int d = 0; d < from.rank(); ++d) {
    if (gone[static_cast<size_t>(d)]) {
      if (from[d] != 1 && from[d] != kUnknown) {
        c.fail("dimension ", d, " of ", from, " is not 1");
        return;
      }
      continue;
    }
    const bool same_place = static_cast<int>(target.size()) == d;
    target.push_back(from[d] != kUnknown ? from[d] : same_place ? 0 : -2);
  }
  set_reshaped(c, value, x, reshape_target(c, x, std::move(target)));
}

void read_unsqueeze(Call& c) {
  const ValPtr value = c.val(0);
  const std::optional<std::vector<int64_t>> axes = c.ints_or_input("axes", 12, 1);
  if (!c.ok()) return;
  if (value->has_dims) return c.set(0, value);
  if (!axes) {
    c.fail("expected axes");
    return;
  }
  c.set(0, c.unsqueeze(c.x(), *axes));
}

namespace {

struct LayoutMoves {
  std::vector<int64_t> to_first{0};
  std::vector<int64_t> to_last{0};
};

LayoutMoves layout_moves(int rank) {
  LayoutMoves moves;
  moves.to_first.push_back(rank - 1);
  for (int d = 1; d < rank - 1; ++d) moves.to_first.push_back(d);
  for (int d = 2; d < rank; ++d) moves.to_last.push_back(d);
  moves.to_last.push_back(1);
  return moves;
}

// A value that exists as int8 moves as int8.
bool transpose_int8(Call& c, Val& value, const std::vector<int64_t>& perm) {
  if (!has_int8(value) || value.int8->make) return false;
  const bool has_last = value.int8->id[kLast] != kNoValue;
  const ValueId any = value.int8->id[has_last ? kLast : kPlain];
  if (any == kNoValue) return false;
  const int rank = c.rank(any);
  if (static_cast<int>(perm.size()) != rank) return false;
  const LayoutMoves moves = layout_moves(rank);
  auto out = std::make_shared<Val>();
  out->int8 = std::make_shared<Int8Form>();
  out->int8->params = value.int8->params;
  if (rank >= 3 && perm == moves.to_last && has_last) {
    out->int8->id[kPlain] = any;
  } else if (rank >= 3 && perm == moves.to_first) {
    out->int8->id[kLast] = c.m().int8_form(value, kPlain);
  } else {
    const ValueId x = c.m().int8_form(value, kPlain);
    out->int8->id[kPlain] =
        c.m().typed_int8(c.m().b().add(ops::kTranspose, {x}, {{"perm", perm}}), out->int8->params);
  }
  c.set(0, out);
  return true;
}

}  // namespace

void read_transpose(Call& c) {
  const ValPtr value = c.val(0);
  if (!c.ok()) return;
  std::vector<int64_t> perm = c.ints("perm");
  if (transpose_int8(c, *value, perm)) return;
  const bool has_last = value->form[kLast] != kNoValue;
  const ValueId any = has_last ? value->form[kLast] : c.x();
  if (!c.ok()) return;
  const int rank = c.rank(any);
  if (perm.empty()) {
    for (int d = rank; d-- > 0;) perm.push_back(d);
  }
  const LayoutMoves moves = layout_moves(rank);
  auto out = std::make_shared<Val>();
  if (rank >= 3 && perm == moves.to_last && has_last) {
    out->form[kPlain] = value->form[kLast];
    return c.set(0, out);
  }
  if (rank >= 3 && perm == moves.to_first) {
    out->form[kLast] = c.x();
    return c.set(0, out);
  }
  const ValueId x = c.x();
  if (static_cast<int>(perm.size()) != rank) {
    c.fail("perm ", perm, " does not fit rank ", rank);
    return;
  }
  c.set(0, c.transpose(x, perm));
}

void read_concat(Call& c) {
  if (read_int8_concat(c)) return;
  std::vector<ValPtr> values;
  bool has_dims = false;
  bool all_last = true;
  for (size_t i = 0; i < c.count() && c.ok(); ++i) {
    values.push_back(c.val(i));
    has_dims = has_dims || values.back()->has_dims;
    all_last = all_last && values.back()->form[kLast] != kNoValue;
  }
  if (!c.ok() || values.empty()) return;
  if (has_dims) {
    std::vector<int64_t> sizes;
    for (size_t i = 0; i < values.size(); ++i) {
      const std::vector<int64_t> part = c.sizes(i, "a shape");
      sizes.insert(sizes.end(), part.begin(), part.end());
    }
    return c.set(0, sizes_value(c, std::move(sizes)));
  }
  int64_t axis = c.integer("axis", 1);
  std::vector<ValueId> parts;
  if (all_last) {
    const int rank = c.rank(values[0]->form[kLast]);
    if (axis < 0) axis += rank;
    const int64_t moved = axis == 0 ? 0 : axis == 1 ? rank - 1 : axis - 1;
    for (const ValPtr& v : values) parts.push_back(v->form[kLast]);
    return c.set(0, c.concat(parts, moved), kLast);
  }
  for (size_t i = 0; i < values.size(); ++i) parts.push_back(c.x(i));
  c.set(0, c.concat(parts, axis));
}

void read_split(Call& c) {
  const ValueId x = c.x();
  const std::optional<std::vector<int64_t>> given = c.ints_or_input("split", 12, 1);
  if (!c.ok()) return;
  const int axis = c.axis_of(c.integer("axis", 0), x);
  if (!c.ok()) return;
  const int64_t size = c.shape(x)[axis];
  if (size == kUnknown) {
    c.need_static(x, "the axis to split");
    return;
  }
  std::vector<int64_t> parts = given.value_or(std::vector<int64_t>());
  if (!given) {
    const auto n = static_cast<int64_t>(c.output_count());
    const int64_t each = (size + n - 1) / std::max<int64_t>(n, 1);
    for (int64_t i = 0; i < n; ++i) parts.push_back(std::clamp<int64_t>(size - i * each, 0, each));
  }
  if (parts.size() != c.output_count() || !is_static_sizes(parts) ||
      std::any_of(parts.begin(), parts.end(), [&](int64_t p) { return p > size; }) ||
      std::accumulate(parts.begin(), parts.end(), int64_t{0}) != size) {
    c.fail("cannot split ", size, " elements into ", parts);
    return;
  }
  int64_t begin = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    c.set(i, c.slice(x, axis, begin, begin + parts[i]));
    begin += parts[i];
  }
}

void read_slice(Call& c) {
  const ValPtr value = c.val(0);
  std::vector<int64_t> starts = c.opset() < 10 ? c.ints("starts") : c.known_ints(1, "starts");
  std::vector<int64_t> ends = c.opset() < 10 ? c.ints("ends") : c.known_ints(2, "ends");
  std::vector<int64_t> axes = c.opset() < 10 ? c.ints("axes")
                              : c.has(3)     ? c.known_ints(3, "axes")
                                             : std::vector<int64_t>();
  std::vector<int64_t> steps =
      c.opset() >= 10 && c.has(4) ? c.known_ints(4, "steps") : std::vector<int64_t>();
  if (!c.ok()) return;
  if (axes.empty()) {
    for (size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  }
  if (steps.empty()) steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() ||
      steps.size() != starts.size()) {
    c.fail("starts, ends, axes and steps differ in length");
    return;
  }
  if (value->has_dims) {
    std::vector<int64_t> picked;
    const auto n = static_cast<int64_t>(value->dims.size());
    if (starts.size() != 1 || steps[0] != 1) {
      c.m().require(*value, c.where());
      return;
    }
    const auto bound = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + n : at, 0, n); };
    for (int64_t i = bound(starts[0]); i < bound(ends[0]); ++i) {
      picked.push_back(value->dims[static_cast<size_t>(i)]);
    }
    return c.set(0, sizes_value(c, std::move(picked)));
  }
  const ValueId x = c.x();
  if (!c.ok()) return;
  const auto rank = static_cast<size_t>(c.rank(x));
  std::vector<int64_t> begin(rank, 0);
  std::vector<int64_t> end(rank, std::numeric_limits<int64_t>::max());
  std::vector<int64_t> stride(rank, 1);
  for (size_t i = 0; i < starts.size(); ++i) {
    const auto axis = static_cast<size_t>(c.axis_of(axes[i], x));
    if (!c.ok()) return;
    const int64_t size = c.shape(x)[static_cast<int>(axis)];
    begin[axis] = starts[i];
    end[axis] = ends[i];
    stride[axis] = steps[i];
    // Backwards, everything before the first element means "through element 0".
    if (steps[i] < 0 && size != kUnknown && ends[i] < -size) {
      end[axis] = std::numeric_limits<int64_t>::min();
    }
    if (steps[i] < 0 && starts[i] == std::numeric_limits<int64_t>::min())
      begin[axis] = -kMaxElements;
  }
  c.set(0, c.emit(ops::kSlice, {x}, {{"begin", begin}, {"end", end}, {"strides", stride}}));
}

void read_expand(Call& c) {
  const ValueId x = c.x();
  const std::vector<int64_t> sizes = c.sizes(1, "the shape");
  const Shape target = checked_shape(c, sizes, "the shape");
  if (!c.ok() || !c.need_static(x, "the shape")) return;
  const Result<Shape> shape = ew::broadcast(c.shape(x), target);
  if (!shape.ok()) {
    c.fail(shape.error().message);
    return;
  }
  c.set(0, c.broadcast(x, *shape));
}

void read_tile(Call& c) {
  ValueId x = c.x();
  const std::vector<int64_t> repeats = c.known_ints(1, "repeats");
  if (!c.ok()) return;
  if (static_cast<int>(repeats.size()) != c.rank(x) || !is_static_sizes(repeats)) {
    c.fail("repeats ", repeats, " do not fit rank ", c.rank(x));
    return;
  }
  if (!c.need_static(x, "the shape")) return;
  // Each dimension d becomes [repeat, d] by broadcasting.
  const Shape from = c.shape(x);
  for (int d = 0; d < from.rank() && c.ok(); ++d) {
    const int64_t r = repeats[static_cast<size_t>(d)];
    if (r == 1) continue;
    Shape now = c.shape(x);
    if (r == 0 || now.num_elements() == 0) {
      now[d] = r * now[d];
      x = c.m().b().constant(Tensor(c.dtype(x), now));
      continue;
    }
    Shape split = now;
    split.dims().insert(split.dims().begin() + d, 1);
    Shape wide = split;
    wide[d] = r;
    now[d] = checked_shape(c, {r}, "repeats").num_elements() * now[d];
    x = c.reshape(c.broadcast(c.reshape(x, split.dims()), wide), now.dims());
  }
  c.set(0, x);
}

}  // namespace ew::formats::onnx
