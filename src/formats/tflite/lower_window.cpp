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

Result<ValueId> conv_2d(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  // [O, H, W, I] in the file.
  EW_TRY(const ValueId w, c.weight(1, {.perm = {1, 2, 3, 0}, .axis = 3}));
  EW_TRY(const std::vector<ValueId> in, with_bias(c, x, w, 2));
  EW_TRY(Attrs attrs, window_attrs(c.options, {0, {2, 1}, {5, 4}}));
  EW_TRY_VOID(set_clamp(attrs, c.options.scalar<Activation>(3)));
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
  return c.b.add(ops::kDense, in, attrs);
}

template <const ir::OpDef& op>
Result<ValueId> pool_2d(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(Attrs attrs, window_attrs(c.options, {0, {2, 1}, {}}));
  attrs.set("pool", Ints{c.options.scalar<int32_t>(4), c.options.scalar<int32_t>(3)});
  return apply_clamp(c, c.b.add(op, {x}, attrs), c.options.scalar<Activation>(5));
}

const Lowering kLowerings[] = {
    {BuiltinOperator::kAveragePool2d, one<pool_2d<ops::kAvgPool>>},
    {BuiltinOperator::kConv2d, one<conv_2d>},
    {BuiltinOperator::kConv3d, one<conv_3d>},
    {BuiltinOperator::kDepthwiseConv2d, one<depthwise_conv_2d>},
    {BuiltinOperator::kFullyConnected, one<fully_connected>},
    {BuiltinOperator::kMaxPool2d, one<pool_2d<ops::kMaxPool>>},
};

}  // namespace

std::span<const Lowering> window_lowerings() { return kLowerings; }

}  // namespace ew::formats::tflite
