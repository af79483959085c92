// Elementwise ONNX operators that are not one row of onnx_ops.def.
#include <cmath>
#include <limits>

#include "formats/onnx/handlers.h"
#include "formats/onnx/int8_forms.h"

namespace ew::formats::onnx {
namespace {

using Ids = std::vector<ValueId>;

void one(Call& c, const OpDef& op, Attrs attrs) { c.elementwise(op, 1, std::move(attrs)); }

// f(f(a, b), c) ... over all inputs; broadcasting as the operator's.
void fold(Call& c, const OpDef& op, double divisor = 1) {
  if (c.count() == 1) return c.set(0, c.val(0));
  c.elementwise(c.count(), [&](const Ids& in) {
    ValueId sum = in[0];
    for (size_t i = 1; i < in.size(); ++i) sum = c.emit(op, {sum, in[i]});
    return divisor == 1 ? sum : c.div(sum, c.scalar_like(divisor, sum));
  });
}

bool is_float(Call& c, ValueId x) { return is_floating(c.dtype(x)); }

ValueId negated(Call& c, ValueId x) {
  return is_float(c, x) ? c.emit(ops::kNeg, {x}) : c.sub(c.scalar_like(0, x), x);
}

}  // namespace

void read_abs(Call& c) {
  c.elementwise(1, [&](const Ids& in) {
    if (is_float(c, in[0])) return c.emit(ops::kAbs, {in[0]});
    // Unsigned numbers wrap around, but then are the smaller half only where they are 0.
    const DType t = c.dtype(in[0]);
    const bool is_signed =
        t == DType::kI8 || t == DType::kI16 || t == DType::kI32 || t == DType::kI64;
    return is_signed ? c.emit(ops::kMaximum, {in[0], negated(c, in[0])}) : in[0];
  });
}

void read_neg(Call& c) {
  c.elementwise(1, [&](const Ids& in) { return negated(c, in[0]); });
}

void read_sign(Call& c) {
  c.elementwise(1, [&](const Ids& in) {
    if (is_float(c, in[0])) return c.emit(ops::kSign, {in[0]});
    const ValueId low = c.emit(ops::kMaximum, {in[0], c.scalar_like(-1, in[0])});
    return c.emit(ops::kMinimum, {low, c.scalar_like(1, in[0])});
  });
}

void read_add(Call& c) {
  if (!read_int8_add(c)) c.elementwise(ops::kAdd, 2);
}

void read_bit_shift(Call& c) {
  const std::string direction = c.text("direction", "");
  if (direction != "LEFT" && direction != "RIGHT") {
    c.fail("direction: expected LEFT or RIGHT, found '", direction, "'");
    return;
  }
  c.elementwise(direction == "LEFT" ? ops::kShiftLeft : ops::kShiftRight, 2);
}

void read_bitwise_not(Call& c) {
  // ~x = -1 - x, modulo the width.
  c.elementwise(1, [&](const Ids& in) {
    const ValueId one_less = c.sub(c.scalar_like(0, in[0]), c.scalar_like(1, in[0]));
    return c.sub(one_less, in[0]);
  });
}

void read_celu(Call& c) { one(c, ops::kCelu, {{"alpha", c.number("alpha", 1)}}); }
void read_elu(Call& c) { one(c, ops::kElu, {{"alpha", c.number("alpha", 1)}}); }
void read_leaky_relu(Call& c) { one(c, ops::kLeakyRelu, {{"alpha", c.number("alpha", 0.01F)}}); }
void read_thresholded_relu(Call& c) {
  one(c, ops::kThreshold, {{"alpha", c.number("alpha", 1)}, {"beta", 0.0}});
}
void read_hard_sigmoid(Call& c) {
  one(c, ops::kHardSigmoid, {{"alpha", c.number("alpha", 0.2F)}, {"beta", c.number("beta", 0.5)}});
}
void read_gelu(Call& c) {
  one(c, c.text("approximate", "none") == "tanh" ? ops::kGeluTanh : ops::kGelu, {});
}

void read_selu(Call& c) {
  const double alpha = c.number("alpha", 1.67326319217681884765625);
  const double gamma = c.number("gamma", 1.05070102214813232421875);
  c.elementwise(1, [&](const Ids& in) {
    const ValueId y = c.emit(ops::kElu, {in[0]}, {{"alpha", alpha}});
    return c.mul(y, c.scalar_like(gamma, y));
  });
}

void read_shrink(Call& c) {
  const double bias = c.number("bias", 0);
  const double lambda = c.number("lambd", 0.5);
  c.elementwise(1, [&](const Ids& in) {
    const ValueId x = in[0];
    const ValueId zero = c.scalar_like(0, x);
    const ValueId above = c.emit(ops::kGreater, {x, c.scalar_like(lambda, x)});
    const ValueId below = c.emit(ops::kLess, {x, c.scalar_like(-lambda, x)});
    const ValueId high = c.sub(x, c.scalar_like(bias, x));
    const ValueId low = c.add(x, c.scalar_like(bias, x));
    return c.emit(ops::kWhere, {above, high, c.emit(ops::kWhere, {below, low, zero})});
  });
}

void read_relu(Call& c) {
  const ValPtr value = c.val(0);
  if (value->is_clamped) return c.set(0, value);
  c.elementwise(1, [&](const Ids& in) {
    if (is_float(c, in[0])) return c.emit(ops::kRelu, {in[0]});
    return c.emit(ops::kMaximum, {in[0], c.scalar_like(0, in[0])});
  });
}

void read_clip(Call& c) {
  const ValPtr value = c.val(0);
  if (value->is_clamped) return c.set(0, value);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto bound = [&](size_t i, const char* name, double fallback) -> std::optional<double> {
    if (c.opset() < 11) return c.number(name, fallback);
    if (!c.has(i)) return fallback;
    const ValPtr v = c.val(i);
    const Tensor* t = c.ok() ? c.m().constant(*v) : nullptr;
    if (t == nullptr || t->size() != 1) return std::nullopt;
    return t->cast(DType::kF64).values<double>()[0];
  };
  const std::optional<double> low = bound(1, "min", -kInfinity);
  const std::optional<double> high = bound(2, "max", kInfinity);
  c.elementwise(1, [&](const Ids& in) {
    ValueId y = in[0];
    if (!c.ok()) return kNoValue;
    if (is_float(c, y) && low && high) {
      if (*low == 0 && *high == kInfinity) return c.emit(ops::kRelu, {y});
      if (*low == 0 && *high == 6) return c.emit(ops::kRelu6, {y});
      return c.emit(ops::kClip, {y}, {{"alpha", *low}, {"beta", *high}});
    }
    if (c.has(1)) y = c.emit(ops::kMaximum, {y, c.x(1)});
    if (c.has(2)) y = c.emit(ops::kMinimum, {y, c.x(2)});
    return y;
  });
}

void read_is_nan(Call& c) {
  c.elementwise(1, [&](const Ids& in) { return c.emit(ops::kNotEqual, {in[0], in[0]}); });
}

void read_is_inf(Call& c) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const bool negative = c.integer("detect_negative", 1) != 0;
  const bool positive = c.integer("detect_positive", 1) != 0;
  c.elementwise(1, [&](const Ids& in) {
    const auto is = [&](double v) { return c.emit(ops::kEqual, {in[0], c.scalar_like(v, in[0])}); };
    if (negative && positive) return c.emit(ops::kLogicalOr, {is(-kInfinity), is(kInfinity)});
    if (negative || positive) return is(negative ? -kInfinity : kInfinity);
    return c.emit(ops::kNotEqual, {in[0], in[0]});
  });
}

