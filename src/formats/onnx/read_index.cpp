// ONNX operators that read or write elements by number.
#include <algorithm>
#include <compare>
#include <numeric>
#include <set>

#include "formats/onnx/handlers.h"

namespace ew::formats::onnx {
namespace {

// x with `axis` first, the others in order.
std::vector<int64_t> axis_first(int rank, int axis) {
  std::vector<int64_t> perm{axis};
  for (int d = 0; d < rank; ++d) {
    if (d != axis) perm.push_back(d);
  }
  return perm;
}

// Row-major places in a tensor of shape `table` of ids that give a number for `axis` and stand at
// their own place in the other dimensions.
ValueId places_along(Call& c, ValueId ids, const Shape& table, int axis) {
  if (!c.ok()) return kNoValue;
  const Shape shape = c.shape(ids);
  if (shape.rank() != table.rank()) {
    return c.fail("indices ", shape, " do not have the rank of ", table);
  }
  const std::vector<int64_t> strides = strides_of(table);
  const ValueId wrapped = c.wrap_ids(ids, table[axis]);
  ValueId sum = c.mul(
      wrapped, c.scalar(static_cast<double>(strides[static_cast<size_t>(axis)]), DType::kI64));
  for (int d = 0; d < shape.rank(); ++d) {
    if (d == axis) continue;
    std::vector<int64_t> along(static_cast<size_t>(shape.rank()), 1);
    along[static_cast<size_t>(d)] = shape[d];
    const ValueId own = c.reshape(c.iota(shape[d]), along);
    sum = c.add(sum, c.mul(own, c.scalar(static_cast<double>(strides[static_cast<size_t>(d)]),
                                         DType::kI64)));
  }
  return sum;
}

// ids [..., K] as row numbers of a table whose first K dimensions (from `first` on) are one.
ValueId flat_rows(Call& c, ValueId ids, const Shape& table, int first, int64_t k) {
  ValueId sum = kNoValue;
  const int last = c.rank(ids) - 1;
  for (int64_t j = 0; j < k && c.ok(); ++j) {
    const int d = first + static_cast<int>(j);
    const ValueId one = c.slice(ids, last, j, j + 1);
    const ValueId wrapped = c.wrap_ids(one, table[d]);
    sum = sum == kNoValue
              ? wrapped
              : c.add(c.mul(sum, c.scalar(static_cast<double>(table[d]), DType::kI64)), wrapped);
  }
  return c.reshape(sum, c.dims(ids, 0, -1));
}

std::string reduction(Call& c) {
  const std::string given = c.text("reduction", "none");
  return given == "none" ? "set" : given;
}

// A table of places f * step + i is what cutting a signal into all its frames looks like in a file;
// kNoValue for any other.
ValueId overlapping_frames(Call& c, ValueId x, ValueId ids, int axis) {
  const Tensor* table = c.m().constant(ids);
  if (table == nullptr || table->shape().rank() != 2 || table->size() == 0) return kNoValue;
  const int64_t frames = table->shape()[0];
  const int64_t length = table->shape()[1];
  const Tensor wide = table->cast(DType::kI64);
  const auto places = wide.values<int64_t>();
  const int64_t step = frames > 1 ? places[static_cast<size_t>(length)] : length;
  const int64_t size = c.shape(x)[axis];
  if (step < 1 || length > size || (size - length) / step + 1 != frames) return kNoValue;
  for (int64_t f = 0; f < frames; ++f) {
    for (int64_t i = 0; i < length; ++i) {
      if (places[static_cast<size_t>(f * length + i)] != f * step + i) return kNoValue;
    }
  }
  return c.emit(ops::kFrame, {x}, {{"axis", int64_t{axis}}, {"length", length}, {"step", step}});
}

}  // namespace

void read_gather(Call& c) {
  const ValPtr table = c.val(0);
  if (!c.ok()) return;
  if (table->has_dims) {
    const std::vector<int64_t> ids = c.known_ints(1, "the indices");
    if (!c.ok()) return;
    auto out = std::make_shared<Val>();
    bool is_open = false;
    for (const int64_t id : ids) {
      const auto n = static_cast<int64_t>(table->dims.size());
      const int64_t at = id < 0 ? id + n : id;
      if (at < 0 || at >= n) {
        c.fail("index ", id, " out of range");
        return;
      }
      out->dims.push_back(table->dims[static_cast<size_t>(at)]);
      is_open = is_open || out->dims.back() < -1;
    }
    out->has_dims = true;
    if (!is_open) {
      const ValueId ids_id = c.x(1);
      out->form[kPlain] = c.reshape(c.ints_constant(out->dims), c.shape(ids_id).dims());
      out->has_dims = false;
    }
    return c.set(0, out);
  }
  const ValueId x = c.x(0);
  const ValueId ids = c.x(1);
  if (!c.ok()) return;
  const int axis = c.axis_of(c.integer("axis", 0), x);
  if (!c.ok()) return;
  const int64_t size = c.shape(x)[axis];
  if (size == kUnknown) {
    c.need_static(x, "the gathered axis");
    return;
  }
  if (const ValueId frames = overlapping_frames(c, x, ids, axis); frames != kNoValue) {
    return c.set(0, frames);
  }
  const int ids_rank = c.rank(ids);
  const int rank = c.rank(x);
  const ValueId rows =
      c.emit(ops::kGather, {c.transpose(x, axis_first(rank, axis)), c.wrap_ids(ids, size)});
  // [ids..., before..., after...] to [before..., ids..., after...]
  std::vector<int64_t> perm;
  for (int d = 0; d < axis; ++d) perm.push_back(ids_rank + d);
  for (int d = 0; d < ids_rank; ++d) perm.push_back(d);
  for (int d = axis; d < rank - 1; ++d) perm.push_back(ids_rank + d);
  c.set(0, c.transpose(rows, perm));
}

void read_gather_elements(Call& c) {
  const ValueId x = c.x(0);
  const ValueId ids = c.x(1);
  if (!c.need_static(x, "the shape") || !c.need_static(ids, "the shape")) return;
  const int axis = c.axis_of(c.integer("axis", 0), x);
  const ValueId places = places_along(c, ids, c.shape(x), axis);
  c.set(0, c.emit(ops::kGather, {c.reshape(x, {c.shape(x).num_elements()}), places}));
}

void read_gather_nd(Call& c) {
  const ValueId x = c.x(0);
  const ValueId ids = c.x(1);
  if (!c.need_static(x, "the shape") || !c.need_static(ids, "the shape")) return;
  const Shape table = c.shape(x);
  const Shape shape = c.shape(ids);
  const auto batch = static_cast<int>(c.integer("batch_dims", 0));
  const int64_t k = shape.rank() > 0 ? shape[-1] : 0;
  if (batch < 0 || batch >= shape.rank() || k < 1 || batch + k > table.rank()) {
    c.fail("indices ", shape, " do not fit ", table, " with ", batch, " batch dimensions");
    return;
  }
  ValueId rows = flat_rows(c, ids, table, batch, k);
  const int64_t batches = table.product(0, batch);
  const int64_t per_batch = table.product(batch, batch + static_cast<int>(k));
  if (batch > 0) {
    std::vector<int64_t> own(shape.begin(), shape.begin() + batch);
    own.resize(static_cast<size_t>(shape.rank() - 1), 1);
    const ValueId first =
        c.mul(c.iota(batches), c.scalar(static_cast<double>(per_batch), DType::kI64));
    rows = c.add(rows, c.reshape(first, own));
  }
  std::vector<int64_t> flat{batches * per_batch};
  for (int d = batch + static_cast<int>(k); d < table.rank(); ++d) flat.push_back(table[d]);
  c.set(0, c.emit(ops::kGather, {c.reshape(x, flat), rows}));
}

void read_scatter_elements(Call& c) {
  const ValueId x = c.x(0);
  const ValueId ids = c.x(1);
  const ValueId updates = c.x(2);
  if (!c.need_static(x, "the shape") || !c.need_static(ids, "the shape")) return;
  const int axis = c.axis_of(c.integer("axis", 0), x);
  const ValueId places = places_along(c, ids, c.shape(x), axis);
  const ValueId flat = c.reshape(x, {c.shape(x).num_elements()});
  const ValueId y = c.emit(ops::kScatter, {flat, places, updates}, {{"kind", reduction(c)}});
  c.set(0, c.reshape(y, c.shape(x).dims()));
}

void read_scatter_nd(Call& c) {
  const ValueId x = c.x(0);
  const ValueId ids = c.x(1);
  const ValueId updates = c.x(2);
  if (!c.need_static(x, "the shape") || !c.need_static(ids, "the shape")) return;
  const Shape table = c.shape(x);
  const int64_t k = c.rank(ids) > 0 ? c.shape(ids)[-1] : 0;
  if (k < 1 || k > table.rank()) {
    c.fail("indices ", c.shape(ids), " do not fit ", table);
    return;
  }
  std::vector<int64_t> flat{table.product(0, static_cast<int>(k))};
  for (int d = static_cast<int>(k); d < table.rank(); ++d) flat.push_back(table[d]);
  const ValueId rows = flat_rows(c, ids, table, 0, k);
  const ValueId y =
      c.emit(ops::kScatter, {c.reshape(x, flat), rows, updates}, {{"kind", reduction(c)}});
  c.set(0, c.reshape(y, table.dims()));
}

void read_one_hot(Call& c) {
  const ValueId ids = c.x(0);
  const double depth = c.known_number(1, "depth");
  const ValueId values = c.x(2);
  if (!c.ok()) return;
  if (!(depth >= 1 && depth <= double{1 << 24})) {
    c.fail("depth ", depth, " out of range");
    return;
  }
  const auto n = static_cast<int64_t>(depth);
  const int rank = c.rank(ids) + 1;
  const int64_t given = c.integer("axis", -1);
  const Result<int> axis = normalize_axis(given, rank);
  if (!axis.ok()) {
    c.fail(axis.error().message);
    return;
  }
  std::vector<int64_t> along(static_cast<size_t>(rank), 1);
  along[static_cast<size_t>(*axis)] = n;
  const ValueId numbers = c.reshape(c.iota(n), along);
  const ValueId wrapped = c.unsqueeze(c.wrap_ids(ids, n), {*axis});
  const ValueId hit = c.emit(ops::kEqual, {wrapped, numbers});
  const ValueId off = c.reshape(c.slice(values, 0, 0, 1), {});
  const ValueId on = c.reshape(c.slice(values, 0, 1, 2), {});
  c.set(0, c.emit(ops::kWhere, {hit, on, off}));
}

void read_cumsum(Call& c) {
  const ValueId x = c.x(0);
  const double axis = c.known_number(1, "the axis");
  if (!c.ok()) return;
  c.set(0, c.emit(ops::kCumsum, {x},
                  {{"axis", int64_t{c.axis_of(static_cast<int64_t>(axis), x)}},
                   {"exclusive", c.integer("exclusive", 0) != 0},
                   {"reverse", c.integer("reverse", 0) != 0}}));
}

void read_top_k(Call& c) {
  const ValueId x = c.x(0);
  const int64_t k =
      c.opset() < 10 ? c.integer("k", 1) : static_cast<int64_t>(c.known_number(1, "k"));
  const std::vector<ValueId> y = c.m().emit_multi(
      ops::kTopK, {x},
      {{"axis", c.integer("axis", -1)}, {"k", k}, {"smallest", c.integer("largest", 1) == 0}});
  c.set(0, y[0]);
  if (c.ok()) c.set(1, y[1]);
}

void read_reverse_sequence(Call& c) {
  const ValueId x = c.x(0);
  const ValueId lengths = c.x(1);
  const int time = c.axis_of(c.integer("time_axis", 0), x);
  const int batch = c.axis_of(c.integer("batch_axis", 1), x);
  if (!c.need_static(x, "the shape")) return;
  const Shape s = c.shape(x);
  // Step t of a sequence of length n comes from n - 1 - t, those behind n stay.
  std::vector<int64_t> along_time(static_cast<size_t>(s.rank()), 1);
  std::vector<int64_t> along_batch = along_time;
  along_time[static_cast<size_t>(time)] = s[time];
  along_batch[static_cast<size_t>(batch)] = s[batch];
  const ValueId t = c.reshape(c.iota(s[time]), along_time);
  const ValueId n = c.reshape(c.cast(lengths, DType::kI64), along_batch);
  const ValueId mirrored = c.sub(c.sub(n, c.scalar(1, DType::kI64)), t);
  const ValueId from = c.emit(ops::kWhere, {c.emit(ops::kLess, {t, n}), mirrored, t});
  const ValueId places = places_along(c, c.broadcast(from, s), s, time);
  c.set(0, c.emit(ops::kGather, {c.reshape(x, {s.num_elements()}), places}));
}

// The number of results depends on the data, so the data must be known.

void read_non_zero(Call& c) {
  const Tensor x = c.known(0, "its input");
  if (!c.ok()) return;
  const Tensor hits = x.cast(DType::kBool);
  std::vector<int64_t> places;
  for (int64_t i = 0; i < hits.size(); ++i) {
    if (hits.values<bool>()[static_cast<size_t>(i)]) places.push_back(i);
  }
  const std::vector<int64_t> strides = strides_of(x.shape());
  std::vector<int64_t> out;
  for (size_t d = 0; d < strides.size(); ++d) {
    for (const int64_t p : places) out.push_back(p / strides[d] % x.shape()[static_cast<int>(d)]);
  }
  c.set(0, c.m().b().constant(Tensor::from<int64_t>(
               out, Shape{x.shape().rank(), static_cast<int64_t>(places.size())})));
}

void read_compress(Call& c) {
  ValueId x = c.x(0);
  const Tensor condition = c.known(1, "the condition");
  if (!c.need_static(x, "the shape")) return;
  int axis = 0;
  if (c.attribute("axis") == nullptr) {
    x = c.reshape(x, {c.shape(x).num_elements()});
  } else {
    axis = c.axis_of(c.integer("axis", 0), x);
  }
  if (!c.ok()) return;
  const Tensor keep = condition.cast(DType::kBool);
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < std::min(keep.size(), c.shape(x)[axis]); ++i) {
    if (keep.values<bool>()[static_cast<size_t>(i)]) ids.push_back(i);
  }
  std::vector<int64_t> perm;
  for (int d = 0; d < c.rank(x); ++d) perm.push_back(d == 0 ? axis : d == axis ? 0 : d);
  const ValueId rows = c.emit(ops::kGather, {c.transpose(x, perm), c.ints_constant(ids)});
  c.set(0, c.transpose(rows, perm));
}

