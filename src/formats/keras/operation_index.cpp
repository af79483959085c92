// Indexing: x[...], take, one_hot.
#include <numeric>

#include "formats/keras/operation.h"

namespace ew::formats {
namespace {

using ir::Builder;
using Values = std::vector<ValueId>;

/// One entry between the brackets of x[...].
struct Index {
  enum class Kind { kElement, kRange, kNewAxis, kEllipsis };
  Kind kind = Kind::kRange;
  int64_t begin = 0;
  int64_t end = kSliceEnd;
  int64_t stride = 1;
};

// Keras 3 writes {"class_name": "__slice__", "config": {...}}, Keras 2 {"start", "stop", "step"}.
Result<Index> parse_index(const Config& entry) {
  Index index;
  if (entry.is_null()) {
    index.kind = Index::Kind::kNewAxis;
    return index;
  }
  if (entry.is_int()) {
    if (entry.as_int() == INT64_MAX) return invalid_data("an index is too large");
    index.kind = Index::Kind::kElement;
    index.begin = entry.as_int();
    return index;
  }
  const std::string& kind = entry["class_name"].as_string();
  if (kind == "__ellipsis__") {
    index.kind = Index::Kind::kEllipsis;
    return index;
  }
  const Config& range = kind == "__slice__" ? entry["config"] : entry;
  if (!range.is_map() || !(range.has("start") && range.has("stop") && range.has("step"))) {
    return unsupported("an index that is no integer, slice, None or ellipsis");
  }
  for (const char* bound : {"start", "stop", "step"}) {
    if (!range[bound].is_null() && !range[bound].is_int()) {
      return unsupported("a slice whose ", bound, " is computed");
    }
  }
  index.stride = range["step"].as_int(1);
  if (index.stride == 0) return invalid_data("a slice with step 0");
  index.begin = range["start"].as_int(index.stride > 0 ? 0 : -1);
  index.end = range["stop"].as_int(index.stride > 0 ? kSliceEnd : kSliceThroughStart);
  return index;
}

Result<std::vector<Index>> parse_indices(const Config& key) {
  std::vector<Index> indices;
  if (!key.is_list()) {
    EW_TRY(const Index index, parse_index(key));
    indices.push_back(index);
    return indices;
  }
  for (const Config& entry : key.as_list()) {
    EW_TRY(const Index index, parse_index(entry));
    indices.push_back(index);
  }
  return indices;
}

Result<Values> get_item(const OperationCall& call) {
  EW_TRY(ValueId x, call.tensor(0, {"x", "tensor"}));
  EW_TRY(const std::vector<Index> indices, parse_indices(call.argument(1, {"key", "slice_spec"})));
  Builder& b = call.b();
  if (!b.ok()) return Values{};
  const int rank = b.shape(x).rank();
  int consumed = 0;
  for (const Index& index : indices) {
    consumed += index.kind == Index::Kind::kElement || index.kind == Index::Kind::kRange ? 1 : 0;
  }
  if (consumed > rank) return invalid_data("more indices than dimensions in ", b.shape(x));
  std::vector<int64_t> begin;
  std::vector<int64_t> end;
  std::vector<int64_t> strides;
  std::vector<int> dropped;  // dimensions of x, and where new ones go afterwards
  std::vector<int> added;
  int kept = 0;
  for (const Index& index : indices) {
    const int count = index.kind == Index::Kind::kEllipsis ? rank - consumed : 1;
    if (index.kind == Index::Kind::kNewAxis) {
      added.push_back(kept++);
      continue;
    }
    for (int i = 0; i < count; ++i) {
      const bool is_element = index.kind == Index::Kind::kElement;
      begin.push_back(index.begin);
      end.push_back(!is_element ? index.end : (index.begin == -1 ? kSliceEnd : index.begin + 1));
      strides.push_back(index.stride);
      if (is_element)
        dropped.push_back(static_cast<int>(begin.size()) - 1);
      else
        ++kept;
    }
  }
  x = b.add(ops::kSlice, {x}, {{"begin", begin}, {"end", end}, {"strides", strides}});
  for (auto d = dropped.rbegin(); d != dropped.rend(); ++d) x = squeeze(b, x, *d);
  for (const int d : added) x = expand_dims(b, x, d);
  return Values{x};
}

// Rows by number along an axis. Keras counts negative numbers from the end, which only constant
// numbers are checked for.
Result<Values> take(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "params"}));
  EW_TRY(const ValueId ids, call.tensor(1, {"indices"}));
  EW_TRY(const int64_t given, call.integer(2, {"axis"}, 0));
  Builder& b = call.b();
  if (!b.ok()) return Values{};
  const int rank = b.shape(x).rank();
  EW_TRY(const int axis, normalize_axis(given, rank));
  const ir::Value& numbers = b.graph().value(ids);
  if (numbers.kind == ir::ValueKind::kConstant) {
    const ir::Tensor wide = numbers.data.cast(DType::kI64);
    for (const int64_t id : wide.values<int64_t>()) {
      if (id < 0) return unsupported("take with negative indices");
    }
  }
  std::vector<int64_t> perm = {axis};
  for (int d = 0; d < rank; ++d) {
    if (d != axis) perm.push_back(d);
  }
  const int id_rank = b.shape(ids).rank();
  const ValueId rows = b.add(ops::kGather, {transpose(b, x, perm), ids});
  // [ids..., dimensions before, dimensions after] with the ids moved to the axis.
  std::vector<int64_t> back;
  for (int d = 0; d < axis; ++d) back.push_back(id_rank + d);
  for (int d = 0; d < id_rank; ++d) back.push_back(d);
  for (int d = axis; d < rank - 1; ++d) back.push_back(id_rank + d);
  return Values{transpose(b, rows, back)};
}

