// Operations that rearrange elements, and products.
#include <algorithm>

#include "formats/keras/operation.h"

namespace ew::formats {
namespace {

using ir::Builder;
using Values = std::vector<ValueId>;

Result<Values> reshape(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "tensor"}));
  EW_TRY(std::vector<int64_t> target, call.integers(1, {"newshape", "shape"}, {}));
  Builder& b = call.b();
  if (!b.ok()) return Values{};
  const Shape& from = b.shape(x);
  // Of several open sizes those keep their place that the input has open in the same place: x's
  // own batch, read from its shape.
  if (std::count(target.begin(), target.end(), kUnknown) > 1) {
    for (size_t d = 0; d < target.size() && d < static_cast<size_t>(from.rank()); ++d) {
      if (target[d] == kUnknown && from[static_cast<int>(d)] == kUnknown) target[d] = 0;
      if (std::count(target.begin(), target.end(), kUnknown) <= 1) break;
    }
  }
  return Values{b.add(ops::kReshape, {x}, {{"shape", target}})};
}

Result<Values> permute(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "a"}));
  EW_TRY(std::vector<int64_t> perm, call.integers(1, {"axes", "perm"}, {}));
  const int rank = call.b().shape(x).rank();
  if (perm.empty()) {
    for (int d = rank; d-- > 0;) perm.push_back(d);
  }
  for (int64_t& axis : perm) axis = axis < 0 ? axis + rank : axis;
  return Values{call.b().add(ops::kTranspose, {x}, {{"perm", perm}})};
}

// The order of dimensions with some moved from `source` to `destination`.
Result<Values> move(const OperationCall& call, ValueId x, std::vector<int64_t> source,
                    std::vector<int64_t> destination) {
  const int rank = call.b().shape(x).rank();
  if (source.size() != destination.size()) return invalid_data("axes do not pair up");
  std::vector<int64_t> perm(static_cast<size_t>(rank), -1);
  std::vector<bool> used(static_cast<size_t>(rank), false);
  for (size_t i = 0; i < source.size(); ++i) {
    EW_TRY(const int from, normalize_axis(source[i], rank));
    EW_TRY(const int to, normalize_axis(destination[i], rank));
    perm[static_cast<size_t>(to)] = from;
    used[static_cast<size_t>(from)] = true;
  }
  size_t next = 0;
  for (int64_t& axis : perm) {
    if (axis >= 0) continue;
    while (next < used.size() && used[next]) ++next;
    axis = static_cast<int64_t>(next++);
  }
  return Values{call.b().add(ops::kTranspose, {x}, {{"perm", perm}})};
}

Result<Values> move_axis(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x"}));
  EW_TRY(std::vector<int64_t> source, call.integers(1, {"source"}, {}));
  EW_TRY(std::vector<int64_t> destination, call.integers(2, {"destination"}, {}));
  return move(call, x, std::move(source), std::move(destination));
}

Result<Values> swap_axes(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x"}));
  EW_TRY(const int64_t first, call.integer(1, {"axis1"}, 0));
  EW_TRY(const int64_t second, call.integer(2, {"axis2"}, 0));
  return move(call, x, {first, second}, {second, first});
}

Result<Values> expand(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "input"}));
  EW_TRY(const int64_t axis, call.integer(1, {"axis", "dim"}, 0));
  return Values{expand_dims(call.b(), x, axis)};
}

Result<Values> drop(const OperationCall& call) {
  EW_TRY(ValueId x, call.tensor(0, {"x", "input"}));
  EW_TRY(std::vector<int64_t> axes, call.integers(1, {"axis", "squeeze_dims"}, {}));
  const Shape shape = call.b().shape(x);
  if (axes.empty()) {
    for (int d = 0; d < shape.rank(); ++d) {
      if (shape[d] == 1) axes.push_back(d);
    }
  }
  for (int64_t& axis : axes) axis = axis < 0 ? axis + shape.rank() : axis;
  std::sort(axes.rbegin(), axes.rend());
  for (const int64_t axis : axes) x = squeeze(call.b(), x, axis);
  return Values{x};
}

Result<Values> concatenate(const OperationCall& call) {
  EW_TRY(Values inputs, call.tensors(0, {"xs", "values"}));
  EW_TRY(const int64_t axis, call.integer(1, {"axis"}, 0));
  Builder& b = call.b();
  if (!b.ok()) return Values{};
  DType dtype = b.type(inputs[0]).dtype;
  for (const ValueId x : inputs) dtype = promote(dtype, b.type(x).dtype);
  for (ValueId& x : inputs) x = cast(b, x, dtype);
  return Values{b.add(ops::kConcat, inputs, {{"axis", axis}})};
}

