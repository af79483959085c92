#include "formats/onnx/call.h"

#include <algorithm>
#include <numeric>

#include "formats/onnx/tensor_data.h"

namespace ew::formats::onnx {

std::string Call::where() const {
  const std::string_view name =
      node_.name.empty() && !node_.outputs.empty() ? node_.outputs[0] : node_.name;
  return str(node_.op_type, " '", name, "'");
}

ValPtr Call::val(size_t i) {
  if (has(i)) {
    if (ValPtr value = m_.find(node_.inputs[i])) return value;
    fail("input '", node_.inputs[i], "' is computed nowhere before");
  } else {
    fail("expected at least ", i + 1, " inputs, found ", count());
  }
  return std::make_shared<Val>();
}

ValueId Call::x(size_t i) {
  const ValPtr value = val(i);
  return ok() ? m_.form(*value, kPlain) : kNoValue;
}

ValueId Call::optional_x(size_t i) { return has(i) ? x(i) : kNoValue; }

std::vector<int64_t> Call::dims(ValueId x, int begin, int end) const {
  const Shape all = shape(x);
  const int last = end <= 0 ? all.rank() + end : end;
  if (begin >= last) return {};
  return {all.begin() + begin, all.begin() + last};
}

int Call::axis_of(int64_t axis, ValueId x) {
  const Result<int> result = normalize_axis(axis, rank(x));
  if (result.ok()) return *result;
  m_.b().fail(at(where(), result.error()));
  return 0;
}

Tensor Call::known(size_t i, const char* what) {
  const ValPtr value = val(i);
  if (!ok()) return {};
  if (const Tensor* tensor = m_.constant(*value)) return *tensor;
  m_.require(*value, str(where(), ": ", what));
  return {};
}

std::vector<int64_t> Call::known_ints(size_t i, const char* what) {
  const ValPtr value = val(i);
  if (ok() && value->has_dims &&
      std::none_of(value->dims.begin(), value->dims.end(), [](int64_t d) { return d < -1; })) {
    return value->dims;
  }
  const Tensor tensor = known(i, what);
  if (!ok()) return {};
  const Tensor wide = tensor.cast(DType::kI64);
  return {wide.values<int64_t>().begin(), wide.values<int64_t>().end()};
}

double Call::known_number(size_t i, const char* what) {
  const Tensor tensor = known(i, what);
  if (!ok()) return 0;
  if (tensor.size() != 1) {
    fail(what, ": expected one number, found shape ", tensor.shape());
    return 0;
  }
  const Tensor wide = tensor.cast(DType::kF64);
  return wide.values<double>()[0];
}

std::vector<int64_t> Call::sizes(size_t i, const char* what) {
  const ValPtr value = val(i);
  if (ok() && value->has_dims) return value->dims;
  return known_ints(i, what);
}

bool Call::need_static(ValueId id, const char* what) {
  if (!ok()) return false;
  if (shape(id).is_static()) return true;
  Val open;
  open.has_dims = true;
  m_.require(open, str(where(), ": ", what));
  return false;
}

const AttributeProto* Call::attribute(std::string_view name) const {
  for (const AttributeProto& a : node_.attributes) {
    if (a.name != name) continue;
    if (a.reference.empty()) return &a;
    if (m_.scope().arguments == nullptr) return nullptr;
    const auto it = m_.scope().arguments->find(a.reference);
    return it == m_.scope().arguments->end() ? nullptr : it->second;
  }
  return nullptr;
}

int64_t Call::integer(std::string_view name, int64_t fallback) {
  const AttributeProto* a = attribute(name);
  return a == nullptr ? fallback : a->i;
}

double Call::number(std::string_view name, double fallback) {
  const AttributeProto* a = attribute(name);
  return a == nullptr ? fallback : static_cast<double>(a->f);
}

std::string Call::text(std::string_view name, std::string_view fallback) {
  const AttributeProto* a = attribute(name);
  return std::string(a == nullptr ? fallback : a->s);
}

std::vector<int64_t> Call::ints(std::string_view name) {
  const AttributeProto* a = attribute(name);
  return a == nullptr ? std::vector<int64_t>() : a->ints;
}

std::vector<double> Call::numbers(std::string_view name) {
  const AttributeProto* a = attribute(name);
  return a == nullptr ? std::vector<double>()
                      : std::vector<double>(a->floats.begin(), a->floats.end());
}

std::vector<std::string> Call::texts(std::string_view name) {
  const AttributeProto* a = attribute(name);
  return a == nullptr ? std::vector<std::string>()
                      : std::vector<std::string>(a->strings.begin(), a->strings.end());
}

std::optional<std::vector<int64_t>> Call::ints_or_input(std::string_view name, int64_t last,
                                                        size_t i) {
  if (const AttributeProto* a = attribute(name); a != nullptr && opset_ <= last) return a->ints;
  if (!has(i)) return std::nullopt;
  return known_ints(i, std::string(name).c_str());
}

void Call::set(size_t i, ValueId id, Layout layout) {
  if (!ok() || !wants(i)) return;
  auto value = std::make_shared<Val>();
  value->form[layout] = id;
  m_.define(node_.outputs[i], std::move(value));
}

void Call::set(size_t i, ValPtr value) {
  if (ok() && wants(i)) m_.define(node_.outputs[i], std::move(value));
}

namespace {

// A constant of rank up to `rank`, as a channels-last operand of that rank.
ValueId constant_last(Call& c, ValueId id, int rank) {
  Shape shape = c.shape(id);
  if (shape.num_elements() == 1) return id;
  std::vector<int64_t> target(static_cast<size_t>(rank - shape.rank()), 1);
  target.insert(target.end(), shape.begin(), shape.end());
  std::vector<int64_t> perm{0};
  for (int d = 2; d < rank; ++d) perm.push_back(d);
  perm.push_back(1);
  return c.transpose(c.reshape(id, target), perm);
}

}  // namespace

void Call::elementwise(const OpDef& op, size_t n, Attrs attrs) {
  elementwise(n, [&](const std::vector<ValueId>& in) { return emit(op, in, attrs); });
}

void Call::elementwise(size_t n, const std::function<ValueId(const std::vector<ValueId>&)>& f) {
  std::vector<ValPtr> values;
  int rank_last = -1;
  bool is_last = true;
  for (size_t i = 0; i < n && ok(); ++i) {
    values.push_back(val(i));
    const Val& v = *values.back();
    if (!ok() || v.form[kLast] == kNoValue) continue;
    if (v.form[kPlain] == kNoValue) rank_last = rank(v.form[kLast]);
  }
  for (const ValPtr& v : values) {
    if (!ok()) return;
    if (v->form[kLast] != kNoValue) {
      is_last = is_last && rank(v->form[kLast]) == rank_last;
    } else {
      const Tensor* t = rank_last >= 3 ? m_.constant(*v) : nullptr;
      is_last = is_last && t != nullptr && t->shape().rank() <= rank_last;
    }
  }
  const Layout layout = is_last && rank_last >= 3 ? kLast : kPlain;
  std::vector<ValueId> in;
  for (const ValPtr& v : values) {
    if (layout == kLast && v->form[kLast] == kNoValue) {
      in.push_back(constant_last(*this, m_.form(*v, kPlain), rank_last));
    } else {
      in.push_back(m_.form(*v, layout));
    }
  }
  if (ok()) set(0, f(in), layout);
}

ValueId Call::scalar(double value, DType dtype) {
  return ok() ? m_.b().scalar(value, dtype) : kNoValue;
}

ValueId Call::ints_constant(const std::vector<int64_t>& values) {
  return m_.b().constant(Tensor::from<int64_t>(values, Shape{static_cast<int64_t>(values.size())}));
}

ValueId Call::cast(ValueId x, DType to) {
  if (!ok() || dtype(x) == to) return x;
  return emit(ops::kCast, {x}, {{"to", std::string(dtype_name(to))}});
}

ValueId Call::reshape(ValueId x, std::vector<int64_t> shape) {
  if (!ok() || m_.b().shape(x) == Shape(shape)) return x;
  // The operator reads 0 as "copy"; a true 0 leaves nothing to place, so any form of it will do.
  const Shape from = m_.b().shape(x);
  for (size_t i = 0; i < shape.size(); ++i) {
    const bool copies = static_cast<int>(i) < from.rank() && from[static_cast<int>(i)] == 0;
    if (shape[i] == 0 && !copies && from.is_static() && from.num_elements() == 0) {
      return m_.b().constant(Tensor(dtype(x), Shape(shape)));
    }
  }
  return emit(ops::kReshape, {x}, {{"shape", std::move(shape)}});
}

ValueId Call::transpose(ValueId x, std::vector<int64_t> perm) {
  if (std::is_sorted(perm.begin(), perm.end())) return x;
  return emit(ops::kTranspose, {x}, {{"perm", std::move(perm)}});
}

ValueId Call::unsqueeze(ValueId x, std::vector<int64_t> axes) {
  if (!ok()) return x;
  const Shape from = shape(x);
  const int total = from.rank() + static_cast<int>(axes.size());
  std::vector<bool> is_new(static_cast<size_t>(total), false);
  for (const int64_t axis : axes) {
    const Result<int> at = normalize_axis(axis, total);
    if (!at.ok() || is_new[static_cast<size_t>(*at)]) {
      return fail("axes ", axes, " do not fit rank ", total);
    }
    is_new[static_cast<size_t>(*at)] = true;
  }
  std::vector<int64_t> target;
  int next = 0;
  int open = 0;
  bool needs_copy = false;
  for (size_t i = 0; i < is_new.size(); ++i) {
    const int64_t size = is_new[i] ? 1 : from[next++];
    if (size == kUnknown) {
      needs_copy = needs_copy || open++ > 0;
      const bool same_place = next - 1 == static_cast<int>(i);
      target.push_back(same_place ? 0 : -1);
    } else {
      target.push_back(size);
    }
  }
  if (std::count(target.begin(), target.end(), -1) > 1) {
    need_static(x, "its shape");
    return kNoValue;
  }
  return reshape(x, target);
}

ValueId Call::slice(ValueId x, int axis, int64_t begin, int64_t end, int64_t stride) {
  const auto n = static_cast<size_t>(axis) + 1;
  std::vector<int64_t> begins(n, 0);
  std::vector<int64_t> ends(n, std::numeric_limits<int64_t>::max());
  std::vector<int64_t> strides(n, 1);
  begins[n - 1] = begin;
  ends[n - 1] = end;
  strides[n - 1] = stride;
  return emit(ops::kSlice, {x}, {{"begin", begins}, {"end", ends}, {"strides", strides}});
}

ValueId Call::concat(std::vector<ValueId> parts, int64_t axis) {
  if (parts.size() == 1) return parts[0];
  return emit(ops::kConcat, std::move(parts), {{"axis", axis}});
}

ValueId Call::broadcast(ValueId x, const Shape& target) {
  if (!ok() || shape(x) == target) return x;
  return emit(ops::kBroadcastTo, {x}, {{"shape", target.dims()}});
}

ValueId Call::reduce(const char* kind, ValueId x, std::vector<int64_t> axes, bool keepdims) {
  if (!ok()) return kNoValue;
  if (axes.empty()) {
    for (int d = 0; d < rank(x); ++d) axes.push_back(d);
  }
  for (int64_t& axis : axes) axis = axis_of(axis, x);
  if (axes.empty()) return x;
  const std::string_view name = kind;
  Attrs attrs{{"axes", axes}, {"keepdims", keepdims}};
  if (is_floating(dtype(x))) {
    if (name == "sum") return emit(ops::kReduceSum, {x}, attrs);
    if (name == "mean") return emit(ops::kReduceMean, {x}, attrs);
    if (name == "max") return emit(ops::kReduceMax, {x}, attrs);
  }
  attrs.set("kind", std::string(name));
  return emit(ops::kReduce, {x}, attrs);
}

ValueId Call::logical_not(ValueId x) {
  return emit(ops::kEqual, {x, m_.b().constant(Tensor(DType::kBool, Shape{}))});
}

ValueId Call::wrap_ids(ValueId ids, int64_t size) {
  const ValueId wide = cast(ids, DType::kI64);
  const ValueId zero = scalar(0, DType::kI64);
  const ValueId from_end = add(wide, scalar(static_cast<double>(size), DType::kI64));
  return emit(ops::kWhere, {emit(ops::kLess, {wide, zero}), from_end, wide});
}

ValueId Call::iota(int64_t n) {
  if (!ok()) return kNoValue;
  if (n < 0 || n > (int64_t{1} << 24)) return fail("a count to ", n, " is out of range");
  std::vector<int64_t> values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), int64_t{0});
  return ints_constant(values);
}

}  // namespace ew::formats::onnx