void read_unique(Call& c) {
  const Tensor x = c.known(0, "its input");
  if (!c.ok()) return;
  ValueId id = c.m().b().constant(x);
  const bool is_flat = c.attribute("axis") == nullptr;
  const int axis = is_flat ? 0 : c.axis_of(c.integer("axis", 0), id);
  if (!c.ok()) return;
  if (is_flat) id = c.reshape(id, {x.size()});
  std::vector<int64_t> perm;
  for (int d = 0; d < c.rank(id); ++d) perm.push_back(d == 0 ? axis : d == axis ? 0 : d);
  const ValueId rows_id = c.transpose(id, perm);
  const Tensor* rows = c.m().constant(rows_id);
  if (rows == nullptr || rows->shape().rank() == 0) {
    c.unsupported("an input of shape ", x.shape());
    return;
  }
  const Tensor wide = rows->cast(DType::kF64);
  const std::span<const double> v = wide.values<double>();
  const auto n = static_cast<size_t>(wide.shape()[0]);
  const size_t width = n == 0 ? 0 : v.size() / n;
  const auto row = [&](size_t i) { return v.subspan(i * width, width); };
  // A total order even among NaNs, which come last and count as one value.
  const auto compare = [&](size_t a, size_t b) {
    return std::lexicographical_compare_three_way(row(a).begin(), row(a).end(), row(b).begin(),
                                                  row(b).end(), std::weak_order);
  };
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const std::weak_ordering found = compare(a, b);
    return found < 0 || (found == 0 && a < b);
  });
  std::vector<int64_t> first;
  std::vector<int64_t> counts;
  std::vector<int64_t> inverse(n);
  for (size_t i = 0; i < n; ++i) {
    if (i == 0 || compare(order[i - 1], order[i]) < 0) {
      first.push_back(static_cast<int64_t>(order[i]));
      counts.push_back(0);
    }
    ++counts.back();
    inverse[order[i]] = static_cast<int64_t>(first.size()) - 1;
  }
  if (c.integer("sorted", 1) == 0) {  // in order of first appearance
    std::vector<size_t> by_place(first.size());
    std::iota(by_place.begin(), by_place.end(), size_t{0});
    std::sort(by_place.begin(), by_place.end(),
              [&](size_t a, size_t b) { return first[a] < first[b]; });
    std::vector<int64_t> rank(first.size());
    std::vector<int64_t> f;
    std::vector<int64_t> k;
    for (size_t i = 0; i < by_place.size(); ++i) {
      rank[by_place[i]] = static_cast<int64_t>(i);
      f.push_back(first[by_place[i]]);
      k.push_back(counts[by_place[i]]);
    }
    for (int64_t& i : inverse) i = rank[static_cast<size_t>(i)];
    first = f;
    counts = k;
  }
  c.set(0, c.transpose(c.emit(ops::kGather, {rows_id, c.ints_constant(first)}), perm));
  c.set(1, c.ints_constant(first));
  c.set(2, c.ints_constant(inverse));
  c.set(3, c.ints_constant(counts));
}

}  // namespace ew::formats::onnx
