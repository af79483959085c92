// Keras preprocessing layers over numbers: Rescaling, Normalization, and those that change images
// at random while training. The latter pass images on unchanged here, in training too: augmentation
// belongs to the data pipeline (train/augment).
#include <algorithm>
#include <numeric>

#include "formats/keras/spatial.h"

namespace ew::ops {
namespace {

using formats::drops_mask;
using formats::keeps_mask;
using formats::LayerContext;

// Integer images become floating.
ValueId as_compute(LayerContext& c, ValueId x) {
  if (c.b.type(x).dtype == c.compute_dtype) return x;
  return c.b.add(kCast, {x}, {{"to", std::string(dtype_name(c.compute_dtype))}});
}

// A number or a nest of lists of numbers, flattened in order.
Status collect_numbers(const Config& value, std::vector<double>& numbers, int depth = 0) {
  if (value.is_number()) {
    numbers.push_back(value.as_double());
  } else if (value.is_list() && depth < 8) {
    for (const Config& item : value.as_list()) {
      EW_TRY_VOID(collect_numbers(item, numbers, depth + 1));
    }
  } else {
    return invalid_data("expected numbers, found a ", value.kind_name());
  }
  return {};
}

// Numbers of the config as a constant: a scalar, or one per element of `shape`.
Result<ValueId> constant(LayerContext& c, const char* key, double fallback, const Shape& shape) {
  std::vector<double> numbers;
  const Config& value = c.config[key];
  if (value.is_null()) numbers.push_back(fallback);
  const Status status = value.is_null() ? Status() : collect_numbers(value, numbers);
  if (!status.ok()) return at(key, status.error());
  if (numbers.size() == 1) return c.b.scalar(numbers[0], c.compute_dtype);
  if (static_cast<int64_t>(numbers.size()) != shape.num_elements()) {
    return invalid_data(key, ": expected ", shape.num_elements(), " numbers, found ",
                        numbers.size());
  }
  return c.b.constant(Tensor::from(numbers, shape).cast(c.compute_dtype));
}

Result<ValueId> rescaling(LayerContext& c) {
  EW_TRY(const ValueId input, formats::sole_input(c));
  const ValueId x = as_compute(c, input);
  const Shape& shape = c.b.shape(x);
  const int64_t last = shape.rank() > 0 ? std::max<int64_t>(shape[-1], 0) : 0;
  EW_TRY(const ValueId scale, constant(c, "scale", 1, {last}));
  EW_TRY(const ValueId offset, constant(c, "offset", 0, {last}));
  return c.b.add(kAdd, {c.b.add(kMul, {x, scale}), offset});
}

// Which axes have statistics of their own, in order.
Result<std::vector<int>> kept_axes(const LayerContext& c, int rank) {
  const Config& axis = c.config["axis"];
  std::vector<int64_t> given;
  if (!axis.is_null() || !c.config.has("axis")) {
    EW_TRY(given, c.config.get_ints("axis", {-1}));
  }
  std::vector<int> axes;
  for (const int64_t a : given) {
    EW_TRY(const int checked, normalize_axis(a, rank));
    axes.push_back(checked);
  }
  std::sort(axes.begin(), axes.end());
  return axes;
}

// A statistic from the config or, for an adapted layer, from its weights, of shape `wide`.
struct Statistics {
  ValueId mean = kNoValue;
  ValueId variance = kNoValue;
};

Result<Statistics> statistics_of(LayerContext& c, const Shape& own, const Shape& wide) {
  Statistics s;
  // Keras 3 writes "no mean" as null, but tf-keras' None may also come as a list of null.
  const bool is_given = !c.config["mean"].is_null();
  if (is_given) {
    EW_TRY(s.mean, constant(c, "mean", 0, wide));
    EW_TRY(s.variance, constant(c, "variance", 1, wide));
    return s;
  }
  const auto weight = [&](const char* name, float initial) {
    const ValueId w = c.weight(name, own, {.is_trainable = false, .initial_value = initial});
    return c.b.add(kReshape, {w}, {{"shape", wide.dims()}});
  };
  s.mean = weight("mean", 0);
  s.variance = weight("variance", 1);
  // The number of samples seen, which nothing here reads but files hold.
  const DType floating = c.variable_dtype;
  c.variable_dtype = c.generation == ir::KerasGeneration::kKeras2 ? DType::kI64 : DType::kI32;
  c.raw_weight("count", {}, {.is_trainable = false});
  c.variable_dtype = floating;
  return s;
}

// (x - mean) / max(sqrt(variance), 1e-7), or back by `invert`.
Result<ValueId> normalization(LayerContext& c) {
  EW_TRY(const ValueId input, formats::sole_input(c));
  const ValueId x = as_compute(c, input);
  const Shape shape = c.b.shape(x);
  EW_TRY(const std::vector<int> axes, kept_axes(c, shape.rank()));
  Shape own;
  Shape wide(std::vector<int64_t>(static_cast<size_t>(shape.rank()), 1));
  for (const int axis : axes) {
    if (shape[axis] == kUnknown) return invalid_data("axis ", axis, " of ", shape, " is unknown");
    own.dims().push_back(shape[axis]);
    wide[axis] = shape[axis];
  }
  EW_TRY(const Statistics s, statistics_of(c, own, wide));
  const ValueId floor = c.b.scalar(1e-7, c.compute_dtype);
  const ValueId deviation = c.b.add(kMaximum, {c.b.add(kSqrt, {s.variance}), floor});
  if (c.config["invert"].as_bool(false)) {
    return c.b.add(kAdd, {s.mean, c.b.add(kMul, {x, deviation})});
  }
  return c.b.add(kDiv, {c.b.add(kSub, {x, s.mean}), deviation});
}

Result<ValueId> unchanged(LayerContext& c) {
  EW_TRY(const ValueId x, formats::sole_input(c));
  return as_compute(c, x);
}

const formats::KerasLayer kLayers[] = {
    {"AugMix", drops_mask<unchanged>},
    {"CutMix", drops_mask<unchanged>},
    {"MixUp", drops_mask<unchanged>},
    {"Normalization", keeps_mask<normalization>},
    {"RandAugment", drops_mask<unchanged>},
    {"RandomBrightness", drops_mask<unchanged>},
    {"RandomColorDegeneration", drops_mask<unchanged>},
    {"RandomColorJitter", drops_mask<unchanged>},
    {"RandomContrast", drops_mask<unchanged>},
    {"RandomElasticTransform", drops_mask<unchanged>},
    {"RandomErasing", drops_mask<unchanged>},
    {"RandomFlip", drops_mask<unchanged>},
    {"RandomGaussianBlur", drops_mask<unchanged>},
    {"RandomGrayscale", drops_mask<unchanged>},
    {"RandomHeight", drops_mask<unchanged>},
    {"RandomHue", drops_mask<unchanged>},
    {"RandomInvert", drops_mask<unchanged>},
    {"RandomPerspective", drops_mask<unchanged>},
    {"RandomPosterization", drops_mask<unchanged>},
    {"RandomRotation", drops_mask<unchanged>},
    {"RandomSaturation", drops_mask<unchanged>},
    {"RandomSharpness", drops_mask<unchanged>},
    {"RandomShear", drops_mask<unchanged>},
    {"RandomTranslation", drops_mask<unchanged>},
    {"RandomWidth", drops_mask<unchanged>},
    {"RandomZoom", drops_mask<unchanged>},
    {"Rescaling", keeps_mask<rescaling>},
};

}  // namespace

extern const formats::OpIo preprocessing_io{.keras_layers = kLayers};

}  // namespace ew::ops
