#include "formats/tflite/emit.h"

#include <algorithm>
#include <cmath>

#include "formats/half_weights.h"
#include "ops/hybrid.h"
#include "ops/int8.h"

namespace ew::formats::tflite {

using ir::QuantParams;
using ir::Tensor;
using ir::TensorType;

std::vector<int32_t> EmitContext::all_in() const {
  std::vector<int32_t> tensors;
  for (size_t i = 0; i < node.inputs.size(); ++i) tensors.push_back(in(i));
  return tensors;
}

std::string EmitContext::name(const char* suffix) const {
  const std::string& y = file.graph().value(node.outputs[0]).name;
  return str(y.empty() ? node.origin : y, "/", suffix);
}

const Tensor* EmitContext::constant(size_t i) const {
  if (!has_input(i)) return nullptr;
  const ir::Value& value = file.graph().value(node.inputs[i]);
  const bool is_fixed =
      value.kind == ir::ValueKind::kConstant || value.kind == ir::ValueKind::kParameter;
  return is_fixed ? &value.data : nullptr;
}

// Runtimes have dense layers with a real input and weights of four bits.
static bool is_four_bits(const EmitContext& c, size_t i, const Tensor& w) {
  constexpr int64_t kLeast = 4096;
  if (i != 1 || c.node.op != &ops::kDense || c.in_type(0).quant || w.dtype() != DType::kI8 ||
      w.size() < kLeast) {
    return false;
  }
  const auto values = w.values<int8_t>();
  return std::all_of(values.begin(), values.end(), [](int8_t v) { return v >= -8 && v <= 7; });
}

Result<int32_t> EmitContext::weight(size_t i, const std::vector<int64_t>& perm,
                                    const std::vector<int64_t>& shape, int axis) const {
  const Tensor* data = constant(i);
  if (data == nullptr) return unsupported("weights that are computed at run time");
  if (data->type().quant && ops::scale_group(data->type()) > 0) {
    return unsupported("scales for groups of inputs; write .onnx, or one scale per output");
  }
  Tensor moved = *data;
  if (!perm.empty()) {
    const ir::Attrs attrs{{"perm", perm}};
    const TensorType* type = &data->type();
    EW_TRY(std::vector<TensorType> types, ops::kTranspose.infer({&type, 1}, attrs));
    moved = Tensor(types[0]);
    const ir::ConstTensorView from(*data);
    const ir::TensorView to(moved);
    ops::kTranspose.reference({&from, 1}, {&to, 1}, attrs);
  }
  if (!shape.empty()) moved = moved.reshaped(Shape(shape));
  if (data->type().quant) {
    QuantParams q = *data->type().quant;
    q.axis = q.scales.size() > 1 ? axis : -1;
    moved.set_quant(std::make_shared<const QuantParams>(std::move(q)));
  }
  const std::string& own = file.graph().value(node.inputs[i]).name;
  if (is_four_bits(*this, i, moved)) return file.nibbles(moved, own);
  if (!is_shortened(moved, file.weights())) return file.constant(moved, own);
  EW_TRY(const Tensor half, shorten(moved, file.weights(), own));
  return step(BuiltinOperator::kDequantize, {file.constant(half, own)}, moved.type(),
              str("weights_", i).c_str());
}

int32_t EmitContext::step(BuiltinOperator code, const std::vector<int32_t>& inputs,
                          const TensorType& type, const char* suffix) const {
  const int32_t y = file.temporary(type, name(suffix));
  file.add(code, inputs, {y});
  return y;
}

EmitFn find_emitter(const ir::OpDef& op) {
  for (const auto table :
       {window_emitters, elementwise_emitters, shape_emitters, recurrent_emitters}) {
    for (const Emitter& emitter : table()) {
      if (emitter.op == &op) return emitter.emit;
    }
  }
  return nullptr;
}

FusedActivation fused_activation(const ir::Attrs& attrs) {
  if (!ops::int8::has_clamp(attrs)) return {};
  const double min = attrs.number("clamp_min");
  const double max = attrs.number("clamp_max");
  if (min == 0 && std::isinf(max)) return {Activation::kRelu, true};
  if (min == 0 && max == 6) return {Activation::kRelu6, true};
  if (min == -1 && max == 1) return {Activation::kReluN1To1, true};
  return {Activation::kNone, false};
}

namespace {

/// A bound as a constant that MAXIMUM and MINIMUM take beside a tensor of `type`.
int32_t bound(const EmitContext& c, const TensorType& type, double value, bool is_lower) {
  if (!type.quant) return c.file.number(static_cast<float>(value), c.name("bound"));
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const ops::int8::Range range =
      ops::int8::quantized_range(is_lower ? value : -kInfinity, is_lower ? kInfinity : value, type);
  Tensor stored(TensorType{type.dtype, Shape{}, type.quant});
  stored.mutable_values<int8_t>()[0] = static_cast<int8_t>(is_lower ? range.min : range.max);
  return c.file.constant(stored, c.name("bound"));
}

}  // namespace

Status emit_clamp(const EmitContext& c, int32_t x, const TensorType& type, double lower,
                  double upper, int32_t y) {
  if (type.quant && type.dtype != DType::kI8) return unsupported("a clamp of ", type);
  const bool has_lower = std::isfinite(lower);
  const bool has_upper = std::isfinite(upper);
  if (has_lower) {
    const int32_t target = has_upper ? c.file.temporary(type, c.name("max")) : y;
    c.file.add(BuiltinOperator::kMaximum, {x, bound(c, type, lower, true)}, {target}, 39);
    x = target;
  }
  if (has_upper) c.file.add(BuiltinOperator::kMinimum, {x, bound(c, type, upper, false)}, {y}, 39);
  if (!has_lower && !has_upper) {
    c.file.add(BuiltinOperator::kReshape, {x, c.file.ints(type.shape.dims(), c.name("shape"))},
               {y});
  }
  return {};
}

}  // namespace ew::formats::tflite
