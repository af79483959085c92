// Elementwise operators; those that the format has not are written as several that it has.
#include <cmath>

#include "formats/tflite/emit.h"

namespace ew::formats::tflite {
namespace {

using Op = BuiltinOperator;

template <Op code>
Status plain(const EmitContext& c) {
  c.file.add(code, c.all_in(), {c.out()});
  return {};
}

/// Operators whose options hold a fused activation in field 0.
template <Op code, int options_type>
Status arithmetic(const EmitContext& c) {
  return emit_with_clamp(c, [&](int32_t y, Activation activation) -> Status {
    FlatTable& options = c.file.add(code, c.all_in(), {y}, options_type);
    options.scalar(0, static_cast<int8_t>(activation));
    // pot_scale_int16: sums of int16 multiply, whatever their scales are.
    const bool is_sum = code == Op::kAdd || code == Op::kSub;
    if (is_sum && c.out_type().dtype == DType::kI16) options.scalar(1, uint8_t{0}, uint8_t{1});
    return {};
  });
}
template <Op code, int options_type>
Status unclamped(const EmitContext& c) {
  c.file.add(code, c.all_in(), {c.out()}, options_type);
  return {};
}

double attr(const EmitContext& c, const char* name) { return c.node.attrs.number(name); }
int32_t number(const EmitContext& c, double value) {
  return c.file.number(static_cast<float>(value), c.name("constant"));
}
/// Only real-valued nodes may be composed of several: integer ones have one definition each.
Status expect_real(const EmitContext& c) {
  if (!c.in_type(0).quant) return {};
  return unsupported(c.node.op->name, " in integers");
}

Status clip(const EmitContext& c) {
  const double lower = attr(c, "alpha");
  const double upper = attr(c, "beta");
  if (c.in_type(0).quant && *c.in_type(0).quant != *c.out_type().quant) {
    return unsupported("clip with a change of scale");
  }
  if (!c.in_type(0).quant && lower == -1 && upper == 1) return plain<Op::kReluN1To1>(c);
  return emit_clamp(c, c.in(0), c.out_type(), lower, upper, c.out());
}

Status leaky_relu(const EmitContext& c) {
  c.file.add(Op::kLeakyRelu, {c.in(0)}, {c.out()}, 75)
      .scalar(0, static_cast<float>(attr(c, "alpha")));
  return {};
}

template <bool approximate>
Status gelu(const EmitContext& c) {
  c.file.add(Op::kGelu, {c.in(0)}, {c.out()}, 116).flag(0, approximate);
  return {};
}

Status silu(const EmitContext& c) {
  EW_TRY_VOID(expect_real(c));
  const int32_t gate = c.step(Op::kLogistic, {c.in(0)}, c.out_type(), "sigmoid");
  c.file.add(Op::kMul, {c.in(0), gate}, {c.out()}, 21);
  return {};
}

Status hard_sigmoid(const EmitContext& c) {
  EW_TRY_VOID(expect_real(c));
  const int32_t scaled =
      c.step(Op::kMul, {c.in(0), number(c, attr(c, "alpha"))}, c.out_type(), "mul");
  const int32_t moved = c.step(Op::kAdd, {scaled, number(c, attr(c, "beta"))}, c.out_type(), "add");
  return emit_clamp(c, moved, c.out_type(), 0, 1, c.out());
}

/// scale * (x > 0 ? x : alpha * (exp(x) - 1)), with what ELU gives for alpha 1.
Status scaled_elu(const EmitContext& c, double scale, double alpha) {
  EW_TRY_VOID(expect_real(c));
  if (scale == 1 && alpha == 1) return plain<Op::kElu>(c);
  const int32_t elu = c.step(Op::kElu, {c.in(0)}, c.out_type(), "elu");
  // elu(x) = relu(x) + min(elu(x), 0), and only the second part takes alpha.
  const int32_t low = c.step(Op::kMinimum, {elu, number(c, 0)}, c.out_type(), "low");
  const int32_t high = c.step(Op::kRelu, {c.in(0)}, c.out_type(), "high");
  const int32_t a = c.step(Op::kMul, {low, number(c, scale * alpha)}, c.out_type(), "scaled_low");
  const int32_t b = c.step(Op::kMul, {high, number(c, scale)}, c.out_type(), "scaled_high");
  c.file.add(Op::kAdd, {a, b}, {c.out()}, 11);
  return {};
}
Status elu(const EmitContext& c) { return scaled_elu(c, 1, attr(c, "alpha")); }
Status selu(const EmitContext& c) { return scaled_elu(c, 1.0507009873554805, 1.6732632423543772); }

// log(1 + exp(-|x|)) + max(x, 0), which does not overflow.
Status softplus(const EmitContext& c) {
  EW_TRY_VOID(expect_real(c));
  const ir::TensorType& type = c.out_type();
  const int32_t size = c.step(Op::kAbs, {c.in(0)}, type, "abs");
  const int32_t e = c.step(Op::kExp, {c.step(Op::kNeg, {size}, type, "neg")}, type, "exp");
  const int32_t log =
      c.step(Op::kLog, {c.step(Op::kAdd, {e, number(c, 1)}, type, "add")}, type, "log");
  const int32_t high = c.step(Op::kRelu, {c.in(0)}, type, "high");
  c.file.add(Op::kAdd, {log, high}, {c.out()}, 11);
  return {};
}

Status softsign(const EmitContext& c) {
  EW_TRY_VOID(expect_real(c));
  const int32_t size = c.step(Op::kAbs, {c.in(0)}, c.out_type(), "abs");
  const int32_t below = c.step(Op::kAdd, {size, number(c, 1)}, c.out_type(), "add");
  c.file.add(Op::kDiv, {c.in(0), below}, {c.out()}, 29);
  return {};
}

Status reciprocal(const EmitContext& c) {
  EW_TRY_VOID(expect_real(c));
  c.file.add(Op::kDiv, {number(c, 1), c.in(0)}, {c.out()}, 29);
  return {};
}

Status power(const EmitContext& c) {
  EW_TRY_VOID(expect_real(c));
  c.file.add(Op::kPow, {c.in(0), number(c, attr(c, "alpha"))}, {c.out()}, 56);
  return {};
}

Status softmax(const EmitContext& c) {
  const int rank = c.in_type(0).shape.rank();
  const int64_t axis = c.node.attrs.integer("axis");
  if (axis != -1 && axis != rank - 1) {
    return unsupported("softmax over axis ", axis, " of ", rank, "; .tflite files have the last");
  }
  c.file.add(Op::kSoftmax, {c.in(0)}, {c.out()}, 9).scalar(0, 1.F);
  return {};
}

Status log_softmax(const EmitContext& c) {
  const int rank = c.in_type(0).shape.rank();
  const int64_t axis = c.node.attrs.integer("axis");
  if (axis != -1 && axis != rank - 1) return unsupported("log_softmax over axis ", axis);
  c.file.add(Op::kLogSoftmax, {c.in(0)}, {c.out()});
  return {};
}

Status cast(const EmitContext& c) {
  c.file.add(Op::kCast, {c.in(0)}, {c.out()});
  return {};
}

const Emitter kEmitters[] = {
    {&ops::kAbs, plain<Op::kAbs>},
    {&ops::kAdd, arithmetic<Op::kAdd, 11>},
    {&ops::kBitXor, plain<Op::kBitwiseXor>},
    {&ops::kCast, cast},
    {&ops::kClip, clip},
    {&ops::kCos, plain<Op::kCos>},
    {&ops::kDequantize, plain<Op::kDequantize>},
    {&ops::kDiv, unclamped<Op::kDiv, 29>},
    {&ops::kElu, elu},
    {&ops::kEqual, plain<Op::kEqual>},
    {&ops::kExp, plain<Op::kExp>},
    {&ops::kFloor, plain<Op::kFloor>},
    {&ops::kGelu, gelu<false>},
    {&ops::kGeluTanh, gelu<true>},
    {&ops::kGreater, plain<Op::kGreater>},
    {&ops::kGreaterEqual, plain<Op::kGreaterEqual>},
    {&ops::kHardSigmoid, hard_sigmoid},
    {&ops::kHardSilu, plain<Op::kHardSwish>},
    {&ops::kLeakyRelu, leaky_relu},
    {&ops::kLess, plain<Op::kLess>},
    {&ops::kLessEqual, plain<Op::kLessEqual>},
    {&ops::kLog, plain<Op::kLog>},
    {&ops::kLogSoftmax, log_softmax},
    {&ops::kLogicalAnd, plain<Op::kLogicalAnd>},
    {&ops::kLogicalOr, plain<Op::kLogicalOr>},
    {&ops::kMaximum, unclamped<Op::kMaximum, 39>},
    {&ops::kMinimum, unclamped<Op::kMinimum, 39>},
    {&ops::kMul, arithmetic<Op::kMul, 21>},
    {&ops::kNeg, plain<Op::kNeg>},
    {&ops::kNotEqual, plain<Op::kNotEqual>},
    {&ops::kPow, plain<Op::kPow>},
    {&ops::kPower, power},
    {&ops::kPrelu, plain<Op::kPrelu>},
    {&ops::kQuantize, plain<Op::kQuantize>},
    {&ops::kReciprocal, reciprocal},
    {&ops::kRelu, plain<Op::kRelu>},
    {&ops::kRelu6, plain<Op::kRelu6>},
    {&ops::kRound, plain<Op::kRound>},
    {&ops::kRsqrt, plain<Op::kRsqrt>},
    {&ops::kSelu, selu},
    {&ops::kSigmoid, plain<Op::kLogistic>},
    {&ops::kSign, plain<Op::kSign>},
    {&ops::kSilu, silu},
    {&ops::kSin, plain<Op::kSin>},
    {&ops::kSoftmax, softmax},
    {&ops::kSoftplus, softplus},
    {&ops::kSoftsign, softsign},
    {&ops::kSqrt, plain<Op::kSqrt>},
    {&ops::kSquare, plain<Op::kSquare>},
    {&ops::kSub, arithmetic<Op::kSub, 28>},
    {&ops::kTanh, plain<Op::kTanh>},
};

}  // namespace

std::span<const Emitter> elementwise_emitters() { return kEmitters; }

}  // namespace ew::formats::tflite
