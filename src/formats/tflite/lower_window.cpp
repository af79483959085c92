// Convolutions, poolings, fully connected layers and matrix products.
#include "formats/tflite/op_context.h"

namespace ew::formats::tflite {
namespace {

using ir::Attrs;
using Ints = std::vector<int64_t>;

/// Where an operator's options keep what all windows have.
struct WindowFields {
  int padding;
  std::vector<int> strides;    ///< one per spatial dimension
  std::vector<int> dilations;  ///< likewise, or empty
};

Result<Attrs> window_attrs(const Table& options, const WindowFields& fields) {
  const auto padding = options.scalar<Padding>(fields.padding);
  if (padding != Padding::kSame && padding != Padding::kValid) {
    return invalid_data("padding ", static_cast<int>(padding), ", expected SAME or VALID");
  }
  Ints strides;
  for (const int field : fields.strides) strides.push_back(options.scalar<int32_t>(field));
  Ints dilations;
  for (const int field : fields.dilations) dilations.push_back(options.scalar<int32_t>(field, 1));
  Attrs attrs{{"padding", std::string(padding == Padding::kSame ? "same" : "valid")},
              {"strides", strides}};
  if (!dilations.empty()) attrs.set("dilations", dilations);
  return attrs;
}

Result<std::vector<ValueId>> with_bias(const OpContext& c, ValueId x, ValueId w,
                                       size_t bias_index) {
  std::vector<ValueId> in{x, w};
  if (!c.has_input(bias_index)) return in;
  EW_TRY(const ValueId bias, c.weight(bias_index, {.name = "bias", .axis = 0}));
  in.push_back(bias);
  return in;
}

/// Weights of integer products are symmetric; only one kernel could do otherwise.
Status expect_symmetric(const OpContext& c, ValueId w) {
  const ir::TensorType& type = c.type(w);
  if (!type.quant) return {};
  for (const int32_t zero : type.quant->zero_points) {
    if (zero != 0) return unsupported("weights with the zero point ", zero, "; expected 0");
  }
  return {};
}

// Convolutions of real inputs with int8 weights use a zero point where the weights have one scale
// per channel, and none where they have one altogether.
void set_hybrid(const OpContext& c, ValueId x, ValueId w, Attrs& attrs) {
  const auto& quant = c.type(w).quant;
  attrs.set("asymmetric_inputs", !c.type(x).quant && quant != nullptr && quant->scales.size() > 1);
}

Result<ValueId> conv_2d(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  // [O, H, W, I] in the file.
  EW_TRY(const ValueId w, c.weight(1, {.perm = {1, 2, 3, 0}, .axis = 3}));
  EW_TRY(const std::vector<ValueId> in, with_bias(c, x, w, 2));
  EW_TRY(Attrs attrs, window_attrs(c.options, {0, {2, 1}, {5, 4}}));
  EW_TRY_VOID(set_clamp(attrs, c.options.scalar<Activation>(3)));
  EW_TRY_VOID(expect_symmetric(c, w));
  set_hybrid(c, x, w, attrs);
  const Shape& shape = c.type(x).shape;
  const Shape& kernel = c.type(w).shape;
  if (shape.rank() == 4 && kernel.rank() == 4 && kernel[2] > 0 && shape[3] != kUnknown) {
    attrs.set("groups", shape[3] / kernel[2]);
  }
  return c.b.add(ops::kConv, in, attrs);
}

Result<ValueId> conv_3d(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const ValueId w, c.weight(1, {.axis = 4}));
  EW_TRY(const std::vector<ValueId> in, with_bias(c, x, w, 2));
  EW_TRY(Attrs attrs, window_attrs(c.options, {0, {1, 3, 2}, {5, 7, 6}}));
  EW_TRY_VOID(set_clamp(attrs, c.options.scalar<Activation>(4)));
  return c.b.add(ops::kConv, in, attrs);
}

Result<ValueId> depthwise_conv_2d(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const ValueId stored, c.in(1));
  // [1, H, W, C*M] in the file, [H, W, C, M] here.
  const Shape kernel = c.type(stored).shape;
  const int64_t channels = c.type(x).shape.rank() == 4 ? c.type(x).shape[3] : 0;
  if (kernel.rank() != 4 || kernel[0] != 1 || channels < 1 || kernel[3] % channels != 0) {
    return invalid_data("weights of shape ", kernel, " do not fit an input of shape ",
                        c.type(x).shape);
  }
  EW_TRY(const ValueId w,
         c.weight(1, {.name = "depthwise_kernel",
                      .shape = {kernel[1], kernel[2], channels, kernel[3] / channels},
                      .axis = 2}));
  EW_TRY(const std::vector<ValueId> in, with_bias(c, x, w, 2));
  EW_TRY(Attrs attrs, window_attrs(c.options, {0, {2, 1}, {6, 5}}));
  EW_TRY_VOID(set_clamp(attrs, c.options.scalar<Activation>(4)));
  EW_TRY_VOID(expect_symmetric(c, w));
  set_hybrid(c, x, w, attrs);
  return c.b.add(ops::kDepthwiseConv, in, attrs);
}