void read_max(Call& c) { fold(c, ops::kMaximum); }
void read_min(Call& c) { fold(c, ops::kMinimum); }
void read_sum(Call& c) { fold(c, ops::kAdd); }
void read_mean(Call& c) { fold(c, ops::kAdd, static_cast<double>(c.count())); }

void read_mod(Call& c) {
  c.elementwise(c.integer("fmod", 0) != 0 ? ops::kFmod : ops::kFloorMod, 2);
}

void read_logical_not(Call& c) {
  c.elementwise(1, [&](const Ids& in) { return c.logical_not(in[0]); });
}

void read_prelu(Call& c) {
  c.elementwise(2, [&](const Ids& in) {
    const ValueId zero = c.scalar_like(0, in[0]);
    const ValueId scaled = c.mul(in[0], in[1]);
    return c.emit(ops::kWhere, {c.emit(ops::kLess, {in[0], zero}), scaled, in[0]});
  });
}

void read_pow(Call& c) {
  c.elementwise(2, [&](const Ids& in) {
    if (!c.ok()) return kNoValue;
    const DType base = c.dtype(in[0]);
    const DType exponent = c.dtype(in[1]);
    if (const Tensor* t = c.m().constant(in[1]); t != nullptr && t->size() == 1) {
      const double p = t->cast(DType::kF64).values<double>()[0];
      if (p == 2 && is_floating(base)) return c.emit(ops::kSquare, {in[0]});
    }
    if (base == exponent) return c.emit(ops::kPow, {in[0], in[1]});
    const DType wide = is_floating(base) ? base : DType::kF64;
    const ValueId y = c.emit(ops::kPow, {c.cast(in[0], wide), c.cast(in[1], wide)});
    return c.cast(y, base);
  });
}

void read_where(Call& c) { c.elementwise(ops::kWhere, 3); }

}  // namespace ew::formats::onnx