Result<Values> one_hot(const OperationCall& call) {
  EW_TRY(const ValueId ids, call.tensor(0, {"x", "indices"}));
  EW_TRY(const int64_t classes, call.integer(1, {"num_classes", "depth"}, 0));
  EW_TRY(const int64_t axis, call.integer(2, {"axis"}, -1));
  const Config& wanted = call.argument(3, {"dtype"});
  DType dtype = DType::kF32;
  if (wanted.is_string()) {
    EW_TRY(dtype, parse_dtype(wanted.as_string()));
  }
  if (axis != -1) return unsupported("one_hot along an axis other than the last");
  // The numbers of the classes are a constant, so a few bytes must not ask for many.
  if (classes < 1 || classes > 1 << 20) return invalid_data("one_hot of ", classes, " classes");
  std::vector<int64_t> numbers(static_cast<size_t>(classes));
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  Builder& b = call.b();
  const ValueId range = b.constant(ir::Tensor::from(numbers, {classes}));
  const ValueId expanded = expand_dims(b, cast(b, ids, DType::kI64), -1);
  return Values{cast(b, b.add(ops::kEqual, {expanded, range}), dtype)};
}

// The sizes of x as int32 vector. Reshape reads known ones from its own input instead.
Result<Values> shape_of(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "input"}));
  Builder& b = call.b();
  if (!b.ok()) return Values{};
  const Shape shape = b.shape(x);
  Values sizes;
  for (int d = 0; d < shape.rank(); ++d) {
    if (shape[d] != kUnknown) {
      sizes.push_back(
          b.constant(ir::Tensor::from(std::vector<int64_t>{shape[d]}, {1}).cast(DType::kI32)));
      continue;
    }
    const ValueId places =
        b.add(ops::kIota, {x}, {{"axis", int64_t{d}}, {"dtype", std::string("float64")}});
    const ValueId last = b.add(ops::kReduceMax, {places}, {{"keepdims", true}});
    const ValueId size = b.add(ops::kAdd, {last, b.scalar(1, DType::kF64)});
    sizes.push_back(cast(b, size, DType::kI32));
  }
  if (sizes.empty()) return unsupported("the shape of a scalar");
  return Values{b.add(ops::kConcat, sizes, {{"axis", int64_t{0}}})};
}

const Operation kOperations[] = {
    {"Shape", "shape", shape_of},
    {"GetItem", "__operators__.getitem", get_item},
    {"Take", "gather", take},
    {"OneHot", "one_hot", one_hot},
};

}  // namespace

std::span<const Operation> index_operations() { return kOperations; }

}  // namespace ew::formats
