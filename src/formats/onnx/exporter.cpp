#include "formats/onnx/exporter.h"

#include <algorithm>
#include <numeric>

#include "base/file.h"
#include "formats/half_weights.h"
#include "formats/onnx/tensor_data.h"
#include "formats/onnx/write.h"

namespace ew::formats::onnx {
namespace {

constexpr int64_t kOpset = 17;
constexpr int64_t kIrVersion = 8;
constexpr size_t kMaxBytes = (size_t{1} << 31) - 1;  // of a protocol buffer

std::vector<int64_t> to_first(int rank) {
  std::vector<int64_t> perm{0, rank - 1};
  for (int d = 1; d < rank - 1; ++d) perm.push_back(d);
  return perm;
}

std::vector<int64_t> to_last(int rank) {
  std::vector<int64_t> perm{0};
  for (int d = 2; d < rank; ++d) perm.push_back(d);
  perm.push_back(1);
  return perm;
}

void write_attribute(WireWriter& node, const char* name, const ExportAttr& value) {
  WireWriter a;
  a.text(1, name);
  if (const auto* i = std::get_if<int64_t>(&value)) {
    a.varint(3, *i);
    a.varint(20, 2);
  } else if (const auto* f = std::get_if<double>(&value)) {
    a.real32(2, static_cast<float>(*f));
    a.varint(20, 1);
  } else if (const auto* s = std::get_if<std::string>(&value)) {
    a.text(4, *s);
    a.varint(20, 3);
  } else if (const auto* floats = std::get_if<std::vector<double>>(&value)) {
    for (const double v : *floats) a.real32(7, static_cast<float>(v));
    a.varint(20, 6);
  } else if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) {
    for (const std::string& v : *texts) a.text(9, v);
    a.varint(20, 8);
  } else {
    for (const int64_t v : std::get<std::vector<int64_t>>(value)) a.varint(8, v);
    a.varint(20, 7);
  }
  node.message(5, a);
}

WireWriter value_info(const std::string& name, const ir::TensorType& type, DType dtype) {
  WireWriter shape;
  for (int d = 0; d < type.shape.rank(); ++d) {
    WireWriter dim;
    if (type.shape[d] == kUnknown) {
      dim.text(2, d == 0 ? std::string("batch") : str("length_", d));
    } else {
      dim.varint(1, type.shape[d]);
    }
    shape.message(1, dim);
  }
  WireWriter tensor;
  tensor.varint(1, static_cast<int64_t>(onnx_type(dtype)));
  tensor.message(2, shape);
  WireWriter wrapped;
  wrapped.message(1, tensor);
  WireWriter info;
  info.text(1, name);
  info.message(2, wrapped);
  return info;
}

Tensor permuted(const Tensor& t, const std::vector<int64_t>& perm) {
  Shape shape;
  for (const int64_t d : perm) shape.dims().push_back(t.shape()[static_cast<int>(d)]);
  Tensor out(t.dtype(), shape);
  const ir::ConstTensorView in[] = {t};
  const ir::TensorView view[] = {ir::TensorView(out)};
  ops::kTranspose.reference(std::span(in), std::span(view), ir::Attrs{{"perm", perm}});
  return out;
}

}  // namespace

std::string Exporter::unique(const std::string& hint) {
  std::string name = hint.empty() ? str("value_", names_.size()) : hint;
  for (int i = 1; !names_.insert(name).second; ++i)
    name = str(hint.empty() ? "value" : hint, "_", names_.size() + static_cast<size_t>(i));
  return name;
}

std::vector<std::string> Exporter::add_multi(const char* op, const std::vector<std::string>& inputs,
                                             size_t outputs, const ExportAttrs& attrs) {
  WireWriter node;
  const std::string_view word(op);
  const size_t colon = word.find(':');
  const std::string_view type = word.substr(colon == std::string_view::npos ? 0 : colon + 1);
  size_t used = inputs.size();
  while (used > 0 && inputs[used - 1].empty()) --used;
  for (size_t i = 0; i < used; ++i) node.text(1, inputs[i]);
  std::vector<std::string> names;
  for (size_t i = 0; i < outputs; ++i) {
    names.push_back(unique(str(type, "_", names_.size())));
    node.text(2, names.back());
  }
  node.text(3, names[0]);
  node.text(4, std::string(type));
  if (colon != std::string_view::npos) {
    node.text(7, std::string(word.substr(0, colon)));
    uses_runtime_domain_ = true;
  }
  for (const auto& [key, value] : attrs) write_attribute(node, key, value);
  body_.message(1, node);
  return names;
}

