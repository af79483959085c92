#include "formats/tflite/op_context.h"

#include <algorithm>
#include <cmath>

#include "formats/tflite/stored_tensor.h"

namespace ew::formats::tflite {

using ir::QuantParams;
using ir::Tensor;
using ir::TensorType;

namespace {
/// Bytes of tensors that the file does not hold byte for byte.
constexpr size_t kMaxMadeBytes = size_t{1} << 28;
}  // namespace

TensorTable::TensorTable(ir::Builder& b, const Subgraph& graph)
    : b_(b),
      graph_(graph),
      values_(graph.tensors.size(), kNoValue),
      is_set_(graph.tensors.size(), false) {}

const TensorInfo& TensorTable::info(int32_t tensor) const {
  return graph_.tensors[static_cast<size_t>(tensor)];
}

Result<TensorType> TensorTable::type(int32_t tensor) const {
  const TensorInfo& t = info(tensor);
  Result<TensorType> type = tensor_type(t);
  if (!type.ok()) return at(str("tensor '", t.name, "'"), type.error());
  return type;
}

bool TensorTable::is_constant(int32_t tensor) const {
  const ValueId id = values_[static_cast<size_t>(tensor)];
  if (id != kNoValue) return b_.graph().value(id).kind == ir::ValueKind::kConstant;
  const TensorInfo& t = info(tensor);
  return !t.data.empty() || t.is_variable || t.shape.num_elements() == 0;
}

Result<Tensor> TensorTable::stored(int32_t tensor) {
  const ValueId id = values_[static_cast<size_t>(tensor)];
  if (id != kNoValue) return b_.graph().value(id).data;
  Result<Tensor> data = stored_tensor(info(tensor));
  if (!data.ok()) return at(str("tensor '", info(tensor).name, "'"), data.error());
  return data;
}

Result<ValueId> TensorTable::value(int32_t tensor) {
  ValueId& id = values_[static_cast<size_t>(tensor)];
  if (id != kNoValue) return id;
  if (!is_constant(tensor)) {
    return invalid_data("tensor '", info(tensor).name, "' is used before it is computed");
  }
  EW_TRY(Tensor data, stored(tensor));
  if (data.size_bytes() > info(tensor).data.size()) made_bytes_ += data.size_bytes();
  if (made_bytes_ > kMaxMadeBytes) {
    return make_error(ErrorCode::kResourceLimit, "variables and sparse tensors hold more than ",
                      kMaxMadeBytes, " bytes");
  }
  id = b_.constant(std::move(data), info(tensor).name);
  return id;
}

void TensorTable::set_value(int32_t tensor, ValueId value) {
  values_[static_cast<size_t>(tensor)] = value;
  is_set_[static_cast<size_t>(tensor)] = true;
}

void TensorTable::clear_set() {
  for (size_t i = 0; i < values_.size(); ++i) {
    if (is_set_[i]) values_[i] = kNoValue;
  }
  std::erase_if(weights_,
                [&](const auto& w) { return is_set_[static_cast<size_t>(w.first.first)]; });
  is_set_.assign(is_set_.size(), false);
}

ValueId& TensorTable::shared_weight(int32_t tensor, const std::string& form) {
  return weights_.try_emplace({tensor, form}, kNoValue).first->second;
}

Result<ValueId> OpContext::in(size_t i) const {
  if (!has_input(i)) return invalid_data("input ", i, " is missing");
  return tensors_.value(op_.inputs[i]);
}

Result<ValueId> OpContext::optional(size_t i) const {
  if (!has_input(i)) return kNoValue;
  return tensors_.value(op_.inputs[i]);
}

const Tensor* OpContext::constant(size_t i) const {
  if (!has_input(i) || !tensors_.is_constant(op_.inputs[i])) return nullptr;
  const Result<ValueId> id = tensors_.value(op_.inputs[i]);
  return id.ok() && b.ok() ? &b.graph().value(*id).data : nullptr;
}

Result<std::vector<int64_t>> OpContext::ints(size_t i) const {
  EW_TRY([[maybe_unused]] const ValueId id, in(i));
  const Tensor* tensor = constant(i);
  if (tensor == nullptr) {
    return unsupported("input ", i, " is computed at run time; expected a constant");
  }
  if (is_floating(tensor->dtype()) || tensor->dtype() == DType::kBool) {
    return invalid_data("input ", i, " holds ", tensor->dtype(), ", expected integers");
  }
  const Tensor wide = tensor->cast(DType::kI64);
  const std::span<const int64_t> values = wide.values<int64_t>();
  return std::vector<int64_t>(values.begin(), values.end());
}

namespace {

/// The constant with its dimensions permuted and reshaped, its scales on `axis`.
Result<Tensor> to_form(Tensor data, const OpContext::WeightForm& form) {
  const std::shared_ptr<const QuantParams> quant = data.type().quant;
  if (!form.perm.empty()) {
    const ir::Attrs attrs{{"perm", form.perm}};
    const TensorType* type = &data.type();
    EW_TRY(std::vector<TensorType> types, ops::kTranspose.infer({&type, 1}, attrs));
    Tensor moved(types[0]);
    const ir::ConstTensorView from(data);
    const ir::TensorView to(moved);
    ops::kTranspose.reference({&from, 1}, {&to, 1}, attrs);
    data = std::move(moved);
  }
  if (!form.shape.empty()) {
    const Shape shape(form.shape);
    if (shape.num_elements() != data.size()) {
      return invalid_data("weights of shape ", data.shape(), " do not fit ", shape);
    }
    data = data.reshaped(shape);
  }
  if (!quant) return data;
  QuantParams q = *quant;
  q.axis = q.scales.size() > 1 ? form.axis : -1;
  data.set_quant(std::make_shared<const QuantParams>(std::move(q)));
  return data;
}

}  // namespace

Result<ValueId> OpContext::weight(size_t i, const WeightForm& form) const {
  EW_TRY(const ValueId id, in(i));
  if (!b.ok()) return kNoValue;
  if (b.graph().value(id).kind != ir::ValueKind::kConstant) {
    if (!form.shape.empty()) {
      return unsupported("input ", i, " is computed at run time; expected constant weights");
    }
    if (form.perm.empty()) return id;
    const std::shared_ptr<const QuantParams> quant = b.type(id).quant;
    const ValueId moved = b.add(ops::kTranspose, {id}, {{"perm", form.perm}});
    if (b.ok()) b.graph().value(moved).type.quant = quant;
    return moved;
  }
  const int32_t tensor = op_.inputs[i];
  ValueId& known = tensors_.shared_weight(tensor, str(form.perm, form.shape, form.axis));
  if (known != kNoValue) return known;
  EW_TRY(Tensor data, to_form(b.graph().value(id).data, form));
  const std::string& name = tensors_.info(tensor).name;
  if (data.type().quant || data.dtype() != DType::kF32) {
    known = b.constant(std::move(data), name);
  } else {
    known = parameter(form.name, tensor, std::move(data));
  }
  return known;
}

ValueId OpContext::parameter(const std::string& name, int32_t tensor, Tensor data) const {
  ir::ParameterInfo info;
  const size_t colon = b.origin().find(':');
  info.layer = colon == std::string::npos ? b.origin() : b.origin().substr(colon + 1);
  info.name = name;
  return b.parameter(tensors_.info(tensor).name, std::move(data), std::move(info));
}

Result<ValueId> OpContext::real_or_imaginary(int64_t which) const {
  EW_TRY(const ValueId x, in(0));
  std::vector<int64_t> shape = type(x).shape.dims();
  std::vector<int64_t> begin(shape.size(), 0);
  std::vector<int64_t> end(shape.size(), INT64_MAX);
  begin.back() = which;
  end.back() = which + 1;
  shape.pop_back();
  const ValueId part = b.add(ops::kSlice, {x}, {{"begin", begin}, {"end", end}});
  return b.add(ops::kReshape, {part}, {{"shape", std::move(shape)}});
}

ValueId OpContext::typed(ValueId id, const TensorType& type) const {
  if (!b.ok() || id == kNoValue) return id;
  b.graph().value(id).type.quant = type.quant;
  if (type.quant) b.graph().value(id).type.dtype = type.dtype;
  return id;
}

Result<std::pair<double, double>> clamp_of(Activation activation) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  switch (activation) {
    case Activation::kNone:
      return std::pair(-kInfinity, kInfinity);
    case Activation::kRelu:
      return std::pair(0.0, kInfinity);
    case Activation::kReluN1To1:
      return std::pair(-1.0, 1.0);
    case Activation::kRelu6:
      return std::pair(0.0, 6.0);
    default:
      return unsupported("fused activation ", static_cast<int>(activation),
                         "; expected none, RELU, RELU_N1_TO_1 or RELU6");
  }
}

Status set_clamp(ir::Attrs& attrs, Activation activation) {
  EW_TRY(const auto bounds, clamp_of(activation));
  attrs.set("clamp_min", bounds.first);
  attrs.set("clamp_max", bounds.second);
  return {};
}

Result<ValueId> apply_clamp(const OpContext& c, ValueId y, Activation activation) {
  EW_TRY(const auto bounds, clamp_of(activation));
  if (activation == Activation::kNone) return y;
  EW_TRY(const TensorType type, c.declared(0));
  c.typed(y, type);
  if (activation == Activation::kRelu) return c.b.add(ops::kRelu, {y});
  return c.b.add(ops::kClip, {y}, {{"alpha", bounds.first}, {"beta", bounds.second}});
}

}  // namespace ew::formats::tflite
