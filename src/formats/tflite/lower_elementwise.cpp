// Elementwise operators of one and two inputs, activations, and changes of representation.
#include <cmath>

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
  const auto& quant = c.type(x).quant;
  if (quant && (!c.type(y).quant || *quant != *c.type(y).quant)) {
    return unsupported("of integers with different scales");
  }
  return c.b.add(op, {x, y});
}

// Sums of int16 whose three scales are powers of two may be shifted instead of multiplied.
Status expect_general_scales(const OpContext& c, bool is_sum) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const ValueId y, c.in(1));
  EW_TRY(const ir::TensorType z, c.declared(0));
  if (!is_sum || z.dtype != DType::kI16 || c.options.scalar<uint8_t>(1, 1) == 0) return {};
  const auto is_shift = [](const ir::TensorType& type) {
    int exponent = 0;
    return type.quant && std::frexp(type.quant->scales[0], &exponent) == 0.5F;
  };
  if (!is_shift(c.type(x)) || !is_shift(c.type(y)) || !is_shift(z)) return {};
  return unsupported("of int16 by shifts (pot_scale_int16); expected multipliers");
}

// Binary operators whose options hold a fused activation in field 0.
template <const ir::OpDef& op>
Result<ValueId> arithmetic(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const ValueId y, c.in(1));
  const auto activation = c.options.scalar<Activation>(0);
  EW_TRY_VOID(expect_general_scales(c, &op == &ops::kAdd || &op == &ops::kSub));
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
// TensorFlow Lite Micro clamps the stored values as the input means them and copies them, whatever
// the output's scale is.
Result<ValueId> relu6(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  const ir::TensorType type = c.type(x);
  const ValueId y = c.b.add(ops::kRelu6, {x});
  EW_TRY(const ir::TensorType declared, c.declared(0));
  const bool copies = type.quant && declared.quant && *type.quant != *declared.quant &&
                      c.b.graph().int8_profile == ir::Int8Profile::kTflm;
  if (!copies) return y;
  return c.b.add(ops::kReshape, {c.typed(y, type)}, {{"shape", type.shape.dims()}});
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
  EW_TRY(const ir::TensorType type, c.declared(0));
  return c.b.add(ops::kQuantize, {x}, {{"to", std::string(dtype_name(type.dtype))}});
}

// Of a half-precision weight, a change of dtype; constants fold.
Result<ValueId> dequantize(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  if (!is_floating(c.type(x).dtype)) return c.b.add(ops::kDequantize, {x});
  return c.b.add(ops::kCast, {x}, {{"to", std::string("float32")}});
}

// max(x, 0) + alpha min(x, 0); the integer form has a definition of its own.
Result<ValueId> prelu(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const ValueId alpha, c.in(1));
  return c.b.add(ops::kPrelu, {x, alpha});
}

Result<ValueId> expect_float(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  if (!is_floating(c.type(x).dtype)) return unsupported("of ", c.type(x), "; expected float32");
  return x;
}

Result<ValueId> squared_difference(const OpContext& c) {
  EW_TRY(const ValueId x, expect_float(c));
  EW_TRY(const ValueId y, c.in(1));
  return c.b.add(ops::kSquare, {c.b.add(ops::kSub, {x, y})});
}

Result<ValueId> ceil(const OpContext& c) {
  EW_TRY(const ValueId x, expect_float(c));
  return c.b.add(ops::kNeg, {c.b.add(ops::kFloor, {c.b.add(ops::kNeg, {x})})});
}

// Integers divide towards zero: one less where that is not exact and the signs differ.
Result<ValueId> floor_div(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const ValueId y, c.in(1));
  if (c.type(x).quant || c.type(y).quant) return unsupported("of quantised values");
  const ValueId quotient = c.b.add(ops::kDiv, {x, y});
  if (!c.b.ok()) return kNoValue;
  const DType dtype = c.type(x).dtype;
  if (is_floating(dtype)) return c.b.add(ops::kFloor, {quotient});
  const ValueId zero = c.b.scalar(0, dtype);
  const ValueId rest = c.b.add(ops::kSub, {x, c.b.add(ops::kMul, {quotient, y})});
  const ValueId differ =
      c.b.add(ops::kNotEqual, {c.b.add(ops::kLess, {rest, zero}), c.b.add(ops::kLess, {y, zero})});
  const ValueId is_rounded_up =
      c.b.add(ops::kLogicalAnd, {c.b.add(ops::kNotEqual, {rest, zero}), differ});
  const ValueId one =
      c.b.add(ops::kCast, {is_rounded_up}, {{"to", std::string(dtype_name(dtype))}});
  return c.b.add(ops::kSub, {quotient, one});
}

Result<ValueId> floor_mod(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const ValueId y, c.in(1));
  EW_TRY(const ValueId whole, floor_div(c));
  return c.b.add(ops::kSub, {x, c.b.add(ops::kMul, {whole, y})});
}

Result<ValueId> logical_not(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  if (c.type(x).dtype != DType::kBool) return invalid_data("expected bool, found ", c.type(x));
  return c.b.add(ops::kEqual, {x, c.b.constant(ir::Tensor(DType::kBool, Shape{}))});
}