std::string Exporter::add(const char* op, const std::vector<std::string>& inputs,
                          const ExportAttrs& attrs) {
  return add_multi(op, inputs, 1, attrs)[0];
}

std::string Exporter::initializer(const Tensor& tensor, const std::string& hint) {
  const std::string name = unique(hint.empty() ? "constant" : hint);
  WireWriter t;
  for (const int64_t d : tensor.shape()) t.varint(1, d);
  t.varint(2, static_cast<int64_t>(onnx_type(tensor.dtype())));
  t.text(8, name);
  t.bytes(9, {static_cast<const uint8_t*>(tensor.data()), tensor.size_bytes()});
  initializers_.message(5, t);
  if (initializers_.data().size() > kMaxBytes) {
    fail(make_error(ErrorCode::kResourceLimit, "the weights exceed 2 GiB"));
  }
  return name;
}

std::string Exporter::ints(const std::vector<int64_t>& values) {
  return initializer(Tensor::from<int64_t>(values, Shape{static_cast<int64_t>(values.size())}),
                     "sizes");
}

std::string Exporter::number(double value, DType dtype) {
  return initializer(Tensor::from<double>(std::vector<double>{value}, Shape{}).cast(dtype),
                     "number");
}

const Tensor* Exporter::constant(ValueId id) const {
  if (id == kNoValue) return nullptr;
  const ir::Value& value = g_.value(id);
  const bool is_fixed =
      value.kind == ir::ValueKind::kParameter || value.kind == ir::ValueKind::kConstant;
  return is_fixed ? &value.data : nullptr;
}

std::string Exporter::dequantised(const Tensor& stored, const ir::QuantParams& q, int axis,
                                  const std::string& hint) {
  const auto n = static_cast<int64_t>(q.scales.size());
  const Shape shape = n == 1 ? Shape{} : Shape{n};
  Tensor plain(stored.dtype(), stored.shape());
  if (stored.size() > 0) std::memcpy(plain.mutable_data(), stored.data(), stored.size_bytes());
  std::vector<std::string> in{initializer(plain, hint + "_quantized"),
                              initializer(Tensor::from<float>(q.scales, shape), hint + "_scale")};
  const Tensor zeros = Tensor::from<int32_t>(q.zero_points, shape);
  in.push_back(initializer(zeros.cast(stored.dtype()), hint + "_zero_point"));
  ExportAttrs attrs;
  if (n > 1) attrs.emplace_back("axis", int64_t{axis});
  return add("DequantizeLinear", in, attrs);
}

std::string Exporter::quantised_pair(const std::string& real, const ir::QuantParams& q) {
  const std::string scale = initializer(Tensor::scalar(q.scales[0]), real + "_scale");
  const std::string zero = initializer(
      Tensor::from<int32_t>(q.zero_points, Shape{}).cast(DType::kI8), real + "_zero_point");
  const std::string stored = add("QuantizeLinear", {real, scale, zero});
  return add("DequantizeLinear", {stored, scale, zero});
}

std::string Exporter::name(ValueId id) {
  if (id == kNoValue || !ok()) return "";
  if (const auto it = plain_.find(id); it != plain_.end()) return it->second;
  if (const auto it = first_.find(id); it != first_.end()) {
    return plain_[id] = add("Transpose", {it->second}, {{"perm", to_last(type(id).shape.rank())}});
  }
  const Tensor* t = constant(id);
  if (t == nullptr) {
    fail(make_error(ErrorCode::kInternal, "value %", id, " has no name"));
    return "";
  }
  const ir::TensorType& own = type(id);
  return plain_[id] = own.quant ? dequantised(*t, *own.quant, own.quant->axis, g_.value(id).name)
                                : initializer(*t, g_.value(id).name);
}

std::string Exporter::first(ValueId id) {
  if (id == kNoValue || !ok()) return "";
  if (const auto it = first_.find(id); it != first_.end()) return it->second;
  const int rank = type(id).shape.rank();
  if (rank < 3) return name(id);
  const Tensor* t = constant(id);
  if (t != nullptr && !type(id).quant) {
    return first_[id] = initializer(permuted(*t, to_first(rank)), g_.value(id).name);
  }
  const std::string plain = name(id);
  return first_[id] = add("Transpose", {plain}, {{"perm", to_first(rank)}});
}

