// Quantisation in ONNX: QuantizeLinear and its kin by their definition in real arithmetic. Where an
// int8 operator of ours covers a node between DequantizeLinear and QuantizeLinear, the value
// carries an int8 form besides (int8_forms.cpp), and what nothing asks for is dropped.
#include <algorithm>
#include <cmath>
#include <limits>

#include "formats/onnx/handlers.h"
#include "formats/onnx/int8_forms.h"
#include "formats/onnx/tensor_data.h"

namespace ew::formats::onnx {
namespace {

// Lowest and highest stored value.
std::pair<double, double> bounds(DType dtype, bool is_nibble) {
  switch (dtype) {
    case DType::kI8:
      return is_nibble ? std::pair(-8.0, 7.0) : std::pair(-128.0, 127.0);
    case DType::kU8:
      return is_nibble ? std::pair(0.0, 15.0) : std::pair(0.0, 255.0);
    case DType::kI16:
      return {-32768, 32767};
    case DType::kU16:
      return {0, 65535};
    default:
      return {-2147483648.0, 2147483647.0};
  }
}

// A scale or zero point against x: one for all, one per index of an axis, or one per block of it.
ValueId spread(Call& c, ValueId parameter, ValueId x, int64_t axis, int64_t block) {
  if (!c.ok()) return kNoValue;
  const Shape own = c.shape(parameter);
  const int rank = c.rank(x);
  if (own.rank() == 0 || (own.rank() == 1 && own[0] == 1 && rank != 1)) {
    return c.reshape(parameter, {});
  }
  if (own.rank() == 1 && block == 0) {
    std::vector<int64_t> along(static_cast<size_t>(std::max(rank, 1)), 1);
    along[static_cast<size_t>(c.axis_of(axis, x))] = own[0];
    return c.reshape(parameter, along);
  }
  if (block < 1 || own.rank() != rank) {
    c.fail("a scale of shape ", own, " does not fit ", c.shape(x));
    return kNoValue;
  }
  const int d = c.axis_of(axis, x);
  const ValueId wide =
      c.emit(ops::kRepeat, {parameter}, {{"axis", int64_t{d}}, {"repeats", block}});
  return c.slice(wide, d, 0, c.ok() ? c.shape(x)[d] : 0);
}

ValueId centred(Call& c, size_t x_at, size_t zero_at, bool per_row) {
  ValueId x = c.cast(c.x(x_at), DType::kI32);
  if (!c.has(zero_at)) return x;
  ValueId zero = c.cast(c.x(zero_at), DType::kI32);
  if (per_row && c.ok() && c.rank(zero) == 1 && c.shape(zero)[0] > 1) zero = c.unsqueeze(zero, {1});
  return c.sub(x, zero);
}

}  // namespace

ValueId quantized(Call& c, ValueId x, ValueId scale, ValueId zero, DType dtype, bool is_nibble) {
  if (!c.ok()) return kNoValue;
  const DType real = c.dtype(scale) == DType::kF16 ? DType::kF16 : DType::kF32;
  ValueId steps = c.emit(ops::kRound, {c.div(c.cast(x, real), c.cast(scale, real))});
  steps = c.cast(steps, DType::kF32);
  if (zero != kNoValue) steps = c.add(steps, c.cast(zero, DType::kF32));
  const auto [low, high] = bounds(dtype, is_nibble);
  return c.cast(c.emit(ops::kClip, {steps}, {{"alpha", low}, {"beta", high}}), dtype);
}

ValueId dequantized(Call& c, ValueId x, ValueId scale, ValueId zero) {
  if (!c.ok()) return kNoValue;
  ValueId steps = c.cast(x, DType::kI32);
  if (zero != kNoValue) steps = c.sub(steps, c.cast(zero, DType::kI32));
  return c.mul(c.cast(steps, c.dtype(scale)), scale);
}

void read_quantize_linear(Call& c) {
  const ValPtr value = c.val(0);
  const ValPtr zero_value = c.has(2) ? c.val(2) : nullptr;
  const ValueId scale = c.x(1);
  const ValueId zero = c.optional_x(2);
  DType dtype = c.ok() && zero != kNoValue ? c.dtype(zero) : DType::kU8;
  bool nibble = zero_value && zero_value->is_nibble;
  if (const int64_t to = c.integer("output_dtype", 0); to != 0 && zero == kNoValue) {
    const Result<DType> named = dtype_of(static_cast<int32_t>(to));
    if (!named.ok()) {
      c.unsupported(named.error().message);
      return;
    }
    dtype = *named;
    nibble = is_nibble(static_cast<int32_t>(to));
  }
  if (!c.ok()) return;
  const int64_t axis = c.integer("axis", 1);
  const int64_t block = c.integer("block_size", 0);
  auto out = std::make_shared<Val>();
  out->is_stored = true;
  out->is_nibble = nibble;
  if (!nibble) add_quantized_form(c, value, *out, scale, zero, dtype);
  const auto define = [&] {
    const ValueId x = c.x();
    if (!c.ok()) return kNoValue;
    const ValueId s = spread(c, scale, x, axis, block);
    const ValueId z = zero == kNoValue ? kNoValue : spread(c, zero, x, axis, block);
    return quantized(c, x, s, z, dtype, nibble);
  };
  // Made later where it may never be needed.
  if (out->int8) {
    Importer* m = &c.m();
    const NodeProto* node = &c.node();
    const int64_t opset = c.opset();
    out->make = [=] {
      Call later(*m, *node, opset);
      const ValueId x = m->form(*value, kPlain);
      const ValueId s = spread(later, scale, x, axis, block);
      const ValueId z = zero == kNoValue ? kNoValue : spread(later, zero, x, axis, block);
      return quantized(later, x, s, z, dtype, nibble);
    };
  } else {
    out->form[kPlain] = define();
  }
  c.set(0, out);
}

void read_dequantize_linear(Call& c) {
  const ValPtr value = c.val(0);
  const ValueId scale = c.x(1);
  const ValueId zero = c.optional_x(2);
  if (!c.ok()) return;
  const int64_t axis = c.integer("axis", 1);
  const int64_t block = c.integer("block_size", 0);
  auto out = std::make_shared<Val>();
  const Tensor* scales = c.m().constant(scale);
  const bool may_defer =
      scales != nullptr && block == 0 && (zero == kNoValue || c.m().constant(zero) != nullptr);
  if (may_defer) add_dequantized_forms(c, value, *out, scale, zero, axis);
  Importer* m = &c.m();
  const NodeProto* node = &c.node();
  const int64_t opset = c.opset();
  const auto define = [=] {
    Call later(*m, *node, opset);
    const ValueId x = m->form(*value, kPlain);
    const ValueId s = spread(later, scale, x, axis, block);
    const ValueId z = zero == kNoValue ? kNoValue : spread(later, zero, x, axis, block);
    return dequantized(later, x, s, z);
  };
  if (out->int8 || out->stored) {
    out->make = define;
  } else {
    out->form[kPlain] = define();
  }
  c.set(0, out);
}

void read_dynamic_quantize_linear(Call& c) {
  const ValueId x = c.x();
  const ValueId zero = c.scalar(0, DType::kF32);
  const ValueId low = c.emit(ops::kMinimum, {c.reduce("min", x, {}, false), zero});
  const ValueId high = c.emit(ops::kMaximum, {c.reduce("max", x, {}, false), zero});
  const ValueId scale = c.div(c.sub(high, low), c.scalar(255, DType::kF32));
  const ValueId steps = c.emit(ops::kRound, {c.div(c.sub(zero, low), scale)});
  const ValueId point =
      c.cast(c.emit(ops::kClip, {steps}, {{"alpha", 0.0}, {"beta", 255.0}}), DType::kU8);
  c.set(0, quantized(c, x, scale, point, DType::kU8, false));
  c.set(1, scale);
  c.set(2, point);
}

void read_matmul_integer(Call& c) {
  const ValueId a = centred(c, 0, 2, true);
  const ValueId b = centred(c, 1, 3, false);
  const ValueId y = c.emit(ops::kMatmul, {c.cast(a, DType::kF64), c.cast(b, DType::kF64)});
  c.set(0, c.cast(y, DType::kI32));
}

void read_qlinear_matmul(Call& c) {
  for (const size_t i : {0U, 3U, 6U}) {
    if (!c.has(i) || !c.has(i + 1)) {
      c.fail("expected 8 inputs");
      return;
    }
  }
  ValueId a_scale = c.x(1);
  if (c.ok() && c.rank(a_scale) == 1 && c.shape(a_scale)[0] > 1)
    a_scale = c.unsqueeze(a_scale, {1});
  const ValueId a =
      c.mul(c.cast(centred(c, 0, 2, true), DType::kF64), c.cast(a_scale, DType::kF64));
  const ValueId b =
      c.mul(c.cast(centred(c, 3, 5, false), DType::kF64), c.cast(c.x(4), DType::kF64));
  const ValueId zero = c.x(7);
  if (!c.ok()) return;
  const ValueId y = c.cast(c.emit(ops::kMatmul, {a, b}), DType::kF32);
  c.set(0, quantized(c, y, c.x(6), zero, c.dtype(zero), false));
}

namespace {

// x and w of a convolution less their zero points, channels last, in double: sums are exact.
ValueId integer_conv(Call& c, ValueId x, ValueId w, ValueId bias) {
  if (!c.ok()) return kNoValue;
  auto value = std::make_shared<Val>();
  value->form[kPlain] = c.cast(x, DType::kF64);
  return conv_last(c, c.m().form(*value, kLast), c.cast(w, DType::kF64),
                   bias == kNoValue ? bias : c.cast(bias, DType::kF64));
}

ValueId centred_kernel(Call& c, size_t w_at, size_t zero_at) {
  const ValueId w = c.cast(c.x(w_at), DType::kI32);
  if (!c.has(zero_at)) return w;
  ValueId zero = c.cast(c.x(zero_at), DType::kI32);
  if (!c.ok()) return kNoValue;
  if (c.rank(w) == 0) {
    c.fail("expected a kernel [out, in, spatial...], found a scalar");
    return kNoValue;
  }
  std::vector<int64_t> along(static_cast<size_t>(c.rank(w)), 1);
  along[0] = c.shape(zero).num_elements();
  return c.sub(w, c.reshape(zero, along));
}

}  // namespace

void read_conv_integer(Call& c) {
  const ValueId y = integer_conv(c, centred(c, 0, 2, false), centred_kernel(c, 1, 3), kNoValue);
  c.set(0, c.cast(y, DType::kI32), kLast);
}

void read_qlinear_conv(Call& c) {
  if (c.count() < 8) {
    c.fail("expected at least 8 inputs, found ", c.count());
    return;
  }
  if (read_int8_qlinear_conv(c)) return;
  const ValueId sums =
      integer_conv(c, centred(c, 0, 2, false), centred_kernel(c, 3, 5), c.optional_x(8));
  const ValueId w_scale = c.x(4);
  const ValueId zero = c.x(7);
  if (!c.ok()) return;
  // One factor per output channel stands on the last axis here.
  const ValueId factor = c.mul(c.cast(c.x(1), DType::kF64), c.cast(w_scale, DType::kF64));
  const ValueId y = c.cast(c.mul(sums, factor), DType::kF32);
  c.set(0, quantized(c, y, c.x(6), zero, c.dtype(zero), false), kLast);
}

}  // namespace ew::formats::onnx
