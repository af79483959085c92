// Quantised operators of ONNX Runtime's own domain, by their definition: inputs to real numbers,
// the operator, its result to integers.
#include "formats/onnx/handlers.h"

namespace ew::formats::onnx {
namespace {

// Input i with its scale and zero point behind it.
ValueId real_input(Call& c, size_t i) {
  const ValueId x = c.x(i);
  const ValueId scale = c.x(i + 1);
  return c.ok() ? dequantized(c, x, scale, c.optional_x(i + 2)) : kNoValue;
}

// The same, channels last.
ValueId real_last(Call& c, size_t i) {
  auto value = std::make_shared<Val>();
  value->form[kPlain] = real_input(c, i);
  return c.ok() ? c.m().form(*value, kLast) : kNoValue;
}

// `y` by the scale and zero point at inputs i and i + 1.
void set_stored(Call& c, ValueId y, size_t i, DType fallback, Layout layout = kPlain) {
  const ValueId scale = c.x(i);
  const ValueId zero = c.optional_x(i + 1);
  if (!c.ok()) return;
  const DType dtype = zero == kNoValue ? fallback : c.dtype(zero);
  c.set(0, quantized(c, y, scale, zero, dtype, false), layout);
}

DType stored_dtype(Call& c, size_t i) {
  const ValueId x = c.x(i);
  return c.ok() ? c.dtype(x) : DType::kU8;
}

void two_inputs(Call& c, const OpDef& op) {
  const ValueId a = real_input(c, 0);
  const ValueId b = real_input(c, 3);
  set_stored(c, c.emit(op, {a, b}), 6, stored_dtype(c, 0));
}

}  // namespace

void read_qlinear_add(Call& c) { two_inputs(c, ops::kAdd); }
void read_qlinear_mul(Call& c) { two_inputs(c, ops::kMul); }

void read_qlinear_sigmoid(Call& c) {
  set_stored(c, c.emit(ops::kSigmoid, {real_input(c, 0)}), 3, stored_dtype(c, 0));
}

void read_qlinear_leaky_relu(Call& c) {
  const ValueId y =
      c.emit(ops::kLeakyRelu, {real_input(c, 0)}, {{"alpha", c.number("alpha", 0.01F)}});
  set_stored(c, y, 3, stored_dtype(c, 0));
}

void read_qlinear_softmax(Call& c) {
  const ValueId x = real_input(c, 0);
  if (c.integer("opset", 13) < 13) {
    c.unsupported("the softmax of operator sets before 13");
    return;
  }
  const ValueId y = c.emit(ops::kSoftmax, {x}, {{"axis", c.integer("axis", -1)}});
  set_stored(c, y, 3, stored_dtype(c, 0));
}

void read_qlinear_global_average_pool(Call& c) {
  const bool is_last = c.integer("channels_last", 0) != 0;
  const ValueId x = is_last ? real_input(c, 0) : real_last(c, 0);
  if (!c.ok()) return;
  std::vector<int64_t> axes;
  for (int d = 1; d < c.rank(x) - 1; ++d) axes.push_back(d);
  set_stored(c, c.reduce("mean", x, axes, true), 3, stored_dtype(c, 0), is_last ? kPlain : kLast);
}

void read_qlinear_average_pool(Call& c) {
  const bool is_last = c.integer("channels_last", 0) != 0;
  const ValueId x = is_last ? real_input(c, 0) : real_last(c, 0);
  set_stored(c, average_pool(c, x), 3, stored_dtype(c, 0), is_last ? kPlain : kLast);
}

void read_qlinear_concat(Call& c) {
  std::vector<ValueId> parts;
  for (size_t i = 2; i + 2 < c.count() && c.ok(); i += 3) parts.push_back(real_input(c, i));
  if (parts.empty()) {
    c.fail("expected a scale, a zero point and triples of them with a tensor");
    return;
  }
  set_stored(c, c.concat(parts, c.integer("axis", 0)), 0, stored_dtype(c, 2));
}

void read_qgemm(Call& c) {
  ValueId a = real_input(c, 0);
  const bool transposed = c.integer("transB", 0) != 0;
  // Several scales of b are those of its columns.
  const auto by_column = [&](ValueId v) {
    const bool is_column =
        transposed && c.ok() && v != kNoValue && c.rank(v) == 1 && c.shape(v).num_elements() > 1;
    return is_column ? c.unsqueeze(v, {1}) : v;
  };
  ValueId b = dequantized(c, c.x(3), by_column(c.x(4)), by_column(c.optional_x(5)));
  if (c.integer("transA", 0) != 0) a = c.transpose(a, {1, 0});
  if (transposed) b = c.transpose(b, {1, 0});
  ValueId y = c.emit(ops::kMatmul, {a, b});
  const double alpha = c.number("alpha", 1);
  if (c.has(6)) {  // int32 at the product of the scales
    const ValueId scale = c.mul(c.x(1), c.x(4));
    ValueId bias = c.cast(c.x(6), DType::kF32);
    bias = c.mul(bias, scale);
    y = c.add(y, bias);
  }
  if (alpha != 1) y = c.mul(y, c.scalar_like(alpha, y));
  if (!c.has(7)) return c.set(0, y);
  set_stored(c, y, 7, stored_dtype(c, 0));
}

}  // namespace ew::formats::onnx