Result<Values> stack_all(const OperationCall& call) {
  EW_TRY(const Values inputs, call.tensors(0, {"x", "values"}));
  EW_TRY(const int64_t axis, call.integer(1, {"axis"}, 0));
  return Values{stack(call.b(), inputs, axis)};
}

Result<Values> tile(const OperationCall& call) {
  EW_TRY(ValueId x, call.tensor(0, {"x", "input"}));
  EW_TRY(std::vector<int64_t> counts, call.integers(1, {"repeats", "multiples"}, {}));
  Builder& b = call.b();
  const auto rank = static_cast<size_t>(b.shape(x).rank());
  while (counts.size() < rank) counts.insert(counts.begin(), 1);
  for (size_t d = rank; d < counts.size(); ++d) x = expand_dims(b, x, 0);
  for (size_t d = 0; d < counts.size() && b.ok(); ++d) {
    x = tile_axis(b, x, static_cast<int>(d), counts[d]);
    if (b.ok() && b.shape(x).is_static()) EW_TRY_VOID(check_shape(b.shape(x)));
  }
  return Values{x};
}

// Each element `count` times in a row: a new dimension, tiled and joined.
Result<Values> repeat(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "input"}));
  EW_TRY(const std::vector<int64_t> counts, call.integers(1, {"repeats"}, {}));
  const Config& given = call.argument(2, {"axis"});
  Builder& b = call.b();
  const Shape shape = b.shape(x);
  if (counts.size() != 1 || !given.is_int()) {
    return unsupported("repeat with several counts or without axis");
  }
  EW_TRY(const int axis, normalize_axis(given.as_int(), shape.rank()));
  if (shape[axis] == kUnknown) return unsupported("repeat along a dimension of unknown size");
  const ValueId tiled = tile_axis(b, expand_dims(b, x, axis + 1), axis + 1, counts[0]);
  std::vector<int64_t> to(static_cast<size_t>(axis), 0);
  to.push_back(shape[axis] * counts[0]);
  for (int d = axis + 1; d < shape.rank(); ++d) to.push_back(shape[d]);
  return Values{b.add(ops::kReshape, {tiled}, {{"shape", to}})};
}

Result<Values> flip(const OperationCall& call) {
  EW_TRY(ValueId x, call.tensor(0, {"x", "tensor"}));
  EW_TRY(std::vector<int64_t> axes, call.integers(1, {"axis"}, {}));
  const int rank = call.b().shape(x).rank();
  if (axes.empty()) {
    for (int d = 0; d < rank; ++d) axes.push_back(d);
  }
  for (const int64_t given : axes) {
    EW_TRY(const int axis, normalize_axis(given, rank));
    x = reverse(call.b(), x, axis);
  }
  return Values{x};
}

Result<Values> broadcast_to(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "input"}));
  EW_TRY(const std::vector<int64_t> shape, call.integers(1, {"shape"}, {}));
  EW_TRY_VOID(check_shape(Shape(shape)));
  return Values{call.b().add(ops::kBroadcastTo, {x}, {{"shape", shape}})};
}

Result<Values> pad(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "tensor"}));
  const Config& widths = call.argument(1, {"pad_width", "paddings"});
  const Config& mode = call.argument(2, {"mode"});
  if (!mode.is_null() && mode.as_string() != "constant" && mode.as_string() != "CONSTANT") {
    return unsupported("padding in mode '", mode.as_string(), "'");
  }
  EW_TRY(const double value, call.number(3, {"constant_values"}, 0));
  std::vector<int64_t> begins;
  std::vector<int64_t> ends;
  for (const Config& width : widths.as_list()) {
    const Config::List& pair = width.as_list();
    if (pair.size() != 2) return invalid_data("expected two paddings per dimension");
    begins.push_back(pair[0].as_int(-1));
    ends.push_back(pair[1].as_int(-1));
  }
  begins.insert(begins.end(), ends.begin(), ends.end());
  return Values{call.b().add(ops::kPad, {x}, {{"pads", begins}, {"value", value}})};
}

