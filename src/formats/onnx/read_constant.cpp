// ONNX operators that make tensors from nothing but numbers.
#include <algorithm>
#include <cmath>

#include "formats/onnx/handlers.h"
#include "formats/onnx/tensor_data.h"

namespace ew::formats::onnx {

void read_constant(Call& c) {
  const NodeProto& n = c.node();
  if (n.attributes.size() != 1) {
    c.fail("expected one attribute, found ", n.attributes.size());
    return;
  }
  const AttributeProto* found = c.attribute(n.attributes[0].name);
  if (found == nullptr || found->is_sparse) {
    c.unsupported("a sparse or missing constant");
    return;
  }
  const AttributeProto& a = *found;
  const std::string_view name = n.attributes[0].name;
  Tensor t;
  if (name == "value" && a.tensors.size() == 1) {
    Result<Tensor> read = to_tensor(a.tensors[0], c.m().options().folder);
    if (!read.ok()) {
      c.m().b().fail(at(c.where(), read.error()));
      return;
    }
    t = std::move(*read);
  } else if (name == "value_float") {
    t = Tensor::scalar(a.f);
  } else if (name == "value_floats") {
    t = Tensor::from<float>(a.floats, Shape{static_cast<int64_t>(a.floats.size())});
  } else if (name == "value_int") {
    t = Tensor::from<int64_t>(std::vector<int64_t>{a.i}, Shape{});
  } else if (name == "value_ints") {
    t = Tensor::from<int64_t>(a.ints, Shape{static_cast<int64_t>(a.ints.size())});
  } else {
    c.unsupported("a constant of kind '", name, "'");
    return;
  }
  c.set(0, c.m().b().constant(std::move(t)));
}

void read_constant_of_shape(Call& c) {
  const Shape shape = checked_shape(c, c.sizes(0, "the shape"), "the shape");
  if (!c.ok()) return;
  Tensor value = Tensor::scalar(0);
  if (const AttributeProto* a = c.attribute("value"); a != nullptr && a->tensors.size() == 1) {
    Result<Tensor> read = to_tensor(a->tensors[0], c.m().options().folder);
    if (!read.ok() || read->size() != 1) {
      c.fail("value: expected a tensor of one element");
      return;
    }
    value = read->reshaped(Shape{});
  }
  c.set(0, c.broadcast(c.m().b().constant(std::move(value)), shape));
}

void read_eye_like(Call& c) {
  const ValueId x = c.x();
  if (!c.need_static(x, "the shape")) return;
  const Shape s = c.shape(x);
  DType dtype = c.dtype(x);
  if (c.attribute("dtype") != nullptr) {
    const Result<DType> given = dtype_of(static_cast<int32_t>(c.integer("dtype", 1)));
    if (!given.ok()) {
      c.fail(given.error().message);
      return;
    }
    dtype = *given;
  }
  if (s.rank() != 2) {
    c.fail("expected a matrix, found ", s);
    return;
  }
  const ValueId rows = c.unsqueeze(c.iota(s[0]), {1});
  const ValueId shifted =
      c.add(rows, c.scalar(static_cast<double>(c.integer("k", 0)), DType::kI64));
  c.set(0, c.cast(c.emit(ops::kEqual, {shifted, c.iota(s[1])}), dtype));
}

void read_trilu(Call& c) {
  const ValueId x = c.x();
  const int64_t k = c.has(1) ? static_cast<int64_t>(c.known_number(1, "k")) : 0;
  if (!c.need_static(x, "the shape")) return;
  const Shape s = c.shape(x);
  if (s.rank() < 2) {
    c.fail("expected matrices, found ", s);
    return;
  }
  const ValueId rows =
      c.add(c.unsqueeze(c.iota(s[-2]), {1}), c.scalar(static_cast<double>(k), DType::kI64));
  const bool upper = c.integer("upper", 1) != 0;
  const ValueId keep = c.emit(upper ? ops::kGreaterEqual : ops::kLessEqual, {c.iota(s[-1]), rows});
  c.set(0, c.emit(ops::kWhere, {keep, x, c.scalar_like(0, x)}));
}

void read_range(Call& c) {
  const Tensor start = c.known(0, "start");
  const double from = c.known_number(0, "start");
  const double to = c.known_number(1, "limit");
  const double step = c.known_number(2, "delta");
  if (!c.ok()) return;
  const double count = step == 0 ? 0 : std::max(std::ceil((to - from) / step), 0.0);
  if (!(count <= double{1 << 24})) {
    c.fail("a range of ", count, " elements");
    return;
  }
  const auto n = static_cast<int64_t>(count);
  const DType dtype = start.dtype();
  if (is_floating(dtype)) {
    std::vector<double> values;
    for (int64_t i = 0; i < n; ++i) values.push_back(from + static_cast<double>(i) * step);
    c.set(0, c.m().b().constant(Tensor::from<double>(values, Shape{n}).cast(dtype)));
  } else {
    const auto first = start.cast(DType::kI64).values<int64_t>()[0];
    const Tensor delta = c.known(2, "delta").cast(DType::kI64);
    std::vector<int64_t> values;
    for (int64_t i = 0; i < n; ++i) values.push_back(first + i * delta.values<int64_t>()[0]);
    c.set(0, c.m().b().constant(Tensor::from<int64_t>(values, Shape{n}).cast(dtype)));
  }
}

}  // namespace ew::formats::onnx
