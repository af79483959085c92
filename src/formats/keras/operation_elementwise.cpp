// Operations on each element: arithmetic, comparisons, functions.
#include "formats/keras/operation.h"

namespace ew::formats {
namespace {

using ir::Builder;
using Values = std::vector<ValueId>;

template <const ir::OpDef& op>
Result<Values> binary(const OperationCall& call) {
  EW_TRY(const auto xy, call.operands(0, {"x", "x1", "a"}, {"y", "x2", "b"}));
  return Values{call.b().add(op, {xy.first, xy.second})};
}

ValueId to_float(Builder& b, ValueId x) {
  return b.ok() && !is_floating(b.type(x).dtype) ? cast(b, x, DType::kF32) : x;
}

Result<Values> divide(const OperationCall& call) {
  EW_TRY(const auto xy, call.operands(0, {"x", "x1", "a"}, {"y", "x2", "b"}));
  Builder& b = call.b();
  return Values{b.add(ops::kDiv, {to_float(b, xy.first), to_float(b, xy.second)})};
}

// floor(x / y), of integers too (exact for those that a float64 holds).
ValueId floor_quotient(Builder& b, ValueId x, ValueId y) {
  if (!b.ok()) return kNoValue;
  const DType dtype = b.type(x).dtype;
  const DType wide = is_floating(dtype) ? dtype : DType::kF64;
  const ValueId quotient = b.add(ops::kDiv, {cast(b, x, wide), cast(b, y, wide)});
  return cast(b, b.add(ops::kFloor, {quotient}), dtype);
}

Result<Values> floor_divide(const OperationCall& call) {
  EW_TRY(const auto xy, call.operands(0, {"x", "x1"}, {"y", "x2"}));
  return Values{floor_quotient(call.b(), xy.first, xy.second)};
}

Result<Values> modulo(const OperationCall& call) {
  EW_TRY(const auto xy, call.operands(0, {"x", "x1"}, {"y", "x2"}));
  Builder& b = call.b();
  const ValueId quotient = floor_quotient(b, xy.first, xy.second);
  return Values{b.add(ops::kSub, {xy.first, b.add(ops::kMul, {quotient, xy.second})})};
}

Result<Values> squared_difference(const OperationCall& call) {
  EW_TRY(const auto xy, call.operands(0, {"x"}, {"y"}));
  const ValueId difference = call.b().add(ops::kSub, {xy.first, xy.second});
  return Values{call.b().add(ops::kSquare, {difference})};
}

template <const ir::OpDef& op>
Result<Values> unary(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "features", "input", "logits"}));
  return Values{call.b().add(op, {to_float(call.b(), x)})};
}

// Functions that keep integers: -x and |x| as max(x, -x).
Result<Values> negative(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x"}));
  Builder& b = call.b();
  if (!b.ok() || is_floating(b.type(x).dtype)) return Values{b.add(ops::kNeg, {x})};
  return Values{b.add(ops::kSub, {b.scalar(0, b.type(x).dtype), x})};
}

Result<Values> absolute(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x"}));
  Builder& b = call.b();
  if (!b.ok() || is_floating(b.type(x).dtype)) return Values{b.add(ops::kAbs, {x})};
  return Values{b.add(ops::kMaximum, {x, b.add(ops::kSub, {b.scalar(0, b.type(x).dtype), x})})};
}

Result<Values> square(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x"}));
  return Values{call.b().add(ops::kMul, {x, x})};
}

Result<Values> ceil(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x"}));
  Builder& b = call.b();
  return Values{b.add(ops::kNeg, {b.add(ops::kFloor, {b.add(ops::kNeg, {x})})})};
}

Result<Values> log_sigmoid(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x"}));
  Builder& b = call.b();
  return Values{b.add(ops::kNeg, {b.add(ops::kSoftplus, {b.add(ops::kNeg, {x})})})};
}

Result<Values> elu(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "features"}));
  EW_TRY(const double alpha, call.number(1, {"alpha"}, 1));
  return Values{call.b().add(ops::kElu, {x}, {{"alpha", alpha}})};
}