Result<Values> split(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "value"}));
  const Config& parts = call.argument(1, {"indices_or_sections", "num_or_size_splits"});
  EW_TRY(const int64_t given, call.integer(2, {"axis"}, 0));
  Builder& b = call.b();
  EW_TRY(const int axis, normalize_axis(given, b.shape(x).rank()));
  const int64_t size = b.shape(x)[axis];
  std::vector<int64_t> ends;
  if (parts.is_int()) {
    const int64_t count = parts.as_int();
    if (size == kUnknown || count < 1 || count > 4096 || size % count != 0) {
      return invalid_data("cannot split ", b.shape(x), " into ", count, " parts");
    }
    for (int64_t i = 1; i <= count; ++i) ends.push_back(i * (size / count));
  } else {
    // Keras 3 gives the places of the cuts, TensorFlow the sizes of the parts.
    EW_TRY(const std::vector<int64_t> list,
           call.integers(1, {"indices_or_sections", "num_or_size_splits"}, {}));
    const bool are_sizes = call.context().generation == ir::KerasGeneration::kKeras2;
    int64_t end = 0;
    for (const int64_t n : list) {
      if (n < 0 || n > kMaxElements) return unsupported("split into a part of size ", n);
      ends.push_back(end = are_sizes ? end + n : n);
    }
    if (!are_sizes) ends.push_back(kSliceEnd);
  }
  Values out;
  int64_t begin = 0;
  for (const int64_t end : ends) {
    out.push_back(slice_axis(b, x, axis, begin, end));
    begin = end;
  }
  return out;
}

Result<Values> unstack(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "value"}));
  EW_TRY(const int64_t given, call.integer(2, {"axis"}, 0));
  Builder& b = call.b();
  EW_TRY(const int axis, normalize_axis(given, b.shape(x).rank()));
  const int64_t size = b.shape(x)[axis];
  if (size == kUnknown || size > 4096) return unsupported("unstack along an axis of size ", size);
  Values out;
  for (int64_t i = 0; i < size; ++i) out.push_back(formats::take(b, x, axis, i));
  return out;
}

Result<Values> matmul(const OperationCall& call) {
  EW_TRY(auto xy, call.operands(0, {"x", "x1", "a"}, {"y", "x2", "b"}));
  EW_TRY(const bool transpose_a, call.flag(2, {"transpose_a"}, false));
  EW_TRY(const bool transpose_b, call.flag(3, {"transpose_b"}, false));
  Builder& b = call.b();
  if (!b.ok()) return Values{};
  const bool is_row = b.shape(xy.first).rank() == 1;
  const bool is_column = b.shape(xy.second).rank() == 1;
  if (is_row) xy.first = expand_dims(b, xy.first, 0);
  if (is_column) xy.second = expand_dims(b, xy.second, 1);
  ValueId y = b.add(ops::kMatmul, {xy.first, xy.second},
                    {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}});
  if (is_column) y = squeeze(b, y, -1);
  if (is_row) y = squeeze(b, y, is_column ? -1 : -2);
  return Values{y};
}

Result<Values> einsum_of(const OperationCall& call) {
  // TensorFlow passes the equation first, Keras 3 keeps it in the configuration.
  const Config& equation = call.context().config["subscripts"];
  const bool is_first = !equation.is_string();
  const std::string& text = (is_first ? call.argument(0, {"equation"}) : equation).as_string();
  std::vector<ValueId> inputs;
  for (const KerasTensor& x : call.context().inputs) inputs.push_back(x.value);
  for (const auto& [name, x] : call.context().keyword_tensors) inputs.push_back(x.value);
  return Values{einsum(call.b(), text, inputs)};
}

const Operation kOperations[] = {
    {"Reshape", "reshape", reshape},
    {"Transpose", "transpose", permute},
    {"Moveaxis", "", move_axis},
    {"Swapaxes", "", swap_axes},
    {"ExpandDims", "expand_dims", expand},
    {"Squeeze", "squeeze", drop},
    {"Concatenate", "concat", concatenate},
    {"Stack", "stack", stack_all},
    {"Tile", "tile", tile},
    {"Repeat", "repeat", repeat},
    {"Flip", "reverse", flip},
    {"BroadcastTo", "broadcast_to", broadcast_to},
    {"Pad", "pad", pad},
    {"Split", "split", split},
    {"Unstack", "unstack", unstack},
    {"Matmul", "linalg.matmul", matmul},
    {"Dot", "", matmul},
    {"Einsum", "einsum", einsum_of},
};

}  // namespace

std::span<const Operation> shape_operations() { return kOperations; }

}  // namespace ew::formats
