// Convolutions, poolings and matrix products.
#include <algorithm>
#include <limits>

#include "formats/tflite/emit.h"
#include "ops/window.h"

namespace ew::formats::tflite {
namespace {

using ir::Attrs;
using ir::TensorType;
using Ints = std::vector<int64_t>;

enum OptionsType {
  kConv2d = 1,
  kDepthwise = 2,
  kPool2d = 5,
  kFullyConnected = 8,
  kTransposeConv = 49,
  kBatchMatMul = 101
};

Ints per_dim(const Attrs& attrs, const char* name, size_t rank) {
  const Ints& values = attrs.ints(name);
  return values.empty() ? Ints(rank, 1) : values;
}

Status expect_2d(const EmitContext& c) {
  if (c.in_type(0).shape.rank() == 4) return {};
  return unsupported(c.node.op->name, " over ", c.in_type(0).shape.rank() - 2,
                     " spatial dimensions; .tflite files have 2");
}

bool is_explicit(const Attrs& attrs) {
  return attrs.text("padding") == "explicit" &&
         std::any_of(attrs.ints("pads").begin(), attrs.ints("pads").end(),
                     [](int64_t p) { return p != 0; });
}

/// Explicit padding as an operator of its own, since windows know only SAME and VALID. `fill` is
/// the real value of the border; 0 is what PAD gives.
Result<int32_t> padded_input(const EmitContext& c, double fill) {
  const int32_t x = c.in(0);
  if (!is_explicit(c.node.attrs)) return x;
  const Ints& pads = c.node.attrs.ints("pads");
  std::vector<int32_t> table{0, 0, 0, 0, 0, 0, 0, 0};
  TensorType type = c.in_type(0);
  for (int d = 0; d < 2; ++d) {
    const int64_t begin = pads[static_cast<size_t>(d)];
    const int64_t end = pads[static_cast<size_t>(d) + 2];
    table[static_cast<size_t>(2 * d + 2)] = static_cast<int32_t>(begin);
    table[static_cast<size_t>(2 * d + 3)] = static_cast<int32_t>(end);
    type.shape[d + 1] += begin + end;
  }
  const int32_t sizes = c.file.constant(ir::Tensor::from(table, Shape{4, 2}), c.name("pads"));
  if (fill != 0 && type.quant && type.dtype != DType::kI8) {
    return unsupported("explicit padding of ", type);
  }
  if (fill == 0) return c.step(BuiltinOperator::kPad, {x, sizes}, type, "padded");
  ir::Tensor value(TensorType{type.dtype, Shape{1}, type.quant});
  if (type.quant)
    value.mutable_values<int8_t>()[0] = -128;
  else
    value.mutable_values<float>()[0] = static_cast<float>(fill);
  const int32_t border = c.file.constant(value, c.name("border"));
  return c.step(BuiltinOperator::kPadv2, {x, sizes, border}, type, "padded");
}

Padding padding_of(const Attrs& attrs) {
  return attrs.text("padding") == "same" ? Padding::kSame : Padding::kValid;
}

struct WindowFields {
  int stride_w = 1;
  int stride_h = 2;
  int dilation_w = -1;
  int dilation_h = -1;
};

void set_window(const EmitContext& c, FlatTable& options, const WindowFields& fields) {
  const auto set = [&](int field, int64_t value, int32_t fallback) {
    if (field >= 0) options.scalar(field, static_cast<int32_t>(value), fallback);
  };
  const Ints strides = per_dim(c.node.attrs, "strides", 2);
  const Ints dilations = per_dim(c.node.attrs, "dilations", 2);
  options.scalar(0, static_cast<int8_t>(padding_of(c.node.attrs)));
  set(fields.stride_w, strides[1], 0);
  set(fields.stride_h, strides[0], 0);
  set(fields.dilation_w, dilations[1], 1);
  set(fields.dilation_h, dilations[0], 1);
}

/// The bias as it is, or zeros: not every kernel of every runtime does without.
Result<int32_t> bias_of(const EmitContext& c, int64_t channels) {
  if (c.has_input(2)) return c.weight(2, {}, {}, 0);
  const TensorType& x = c.in_type(0);
  const TensorType& w = c.in_type(1);
  if (!x.quant) {
    return c.file.constant(ir::Tensor(DType::kF32, Shape{channels}), c.name("bias"));
  }
  ir::QuantParams q;
  for (const float s : w.quant->scales) {
    q.scales.push_back(x.quant->scales[0] * s);
    q.zero_points.push_back(0);
  }
  q.axis = q.scales.size() > 1 ? 0 : -1;
  const DType dtype = x.dtype == DType::kI16 ? DType::kI64 : DType::kI32;
  return c.file.constant(
      ir::Tensor(TensorType{dtype, Shape{channels}, std::make_shared<const ir::QuantParams>(q)}),
      c.name("bias"));
}

// Of int16 activations, sums have 64 bits but where the bias says 32.
void set_bias_type(const EmitContext& c, FlatTable& options, int field) {
  const bool is_narrow = c.has_input(2) && c.in_type(2).dtype == DType::kI32;
  if (c.in_type(0).dtype != DType::kI16 || !is_narrow) return;
  options.scalar(field, static_cast<int8_t>(ElementType::kInt32));
}

Status conv(const EmitContext& c) {
  EW_TRY_VOID(expect_2d(c));
  EW_TRY(const int32_t x, padded_input(c, 0));
  EW_TRY(const int32_t w, c.weight(1, {3, 0, 1, 2}, {}, 0));
  EW_TRY(const int32_t bias, bias_of(c, c.in_type(1).shape[3]));
  return emit_with_clamp(c, [&](int32_t y, Activation activation) -> Status {
    FlatTable& options = c.file.add(BuiltinOperator::kConv2d, {x, w, bias}, {y}, kConv2d);
    set_window(c, options, {.stride_w = 1, .stride_h = 2, .dilation_w = 4, .dilation_h = 5});
    options.scalar(3, static_cast<int8_t>(activation));
    set_bias_type(c, options, 6);
    return {};
  });
}

Status depthwise_conv(const EmitContext& c) {
  EW_TRY_VOID(expect_2d(c));
  const Shape& kernel = c.in_type(1).shape;
  const int64_t channels = kernel[2] * kernel[3];
  EW_TRY(const int32_t x, padded_input(c, 0));
  EW_TRY(const int32_t w, c.weight(1, {}, {1, kernel[0], kernel[1], channels}, 3));
  EW_TRY(const int32_t bias, bias_of(c, channels));
  return emit_with_clamp(c, [&](int32_t y, Activation activation) -> Status {
    FlatTable& options =
        c.file.add(BuiltinOperator::kDepthwiseConv2d, {x, w, bias}, {y}, kDepthwise);
    set_window(c, options, {.stride_w = 1, .stride_h = 2, .dilation_w = 5, .dilation_h = 6});
    options.scalar(3, static_cast<int32_t>(kernel[3]));
    options.scalar(4, static_cast<int8_t>(activation));
    return {};
  });
}

Status dense(const EmitContext& c) {
  EW_TRY(const int32_t w, c.weight(1, {1, 0}, {}, 0));
  EW_TRY(const int32_t bias, bias_of(c, c.in_type(1).shape[1]));
  return emit_with_clamp(c, [&](int32_t y, Activation activation) -> Status {
    FlatTable& options =
        c.file.add(BuiltinOperator::kFullyConnected, {c.in(0), w, bias}, {y}, kFullyConnected);
    options.scalar(0, static_cast<int8_t>(activation));
    options.flag(2, c.in_type(0).shape.rank() != 2);
    options.flag(3, c.node.attrs.flag("asymmetric_inputs"));
    set_bias_type(c, options, 4);
    return {};
  });
}

Status pool(const EmitContext& c, BuiltinOperator code, int32_t x) {
  const Ints& window = c.node.attrs.ints("pool");
  for (const int64_t d : per_dim(c.node.attrs, "dilations", 2)) {
    if (d != 1) return unsupported(c.node.op->name, " with dilations");
  }
  FlatTable& options = c.file.add(code, {x}, {c.out()}, kPool2d);
  set_window(c, options, {});
  options.scalar(3, static_cast<int32_t>(window[1]));
  options.scalar(4, static_cast<int32_t>(window[0]));
  return {};
}

Status max_pool(const EmitContext& c) {
  EW_TRY_VOID(expect_2d(c));
  EW_TRY(const int32_t x, padded_input(c, -std::numeric_limits<double>::infinity()));
  return pool(c, BuiltinOperator::kMaxPool2d, x);
}

Status avg_pool(const EmitContext& c) {
  EW_TRY_VOID(expect_2d(c));
  if (is_explicit(c.node.attrs)) {
    return unsupported("avg_pool with padding other than same and valid");
  }
  return pool(c, BuiltinOperator::kAveragePool2d, c.in(0));
}

/// SAME and VALID of the format cut the reach of the window down to the output's lengths; other
/// paddings must come to the same cuts. LiteRT takes only the padding whose convolution would turn
/// the output's lengths into the input's.
Result<Padding> transposed_padding(const EmitContext& c) {
  const Shape& x = c.in_type(0).shape;
  const Shape& w = c.in_type(1).shape;
  EW_TRY(const auto dims,
         ops::transposed_window_dims(ops::spatial_of(x), std::span(w.dims()).first(2),
                                     c.node.attrs.ints("output_padding"), c.node.attrs));
  bool is_same = true;
  bool is_valid = true;
  for (const ops::WindowDim& d : dims) {
    const int64_t over = std::max<int64_t>((d.out - 1) * d.stride + d.kernel - d.in, 0);
    const auto convolved = [&](int64_t length) { return (length + d.stride - 1) / d.stride; };
    is_same = is_same && d.pad_begin == over / 2 && convolved(d.in) == d.out;
    is_valid = is_valid && d.pad_begin == 0 && convolved(d.in - d.kernel + 1) == d.out;
  }
  if (is_same) return Padding::kSame;
  if (is_valid) return Padding::kValid;
  return unsupported("conv_transpose with padding that is neither SAME nor VALID");
}

Status conv_transpose(const EmitContext& c) {
  EW_TRY_VOID(expect_2d(c));
  EW_TRY(const Padding padding, transposed_padding(c));
  for (const int64_t d : per_dim(c.node.attrs, "dilations", 2)) {
    if (d != 1) return unsupported("conv_transpose with dilations");
  }
  EW_TRY(const int32_t w, c.weight(1, {2, 0, 1, 3}, {}, 0));
  std::vector<int32_t> in{c.file.ints(c.out_type().shape.dims(), c.name("shape")), w, c.in(0)};
  if (c.has_input(2)) {
    EW_TRY(const int32_t bias, c.weight(2, {}, {}, 0));
    in.push_back(bias);
  }
  FlatTable& options = c.file.add(BuiltinOperator::kTransposeConv, in, {c.out()}, kTransposeConv);
  const Ints strides = per_dim(c.node.attrs, "strides", 2);
  options.scalar(0, static_cast<int8_t>(padding));
  options.scalar(1, static_cast<int32_t>(strides[1]));
  options.scalar(2, static_cast<int32_t>(strides[0]));
  return {};
}

Status matmul(const EmitContext& c) {
  FlatTable& options =
      c.file.add(BuiltinOperator::kBatchMatmul, c.all_in(), {c.out()}, kBatchMatMul);
  options.flag(0, c.node.attrs.flag("transpose_a"));
  options.flag(1, c.node.attrs.flag("transpose_b"));
  return {};
}

const Emitter kEmitters[] = {
    {&ops::kAvgPool, avg_pool},
    {&ops::kConv, conv},
    {&ops::kConvTranspose, conv_transpose},
    {&ops::kDense, dense},
    {&ops::kDepthwiseConv, depthwise_conv},
    {&ops::kMatmul, matmul},
    {&ops::kMaxPool, max_pool},
};

}  // namespace

std::span<const Emitter> window_emitters() { return kEmitters; }

}  // namespace ew::formats::tflite
