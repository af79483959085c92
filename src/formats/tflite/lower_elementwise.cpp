// Elementwise operators of one and two inputs, activations, and changes of representation.
#include "formats/tflite/op_context.h"

namespace ew::formats::tflite {
namespace {

using ir::Attrs;

template <const ir::OpDef& op>
Result<ValueId> unary(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  return c.b.add(op, {x});
}

template <const ir::OpDef& op>
Result<ValueId> binary(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const ValueId y, c.in(1));
  return c.b.add(op, {x, y});
}

// Binary operators whose options hold a fused activation in field 0.
template <const ir::OpDef& op>
Result<ValueId> arithmetic(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const ValueId y, c.in(1));
  const auto activation = c.options.scalar<Activation>(0);
  const bool has_clamp = std::any_of(op.attrs.begin(), op.attrs.end(), [](const ir::AttrDef& def) {
    return std::string_view(def.name) == "clamp_min";
  });
  if (!has_clamp) return apply_clamp(c, c.b.add(op, {x, y}), activation);
  Attrs attrs;
  EW_TRY_VOID(set_clamp(attrs, activation));
  return c.b.add(op, {x, y}, attrs);
}

Result<ValueId> clip(const OpContext& c, double min, double max) {
  EW_TRY(const ValueId x, c.in(0));
  return c.b.add(ops::kClip, {x}, {{"alpha", min}, {"beta", max}});
}
Result<ValueId> relu_n1_to_1(const OpContext& c) { return clip(c, -1, 1); }
Result<ValueId> relu_0_to_1(const OpContext& c) { return clip(c, 0, 1); }

Result<ValueId> leaky_relu(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  return c.b.add(ops::kLeakyRelu, {x}, {{"alpha", double{c.options.scalar<float>(0)}}});
}

Result<ValueId> gelu(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  return c.b.add(c.options.flag(0) ? ops::kGeluTanh : ops::kGelu, {x});
}

Result<ValueId> softmax(const OpContext& c) {
  EW_TRY(ValueId x, c.in(0));
  const double beta = double{c.options.scalar<float>(0)};
  if (beta != 1) {
    if (c.type(x).quant) return unsupported("beta ", beta, " with integers; expected 1");
    x = c.b.add(ops::kMul, {x, c.b.scalar(beta, c.type(x).dtype)});
  }
  return c.b.add(ops::kSoftmax, {x});
}

Result<ValueId> quantize(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  return c.b.add(ops::kQuantize, {x});
}

// Of a half-precision weight, a change of dtype; constants fold.
Result<ValueId> dequantize(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  if (!is_floating(c.type(x).dtype)) return c.b.add(ops::kDequantize, {x});
  return c.b.add(ops::kCast, {x}, {{"to", std::string("float32")}});
}

const Lowering kLowerings[] = {
    {BuiltinOperator::kAbs, one<unary<ops::kAbs>>},
    {BuiltinOperator::kAdd, one<arithmetic<ops::kAdd>>},
    {BuiltinOperator::kDequantize, one<dequantize>},
    {BuiltinOperator::kDiv, one<arithmetic<ops::kDiv>>},
    {BuiltinOperator::kElu, one<unary<ops::kElu>>},
    {BuiltinOperator::kEqual, one<binary<ops::kEqual>>},
    {BuiltinOperator::kExp, one<unary<ops::kExp>>},
    {BuiltinOperator::kFloor, one<unary<ops::kFloor>>},
    {BuiltinOperator::kGelu, one<gelu>},
    {BuiltinOperator::kGreater, one<binary<ops::kGreater>>},
    {BuiltinOperator::kGreaterEqual, one<binary<ops::kGreaterEqual>>},
    {BuiltinOperator::kHardSwish, one<unary<ops::kHardSilu>>},
    {BuiltinOperator::kLeakyRelu, one<leaky_relu>},
    {BuiltinOperator::kLess, one<binary<ops::kLess>>},
    {BuiltinOperator::kLessEqual, one<binary<ops::kLessEqual>>},
    {BuiltinOperator::kLog, one<unary<ops::kLog>>},
    {BuiltinOperator::kLogicalAnd, one<binary<ops::kLogicalAnd>>},
    {BuiltinOperator::kLogicalOr, one<binary<ops::kLogicalOr>>},
    {BuiltinOperator::kLogistic, one<unary<ops::kSigmoid>>},
    {BuiltinOperator::kMaximum, one<binary<ops::kMaximum>>},
    {BuiltinOperator::kMinimum, one<binary<ops::kMinimum>>},
    {BuiltinOperator::kMul, one<arithmetic<ops::kMul>>},
    {BuiltinOperator::kNeg, one<unary<ops::kNeg>>},
    {BuiltinOperator::kNotEqual, one<binary<ops::kNotEqual>>},
    {BuiltinOperator::kPow, one<binary<ops::kPow>>},
    {BuiltinOperator::kQuantize, one<quantize>},
    {BuiltinOperator::kRelu, one<unary<ops::kRelu>>},
    {BuiltinOperator::kRelu0To1, one<relu_0_to_1>},
    {BuiltinOperator::kRelu6, one<unary<ops::kRelu6>>},
    {BuiltinOperator::kReluN1To1, one<relu_n1_to_1>},
    {BuiltinOperator::kRound, one<unary<ops::kRound>>},
    {BuiltinOperator::kRsqrt, one<unary<ops::kRsqrt>>},
    {BuiltinOperator::kSign, one<unary<ops::kSign>>},
    {BuiltinOperator::kSoftmax, one<softmax>},
    {BuiltinOperator::kSqrt, one<unary<ops::kSqrt>>},
    {BuiltinOperator::kSquare, one<unary<ops::kSquare>>},
    {BuiltinOperator::kSub, one<arithmetic<ops::kSub>>},
    {BuiltinOperator::kTanh, one<unary<ops::kTanh>>},
};

}  // namespace

std::span<const Lowering> elementwise_lowerings() { return kLowerings; }

}  // namespace ew::formats::tflite
