// Keras LayerNormalization, GroupNormalization, RMSNormalization and UnitNormalization, as sums and
// products. Statistics of half types are computed in float32, as Keras does.
#include <algorithm>

#include "formats/keras/spatial.h"

namespace ew::ops {
namespace {

using formats::drops_mask;
using formats::keeps_mask;
using formats::LayerContext;
using formats::WeightOptions;

ValueId as_dtype(Builder& b, ValueId value, DType dtype) {
  if (b.type(value).dtype == dtype) return value;
  return b.add(kCast, {value}, {{"to", std::string(dtype_name(dtype))}});
}

DType wide_dtype(const Builder& b, ValueId x) {
  return b.type(x).dtype == DType::kF64 ? DType::kF64 : DType::kF32;
}

Result<std::vector<int64_t>> sorted_axes(const LayerContext& c, int rank) {
  EW_TRY(const std::vector<int64_t> given, c.config.get_ints("axis", {-1}));
  std::vector<int64_t> axes;
  for (const int64_t axis : given) {
    EW_TRY(const int checked, normalize_axis(axis, rank));
    axes.push_back(checked);
  }
  std::sort(axes.begin(), axes.end());
  if (axes.empty() || std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
    return invalid_data("axis: expected different axes, found ", given);
  }
  return axes;
}

// The sizes of some axes, and the input's shape with all other axes as 1.
struct AxisShapes {
  Shape own;
  Shape wide;
};

Result<AxisShapes> shapes_of(const Shape& input, const std::vector<int64_t>& axes) {
  AxisShapes shapes;
  shapes.wide = Shape(std::vector<int64_t>(static_cast<size_t>(input.rank()), 1));
  for (const int64_t axis : axes) {
    const int64_t size = input[static_cast<int>(axis)];
    if (size == kUnknown) return invalid_data("axis ", axis, " of ", input, " is unknown");
    shapes.own.dims().push_back(size);
    shapes.wide[static_cast<int>(axis)] = size;
  }
  EW_TRY_VOID(check_shape(shapes.own));
  return shapes;
}

// A weight of the normalised axes, ready to be multiplied with the input.
ValueId axis_weight(LayerContext& c, const char* name, const AxisShapes& shapes, DType dtype,
                    const WeightOptions& options) {
  const ValueId w = as_dtype(c.b, c.raw_weight(name, shapes.own, options), dtype);
  return c.b.add(kReshape, {w}, {{"shape", shapes.wide.dims()}});
}

struct Moments {
  ValueId centred;
  ValueId inv_deviation;  // 1 / sqrt(variance + epsilon)
};

Moments moments_of(Builder& b, ValueId x, const std::vector<int64_t>& axes, double epsilon) {
  const Attrs over{{"axes", axes}, {"keepdims", true}};
  const ValueId centred = b.add(kSub, {x, b.add(kReduceMean, {x}, over)});
  const ValueId variance = b.add(kReduceMean, {b.add(kSquare, {centred})}, over);
  const ValueId safe = b.add(kAdd, {variance, b.scalar(epsilon, b.type(x).dtype)});
  return {centred, b.add(kRsqrt, {safe})};
}

Result<ValueId> layer_normalization(LayerContext& c) {
  EW_TRY(const ValueId input, formats::sole_input(c));
  EW_TRY(const std::vector<int64_t> axes, sorted_axes(c, c.b.shape(input).rank()));
  EW_TRY(const AxisShapes shapes, shapes_of(c.b.shape(input), axes));
  EW_TRY(const double epsilon, c.config.get_double("epsilon", 1e-3));
  EW_TRY(const bool has_scale, c.config.get_bool("scale", true));
  EW_TRY(const bool has_center, c.config.get_bool("center", true));
  // Keras 3's old rms_scaling divides by the deviation without centring.
  EW_TRY(const bool is_rms, c.config.get_bool("rms_scaling", false));
  const DType dtype = wide_dtype(c.b, input);
  const ValueId x = as_dtype(c.b, input, dtype);
  const Moments m = moments_of(c.b, x, axes, epsilon);
  ValueId y = c.b.add(kMul, {is_rms ? x : m.centred, m.inv_deviation});
  if (has_scale || is_rms) {
    y = c.b.add(kMul, {y, axis_weight(c, "gamma", shapes, dtype,
                                      {.config_prefix = "gamma", .initial_value = 1})});
  }
  if (has_center && !is_rms) {
    y = c.b.add(kAdd, {y, axis_weight(c, "beta", shapes, dtype, {.config_prefix = "beta"})});
  }
  return as_dtype(c.b, y, c.b.type(input).dtype);
}

// The channels are split into groups; every group of a sample has its own statistics.
Result<ValueId> group_normalization(LayerContext& c) {
  EW_TRY(const ValueId input, formats::sole_input(c));
  const Shape shape = c.b.shape(input);
  EW_TRY(const int64_t given_axis, c.config.get_int("axis", -1));
  EW_TRY(const int axis, normalize_axis(given_axis, shape.rank()));
  EW_TRY(int64_t groups, c.config.get_int("groups", 32));
  EW_TRY(const double epsilon, c.config.get_double("epsilon", 1e-3));
  EW_TRY(const bool has_scale, c.config.get_bool("scale", true));
  EW_TRY(const bool has_center, c.config.get_bool("center", true));
  const int64_t channels = shape[axis];
  if (groups == -1) groups = channels;
  if (axis == 0 || channels < 1 || groups < 1 || channels % groups != 0) {
    return invalid_data(groups, " groups do not divide axis ", axis, " of ", shape);
  }
  // Only one open dimension besides the batch can be named in a reshape.
  std::vector<int64_t> grouped{0};
  std::vector<int64_t> back{0};
  std::vector<int64_t> reduced;
  std::vector<int64_t> wide{1};
  for (int d = 1; d < shape.rank(); ++d) {
    if (d == axis) {
      grouped.push_back(groups);
      wide.push_back(groups);
    }
    reduced.push_back(static_cast<int64_t>(grouped.size()));
    grouped.push_back(d == axis ? channels / groups : shape[d]);
    wide.push_back(d == axis ? channels / groups : 1);
    back.push_back(shape[d]);
  }
  const DType dtype = wide_dtype(c.b, input);
  const ValueId x = as_dtype(c.b, input, dtype);
  const AxisShapes shapes{{channels}, Shape(wide)};
  const Moments m = moments_of(c.b, c.b.add(kReshape, {x}, {{"shape", grouped}}), reduced, epsilon);
  ValueId y = c.b.add(kMul, {m.centred, m.inv_deviation});
  if (has_scale) {
    y = c.b.add(kMul, {y, axis_weight(c, "gamma", shapes, dtype,
                                      {.config_prefix = "gamma", .initial_value = 1})});
  }
  if (has_center) {
    y = c.b.add(kAdd, {y, axis_weight(c, "beta", shapes, dtype, {.config_prefix = "beta"})});
  }
  y = c.b.add(kReshape, {y}, {{"shape", back}});
  return as_dtype(c.b, y, c.b.type(input).dtype);
}

// x / sqrt(mean(x^2) + epsilon) * scale
Result<ValueId> rms_normalization(LayerContext& c) {
  EW_TRY(const ValueId input, formats::sole_input(c));
  EW_TRY(const std::vector<int64_t> axes, sorted_axes(c, c.b.shape(input).rank()));
  EW_TRY(const AxisShapes shapes, shapes_of(c.b.shape(input), axes));
  EW_TRY(const double epsilon, c.config.get_double("epsilon", 1e-6));
  const DType dtype = wide_dtype(c.b, input);
  const ValueId x = as_dtype(c.b, input, dtype);
  const ValueId squares =
      c.b.add(kReduceMean, {c.b.add(kSquare, {x})}, {{"axes", axes}, {"keepdims", true}});
  const ValueId safe = c.b.add(kAdd, {squares, c.b.scalar(epsilon, dtype)});
  const ValueId normal = c.b.add(kMul, {x, c.b.add(kRsqrt, {safe})});
  const ValueId scale = axis_weight(c, "scale", shapes, dtype, {.initial_value = 1});
  return as_dtype(c.b, c.b.add(kMul, {normal, scale}), c.b.type(input).dtype);
}

// x / |x| with the square of the length at least 1e-12 (tf-keras), or 1 / |x| at most 1e12 (Keras
// 3).
Result<ValueId> unit_normalization(LayerContext& c) {
  EW_TRY(const ValueId x, formats::sole_input(c));
  EW_TRY(const std::vector<int64_t> axes, sorted_axes(c, c.b.shape(x).rank()));
  const DType dtype = c.b.type(x).dtype;
  const ValueId sum =
      c.b.add(kReduceSum, {c.b.add(kSquare, {x})}, {{"axes", axes}, {"keepdims", true}});
  const double least = c.generation == ir::KerasGeneration::kKeras2 ? 1e-12 : 1e-24;
  const ValueId safe = c.b.add(kMaximum, {sum, c.b.scalar(least, dtype)});
  return c.b.add(kMul, {x, c.b.add(kRsqrt, {safe})});
}

const formats::KerasLayer kLayers[] = {
    {"GroupNormalization", keeps_mask<group_normalization>},
    {"LayerNormalization", keeps_mask<layer_normalization>},
    {"RMSNormalization", drops_mask<rms_normalization>},
    {"UnitNormalization", keeps_mask<unit_normalization>},
};

}  // namespace

extern const formats::OpIo normalization_io{.keras_layers = kLayers};

}  // namespace ew::ops