Result<ValueId> add_n(const OpContext& c) {
  EW_TRY(ValueId sum, expect_float(c));
  for (size_t i = 1; i < c.inputs(); ++i) {
    EW_TRY(const ValueId x, c.in(i));
    sum = c.b.add(ops::kAdd, {sum, x});
  }
  if (c.inputs() == 1) return c.b.add(ops::kReshape, {sum}, {{"shape", c.type(sum).shape.dims()}});
  return sum;
}

// To integers the file's cast cuts the fraction off, ours rounds.
Result<ValueId> cast(const OpContext& c) {
  EW_TRY(ValueId x, c.in(0));
  EW_TRY(const ir::TensorType type, c.declared(0));
  if (c.type(x).quant || type.quant) return unsupported("of quantised values");
  if (c.is_complex(0)) {
    EW_TRY(x, c.real_or_imaginary(0));
  }
  if (is_floating(c.type(x).dtype) && !is_floating(type.dtype) && type.dtype != DType::kBool) {
    x = c.b.add(ops::kMul,
                {c.b.add(ops::kSign, {x}), c.b.add(ops::kFloor, {c.b.add(ops::kAbs, {x})})});
  }
  return c.b.add(ops::kCast, {x}, {{"to", std::string(dtype_name(type.dtype))}});
}

// Sparse weights are made dense when they are read.
Result<ValueId> densify(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  return c.b.add(ops::kReshape, {x}, {{"shape", c.type(x).shape.dims()}});
}

const Lowering kLowerings[] = {
    {BuiltinOperator::kDensify, one<densify>},
    {BuiltinOperator::kAbs, one<unary<ops::kAbs>>},
    {BuiltinOperator::kAdd, one<arithmetic<ops::kAdd>>},
    {BuiltinOperator::kAddN, one<add_n>},
    {BuiltinOperator::kCast, one<cast>},
    {BuiltinOperator::kCeil, one<ceil>},
    {BuiltinOperator::kBitwiseXor, one<binary<ops::kBitXor>>},
    {BuiltinOperator::kCos, one<unary<ops::kCos>>},
    {BuiltinOperator::kDequantize, one<dequantize>},
    {BuiltinOperator::kDiv, one<arithmetic<ops::kDiv>>},
    {BuiltinOperator::kElu, one<unary<ops::kElu>>},
    {BuiltinOperator::kEqual, one<binary<ops::kEqual>>},
    {BuiltinOperator::kExp, one<unary<ops::kExp>>},
    {BuiltinOperator::kFloor, one<unary<ops::kFloor>>},
    {BuiltinOperator::kFloorDiv, one<floor_div>},
    {BuiltinOperator::kFloorMod, one<floor_mod>},
    {BuiltinOperator::kGelu, one<gelu>},
    {BuiltinOperator::kGreater, one<binary<ops::kGreater>>},
    {BuiltinOperator::kGreaterEqual, one<binary<ops::kGreaterEqual>>},
    {BuiltinOperator::kHardSwish, one<unary<ops::kHardSilu>>},
    {BuiltinOperator::kLeakyRelu, one<leaky_relu>},
    {BuiltinOperator::kLess, one<binary<ops::kLess>>},
    {BuiltinOperator::kLessEqual, one<binary<ops::kLessEqual>>},
    {BuiltinOperator::kLog, one<unary<ops::kLog>>},
    {BuiltinOperator::kLogicalAnd, one<binary<ops::kLogicalAnd>>},
    {BuiltinOperator::kLogicalNot, one<logical_not>},
    {BuiltinOperator::kLogicalOr, one<binary<ops::kLogicalOr>>},
    {BuiltinOperator::kLogistic, one<unary<ops::kSigmoid>>},
    {BuiltinOperator::kMaximum, one<binary<ops::kMaximum>>},
    {BuiltinOperator::kMinimum, one<binary<ops::kMinimum>>},
    {BuiltinOperator::kMul, one<arithmetic<ops::kMul>>},
    {BuiltinOperator::kNeg, one<unary<ops::kNeg>>},
    {BuiltinOperator::kNotEqual, one<binary<ops::kNotEqual>>},
    {BuiltinOperator::kPow, one<binary<ops::kPow>>},
    {BuiltinOperator::kPrelu, one<prelu>},
    {BuiltinOperator::kQuantize, one<quantize>},
    {BuiltinOperator::kRelu, one<unary<ops::kRelu>>},
    {BuiltinOperator::kRelu0To1, one<relu_0_to_1>},
    {BuiltinOperator::kRelu6, one<relu6>},
    {BuiltinOperator::kReluN1To1, one<relu_n1_to_1>},
    {BuiltinOperator::kRound, one<unary<ops::kRound>>},
    {BuiltinOperator::kRsqrt, one<unary<ops::kRsqrt>>},
    {BuiltinOperator::kSin, one<unary<ops::kSin>>},
    {BuiltinOperator::kSign, one<unary<ops::kSign>>},
    {BuiltinOperator::kSoftmax, one<softmax>},
    {BuiltinOperator::kSqrt, one<unary<ops::kSqrt>>},
    {BuiltinOperator::kSquare, one<unary<ops::kSquare>>},
    {BuiltinOperator::kSquaredDifference, one<squared_difference>},
    {BuiltinOperator::kSub, one<arithmetic<ops::kSub>>},
    {BuiltinOperator::kTanh, one<unary<ops::kTanh>>},
};

}  // namespace

std::span<const Lowering> elementwise_lowerings() { return kLowerings; }

}  // namespace ew::formats::tflite