// x as a matrix of rows of `width`, as the operator sees it whatever its rank.
Result<ValueId> as_rows(const OpContext& c, ValueId x, int64_t width) {
  const ir::TensorType type = c.type(x);
  if (type.shape.rank() == 2 && type.shape[1] == width) return x;
  if (width < 1) return invalid_data("weights without inputs");
  return c.typed(c.b.add(ops::kReshape, {x}, {{"shape", Ints{-1, width}}}), type);
}

Result<ValueId> fully_connected(const OpContext& c) {
  EW_TRY(ValueId x, c.in(0));
  if (c.options.scalar<int8_t>(1) != 0) {
    return unsupported("weights in the format SHUFFLED4x16INT8; expected the default one");
  }
  // [N, K] in the file.
  EW_TRY(const ValueId w, c.weight(1, {.perm = {1, 0}, .axis = 1}));
  const Shape kernel = c.type(w).shape;
  if (kernel.rank() != 2) return invalid_data("weights of shape ", kernel, ", expected a matrix");
  const bool keeps_dims = c.options.flag(2);
  const Shape given = c.type(x).shape;
  if (keeps_dims && (given.rank() < 1 || given[-1] != kernel[0])) {
    return invalid_data("weights for ", kernel[0], " features, input has shape ", given);
  }
  if (!keeps_dims) {
    EW_TRY(x, as_rows(c, x, kernel[0]));
  }
  EW_TRY(const std::vector<ValueId> in, with_bias(c, x, w, 2));
  Attrs attrs;
  EW_TRY_VOID(set_clamp(attrs, c.options.scalar<Activation>(0)));
  if (!c.type(x).quant || (c.type(w).quant && c.type(w).quant->scales.size() > 1)) {
    EW_TRY_VOID(expect_symmetric(c, w));
  }
  attrs.set("asymmetric_inputs", c.options.flag(3));
  return c.b.add(ops::kDense, in, attrs);
}

template <const ir::OpDef& op>
Result<ValueId> pool_2d(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(Attrs attrs, window_attrs(c.options, {0, {2, 1}, {}}));
  attrs.set("pool", Ints{c.options.scalar<int32_t>(4), c.options.scalar<int32_t>(3)});
  return apply_clamp(c, c.b.add(op, {x}, attrs), c.options.scalar<Activation>(5));
}

// The output's lengths are given; what the window covers beyond them is cut off at both ends, and
// what it does not reach is left to the bias.
Result<ValueId> transpose_conv(const OpContext& c) {
  EW_TRY(const Ints shape, c.ints(0));
  EW_TRY(const ValueId x, c.in(2));
  // [O, H, W, C] in the file.
  EW_TRY(const ValueId w, c.weight(1, {.perm = {1, 2, 0, 3}, .axis = 2}));
  EW_TRY_VOID(expect_symmetric(c, w));
  EW_TRY(const std::vector<ValueId> in, with_bias(c, x, w, 3));
  EW_TRY(Attrs attrs, window_attrs(c.options, {0, {2, 1}, {}}));
  const Shape& from = c.type(x).shape;
  const Shape& kernel = c.type(w).shape;
  if (shape.size() != 4 || from.rank() != 4 || kernel.rank() != 4 || !from.is_static()) {
    return invalid_data("an input of shape ", from, " for an output of shape ", shape);
  }
  const bool is_same = attrs.text("padding") == "same";
  Ints pads(4, 0);
  Ints extra(2, 0);
  for (size_t d = 0; d < 2; ++d) {
    const auto dim = static_cast<int>(d);
    const int64_t reach = (from[dim + 1] - 1) * attrs.ints("strides")[d] + kernel[dim];
    const int64_t over = std::max<int64_t>(reach - shape[d + 1], 0);
    pads[d] = is_same ? over / 2 : 0;
    pads[d + 2] = over - pads[d];
    extra[d] = std::max<int64_t>(shape[d + 1] - reach, 0);
  }
  attrs.set("padding", std::string("explicit"));
  attrs.set("pads", pads);
  attrs.set("output_padding", extra);
  return apply_clamp(c, c.b.add(ops::kConvTranspose, in, attrs), c.options.scalar<Activation>(3));
}

Result<ValueId> batch_matmul(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const ValueId y, c.in(1));
  return c.b.add(ops::kMatmul, {x, y},
                 {{"transpose_a", c.options.flag(0)}, {"transpose_b", c.options.flag(1)}});
}

const Lowering kLowerings[] = {
    {BuiltinOperator::kAveragePool2d, one<pool_2d<ops::kAvgPool>>},
    {BuiltinOperator::kBatchMatmul, one<batch_matmul>},
    {BuiltinOperator::kConv2d, one<conv_2d>},
    {BuiltinOperator::kConv3d, one<conv_3d>},
    {BuiltinOperator::kDepthwiseConv2d, one<depthwise_conv_2d>},
    {BuiltinOperator::kFullyConnected, one<fully_connected>},
    {BuiltinOperator::kMaxPool2d, one<pool_2d<ops::kMaxPool>>},
    {BuiltinOperator::kTransposeConv, one<transpose_conv>},
};

}  // namespace

std::span<const Lowering> window_lowerings() { return kLowerings; }

}  // namespace ew::formats::tflite