Result<Values> leaky_relu(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "features"}));
  EW_TRY(const double slope, call.number(1, {"negative_slope", "alpha"}, 0.2));
  return Values{call.b().add(ops::kLeakyRelu, {x}, {{"alpha", slope}})};
}

// tf.nn.gelu is exact by default, keras.ops.gelu the approximation, which it always writes.
Result<Values> gelu(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "features"}));
  const bool is_keras3 = call.context().generation == ir::KerasGeneration::kKeras3;
  EW_TRY(const bool approximate, call.flag(1, {"approximate"}, is_keras3));
  return Values{call.b().add(approximate ? ops::kGeluTanh : ops::kGelu, {x})};
}

Result<Values> clip(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "t"}));
  EW_TRY(const double low, call.number(1, {"x_min", "clip_value_min"}, 0));
  EW_TRY(const double high, call.number(2, {"x_max", "clip_value_max"}, 0));
  Builder& b = call.b();
  if (!b.ok()) return Values{};
  const DType dtype = b.type(x).dtype;
  if (is_floating(dtype)) {
    return Values{b.add(ops::kClip, {x}, {{"alpha", low}, {"beta", high}})};
  }
  const ValueId raised = b.add(ops::kMaximum, {x, b.scalar(low, dtype)});
  return Values{b.add(ops::kMinimum, {raised, b.scalar(high, dtype)})};
}

Result<Values> cast_to(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x"}));
  EW_TRY(const DType dtype, parse_dtype(call.argument(1, {"dtype"}).as_string()));
  return Values{cast(call.b(), x, dtype)};
}

Result<Values> identity(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "input", "variable"}));
  return Values{x};
}

Result<Values> negate(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x"}));
  return Values{logical_not(call.b(), cast(call.b(), x, DType::kBool))};
}

template <bool one>
Result<Values> constant_like(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "input"}));
  Builder& b = call.b();
  if (!b.ok()) return Values{};
  DType dtype = b.type(x).dtype;
  const Config& wanted = call.argument(1, {"dtype"});
  if (wanted.is_string()) {
    EW_TRY(dtype, parse_dtype(wanted.as_string()));
  }
  const ValueId value = b.scalar(one ? 1 : 0, dtype);
  // Either branch is the constant: only the shape is x's.
  return Values{b.add(ops::kWhere, {b.add(ops::kEqual, {x, x}), value, value})};
}

Result<Values> where(const OperationCall& call) {
  EW_TRY(const ValueId condition, call.tensor(0, {"condition"}));
  EW_TRY(const auto xy, call.operands(1, {"x", "x1"}, {"y", "x2"}));
  Builder& b = call.b();
  return Values{b.add(ops::kWhere, {cast(b, condition, DType::kBool), xy.first, xy.second})};
}

Result<Values> add_n(const OperationCall& call) {
  EW_TRY(const Values inputs, call.tensors(0, {"inputs"}));
  ValueId sum = inputs[0];
  for (size_t i = 1; i < inputs.size(); ++i) sum = call.b().add(ops::kAdd, {sum, inputs[i]});
  return Values{sum};
}

template <bool logarithm>
Result<Values> softmax(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x", "logits"}));
  EW_TRY(const int64_t axis, call.integer(1, {"axis"}, -1));
  Builder& b = call.b();
  if (!logarithm) return Values{b.add(ops::kSoftmax, {x}, {{"axis", axis}})};
  const std::vector<int64_t> axes = {axis};
  const ValueId most = b.add(ops::kReduceMax, {x}, {{"axes", axes}, {"keepdims", true}});
  const ValueId shifted = b.add(ops::kSub, {x, most});
  const ValueId sum =
      b.add(ops::kReduceSum, {b.add(ops::kExp, {shifted})}, {{"axes", axes}, {"keepdims", true}});
  return Values{b.add(ops::kSub, {shifted, b.add(ops::kLog, {sum})})};
}