void Exporter::set(ValueId id, std::string real, bool channels_first) {
  if (!ok()) return;
  if (type(id).quant) real = quantised_pair(real, *type(id).quant);
  (channels_first ? first_ : plain_)[id] = std::move(real);
}

std::string Exporter::kernel(ValueId id, const std::vector<int64_t>& perm, const Shape& shape,
                             int axis) {
  const Tensor* t = constant(id);
  if (t == nullptr) {
    std::string x = name(id);
    if (type(id).shape != shape || !std::is_sorted(perm.begin(), perm.end())) {
      x = add("Reshape", {add("Transpose", {x}, {{"perm", perm}}), ints(shape.dims())});
    }
    return x;
  }
  const ir::TensorType& own = type(id);
  if (t->dtype() == DType::kI8) {
    return dequantised(permuted(*t, perm).reshaped(shape), *own.quant, axis, g_.value(id).name);
  }
  const Tensor moved = permuted(*t, perm).reshaped(shape);
  const std::string& hint = g_.value(id).name;
  if (!is_shortened(moved, weights_)) return initializer(moved, hint);
  const Result<Tensor> half = shorten(moved, weights_, hint);
  if (!half.ok()) {
    fail(half.error());
    return "";
  }
  constexpr int64_t kFloat = 1;  // TensorProto.DataType
  return add("Cast", {initializer(*half, hint)}, {{"to", kFloat}});
}

std::string Exporter::vector(ValueId id) {
  const Tensor* t = constant(id);
  if (t == nullptr || !type(id).quant) return name(id);
  return dequantised(*t, *type(id).quant, 0, g_.value(id).name);
}

void Exporter::write_ports() {
  std::set<std::string> taken;
  for (const ValueId id : g_.inputs) taken.insert(plain_[id]);
  for (size_t i = 0; i < g_.outputs.size(); ++i) {
    const ValueId id = g_.outputs[i];
    std::string wanted = g_.value(id).name.empty() ? str("output_", i) : g_.value(id).name;
    while (!taken.insert(wanted).second || names_.contains(wanted)) wanted += "_out";
    WireWriter node;
    node.text(1, name(id));
    node.text(2, wanted);
    node.text(3, wanted);
    node.text(4, "Identity");
    body_.message(1, node);
    const DType dtype = type(id).quant ? DType::kF32 : type(id).dtype;
    ports_.message(12, value_info(wanted, type(id), dtype));
  }
}

Result<std::string> Exporter::run() {
  for (const ValueId id : g_.inputs) {
    const ir::Value& value = g_.value(id);
    plain_[id] = unique(value.name.empty() ? "input" : value.name);
    ports_.message(11, value_info(plain_[id], value.type, value.type.dtype));
  }
  for (const ir::Node& node : g_.nodes) {
    if (!export_node(*this, node) && ok()) {
      fail(unsupported(node.origin, " (", node.op->name, "): has no ONNX form"));
    }
    if (!ok()) return status_.error();
  }
  write_ports();
  EW_TRY_VOID(status_);
  WireWriter opset;
  opset.text(1, "");
  opset.varint(2, kOpset);
  WireWriter graph_name;
  graph_name.text(2, "edgewise");
  WireWriter model;
  model.varint(1, kIrVersion);
  model.text(2, "edgewise");
  model.text(7, body_.data() + graph_name.data() + initializers_.data() + ports_.data());
  model.message(8, opset);
  if (uses_runtime_domain_) {
    WireWriter runtime;
    runtime.text(1, "com.microsoft");
    runtime.varint(2, 1);
    model.message(8, runtime);
  }
  if (model.data().size() > kMaxBytes) {
    return make_error(ErrorCode::kResourceLimit, "the model exceeds 2 GiB");
  }
  return model.data();
}

Result<std::string> export_graph(const ir::Graph& graph, DType weights) {
  return Exporter(graph, weights).run();
}

Status write_onnx(const ir::Graph& graph, const std::string& path, DType weights) {
  EW_TRY(const std::string bytes, export_graph(graph, weights));
  return write_file_atomic(path, bytes);
}

}  // namespace ew::formats::onnx