const Operation kOperations[] = {
    {"Add", "math.add", binary<ops::kAdd>},
    {"Add", "__operators__.add", binary<ops::kAdd>},
    {"AddN", "math.add_n", add_n},
    {"Subtract", "math.subtract", binary<ops::kSub>},
    {"Multiply", "math.multiply", binary<ops::kMul>},
    {"Divide", "math.divide", divide},
    {"TrueDivide", "math.truediv", divide},
    {"Divide", "realdiv", divide},
    {"FloorDivide", "math.floordiv", floor_divide},
    {"FloorDivide", "floor_div", floor_divide},
    {"Mod", "math.floormod", modulo},
    {"Maximum", "math.maximum", binary<ops::kMaximum>},
    {"Minimum", "math.minimum", binary<ops::kMinimum>},
    {"Power", "math.pow", binary<ops::kPow>},
    {"SquaredDifference", "math.squared_difference", squared_difference},
    {"Equal", "math.equal", binary<ops::kEqual>},
    {"Equal", "__operators__.eq", binary<ops::kEqual>},
    {"NotEqual", "math.not_equal", binary<ops::kNotEqual>},
    {"NotEqual", "__operators__.ne", binary<ops::kNotEqual>},
    {"Greater", "math.greater", binary<ops::kGreater>},
    {"GreaterEqual", "math.greater_equal", binary<ops::kGreaterEqual>},
    {"Less", "math.less", binary<ops::kLess>},
    {"LessEqual", "math.less_equal", binary<ops::kLessEqual>},
    {"LogicalAnd", "math.logical_and", binary<ops::kLogicalAnd>},
    {"LogicalOr", "math.logical_or", binary<ops::kLogicalOr>},
    {"LogicalNot", "math.logical_not", negate},
    {"Where", "where", where},
    {"Absolute", "math.abs", absolute},
    {"Abs", "abs", absolute},
    {"Negative", "math.negative", negative},
    {"Square", "math.square", square},
    {"Sqrt", "math.sqrt", unary<ops::kSqrt>},
    {"Rsqrt", "math.rsqrt", unary<ops::kRsqrt>},
    {"Exp", "math.exp", unary<ops::kExp>},
    {"Log", "math.log", unary<ops::kLog>},
    {"Reciprocal", "math.reciprocal", unary<ops::kReciprocal>},
    {"Sign", "math.sign", unary<ops::kSign>},
    {"Floor", "math.floor", unary<ops::kFloor>},
    {"Ceil", "math.ceil", ceil},
    {"Erf", "math.erf", unary<ops::kErf>},
    {"Tanh", "math.tanh", unary<ops::kTanh>},
    {"Tanh", "nn.tanh", unary<ops::kTanh>},
    {"Sigmoid", "math.sigmoid", unary<ops::kSigmoid>},
    {"Sigmoid", "nn.sigmoid", unary<ops::kSigmoid>},
    {"LogSigmoid", "math.log_sigmoid", log_sigmoid},
    {"Relu", "nn.relu", unary<ops::kRelu>},
    {"Relu6", "nn.relu6", unary<ops::kRelu6>},
    {"LeakyRelu", "nn.leaky_relu", leaky_relu},
    {"Elu", "nn.elu", elu},
    {"Selu", "nn.selu", unary<ops::kSelu>},
    {"Gelu", "nn.gelu", gelu},
    {"Silu", "nn.silu", unary<ops::kSilu>},
    {"Swish", "nn.swish", unary<ops::kSilu>},
    {"HardSigmoid", "", unary<ops::kHardSigmoid>},
    {"HardSilu", "", unary<ops::kHardSilu>},
    {"Softplus", "math.softplus", unary<ops::kSoftplus>},
    {"Softplus", "nn.softplus", unary<ops::kSoftplus>},
    {"Softsign", "nn.softsign", unary<ops::kSoftsign>},
    {"Softmax", "nn.softmax", softmax<false>},
    {"LogSoftmax", "nn.log_softmax", softmax<true>},
    {"Clip", "clip_by_value", clip},
    {"Cast", "cast", cast_to},
    {"Identity", "identity", identity},
    {"StopGradient", "stop_gradient", identity},
    {"ZerosLike", "zeros_like", constant_like<false>},
    {"OnesLike", "ones_like", constant_like<true>},
};

}  // namespace

std::span<const Operation> elementwise_operations() { return kOperations; }

}  // namespace ew::formats
