// Resize and Upsample: coordinates are worked out here, once, into tables for ops::kResample.
#include <algorithm>
#include <cmath>

#include "formats/onnx/handlers.h"

namespace ew::formats::onnx {
namespace {

struct Settings {
  std::string mode = "nearest";
  std::string coordinates = "half_pixel";
  std::string nearest = "round_prefer_floor";
  double cubic_a = -0.75;
  bool exclude_outside = false;
  bool antialias = false;
};

struct Axis {
  int64_t in = 1;
  int64_t out = 1;
  double scale = 1;
  double start = 0;  ///< region of interest, for tf_crop_and_resize
  double end = 1;
};

// Per output: the inputs it is made of, K of them, and whether it lies outside the region.
struct Taps {
  std::vector<int64_t> ids;
  std::vector<double> weights;
  std::vector<bool> outside;
};

double position(const Settings& s, const Axis& a, int64_t o) {
  const auto x = static_cast<double>(o);
  const auto in = static_cast<double>(a.in);
  const auto out = static_cast<double>(a.out);
  // Where a scale was given, the length before it was rounded down.
  const double length = in * a.scale;
  if (s.coordinates == "asymmetric") return x / a.scale;
  if (s.coordinates == "align_corners") return length == 1 ? 0 : x * (in - 1) / (length - 1);
  if (s.coordinates == "pytorch_half_pixel" && a.out <= 1) return 0;
  if (s.coordinates == "tf_crop_and_resize") {
    if (a.out <= 1) return 0.5 * (a.start + a.end) * (in - 1);
    return a.start * (in - 1) + x * (a.end - a.start) * (in - 1) / (out - 1);
  }
  if (s.coordinates == "tf_half_pixel_for_nn") return (x + 0.5) / a.scale;
  const double plain = (x + 0.5) / a.scale - 0.5;
  if (s.coordinates != "half_pixel_symmetric") return plain;
  const double adjustment = out / (in * a.scale);
  return in / 2 * (1 - adjustment) + plain;
}

double cubic(double x, double a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

// Weights of the inputs from `first` on around a position `ratio` after the base element.
std::vector<double> weights_of(const Settings& s, double ratio, double scale, int64_t& first) {
  std::vector<double> w;
  if (s.mode == "nearest") {
    bool right = s.nearest == "ceil";
    if (s.nearest == "round_prefer_floor") right = ratio > 0.5;
    if (s.nearest == "round_prefer_ceil") right = ratio >= 0.5;
    if (ratio == 1) right = true;  // exactly on it
    first = 0;
    return right ? std::vector<double>{0, 1} : std::vector<double>{1, 0};
  }
  const double shrink = s.antialias ? std::min(scale, 1.0) : 1.0;
  const double reach = s.mode == "cubic" ? 2 : 1;
  first = static_cast<int64_t>(std::floor(-reach / shrink)) + 1;
  const int64_t last = 1 - first;
  double sum = 0;
  for (int64_t i = first; i <= last; ++i) {
    const double d = (static_cast<double>(i) - ratio) * shrink;
    w.push_back(s.mode == "cubic" ? cubic(d, s.cubic_a) : std::max(1 - std::abs(d), 0.0));
    sum += w.back();
  }
  if (s.antialias) {
    for (double& v : w) v /= sum;
  }
  return w;
}

Taps taps_of(const Settings& s, const Axis& a) {
  Taps t;
  for (int64_t o = 0; o < a.out; ++o) {
    const double x = position(s, a, o);
    const double floor = std::floor(x);
    // A position on an element belongs to the interval on its left.
    const double base = x == floor ? floor - 1 : floor;
    int64_t first = 0;
    std::vector<double> w = weights_of(s, x - base, a.scale, first);
    double inside = 0;
    const auto begin = static_cast<int64_t>(std::clamp(base, -1e9, 1e9)) + first;
    for (size_t k = 0; k < w.size(); ++k) {
      const int64_t id = begin + static_cast<int64_t>(k);
      const bool is_inside = id >= 0 && id < a.in;
      if (s.exclude_outside && !is_inside) w[k] = 0;
      inside += w[k];
      t.ids.push_back(std::clamp<int64_t>(id, 0, a.in - 1));
    }
    for (const double v : w) t.weights.push_back(s.exclude_outside && inside != 0 ? v / inside : v);
    t.outside.push_back(x < 0 || x > static_cast<double>(a.in - 1));
  }
  return t;
}

// Every element `factor` times in a row?
int64_t repeat_factor(const Settings& s, const Axis& a, const Taps& t) {
  if (s.mode != "nearest" || a.in < 1 || a.out % a.in != 0 || a.out == 0) return 0;
  const int64_t factor = a.out / a.in;
  for (int64_t o = 0; o < a.out; ++o) {
    const auto at = static_cast<size_t>(2 * o);
    const int64_t id = t.weights[at] == 1 ? t.ids[at] : t.ids[at + 1];
    if (id != o / factor) return 0;
  }
  return factor;
}

struct Plan {
  std::vector<int64_t> axes;  ///< as the file lays x out
  std::vector<double> scales;
  std::vector<int64_t> sizes;  ///< instead of scales
  std::vector<double> roi;
};

bool read_plan(Call& c, const Shape& x, Plan& plan) {
  const bool old = c.node().op_type == "Upsample" || c.opset() < 11;
  const size_t scales_at = old ? 1 : 2;
  plan.axes = c.ints("axes");
  if (plan.axes.empty()) {
    for (int d = 0; d < x.rank(); ++d) plan.axes.push_back(d);
  }
  if (c.node().op_type == "Upsample" && c.opset() < 9) {
    plan.scales = c.numbers("scales");
  } else if (c.has(scales_at)) {
    const Tensor scales = c.known(scales_at, "the scales");
    if (!c.ok()) return false;
    const Tensor wide = scales.cast(DType::kF64);
    plan.scales.assign(wide.values<double>().begin(), wide.values<double>().end());
  }
  if (plan.scales.empty() && !old && c.has(3)) plan.sizes = c.known_ints(3, "the sizes");
  if (!old && c.has(1) && c.text("coordinate_transformation_mode", "") == "tf_crop_and_resize") {
    const Tensor roi = c.known(1, "the region");
    if (!c.ok()) return false;
    const Tensor wide = roi.cast(DType::kF64);
    plan.roi.assign(wide.values<double>().begin(), wide.values<double>().end());
  }
  const size_t n = plan.axes.size();
  const bool fits = (plan.scales.size() == n) != (plan.sizes.size() == n);
  const bool roi_fits = plan.roi.empty() || plan.roi.size() == 2 * n;
  if (c.ok() && (!fits || !roi_fits)) {
    c.fail("expected ", n, " scales or sizes, found ", plan.scales.size(), " and ",
           plan.sizes.size());
  }
  return c.ok();
}

// Sizes become scales; one scale for all if the aspect ratio is to be kept.
void keep_aspect(const std::string& policy, const Shape& x, Plan& plan) {
  if (plan.sizes.empty() || policy == "stretch") return;
  double scale = policy == "not_larger" ? 1e30 : 0;
  for (size_t i = 0; i < plan.axes.size(); ++i) {
    const double own =
        static_cast<double>(plan.sizes[i]) / static_cast<double>(x[static_cast<int>(plan.axes[i])]);
    scale = policy == "not_larger" ? std::min(scale, own) : std::max(scale, own);
  }
  for (size_t i = 0; i < plan.axes.size(); ++i) {
    const auto in = static_cast<double>(x[static_cast<int>(plan.axes[i])]);
    plan.sizes[i] = static_cast<int64_t>(std::floor(scale * in + 0.5));
  }
  plan.scales.assign(plan.axes.size(), scale);
}

bool is_known_mode(Call& c, const Settings& s) {
  const auto is_one = [](const std::string& word, std::initializer_list<const char*> words) {
    return std::any_of(words.begin(), words.end(), [&](const char* w) { return word == w; });
  };
  if (!is_one(s.mode, {"nearest", "linear", "cubic"})) c.fail("unknown mode '", s.mode, "'");
  if (!is_one(s.coordinates,
              {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
               "asymmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn"})) {
    c.fail("unknown coordinate_transformation_mode '", s.coordinates, "'");
  }
  if (!is_one(s.nearest, {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"})) {
    c.fail("unknown nearest_mode '", s.nearest, "'");
  }
  return c.ok();
}

// Open lengths: whole factors of nearest neighbours need no table.
ValueId repeat_open(Call& c, ValueId y, int d, double scale, const Settings& s) {
  const bool is_floor = (s.coordinates == "asymmetric" && s.nearest == "floor") ||
                        (s.coordinates == "half_pixel" && s.nearest == "round_prefer_floor");
  if (s.mode != "nearest" || scale != std::floor(scale) || scale < 1 || scale > 4096 || !is_floor) {
    c.need_static(y, "the resized lengths");
    return kNoValue;
  }
  return c.emit(ops::kRepeat, {y},
                {{"axis", int64_t{d}}, {"repeats", static_cast<int64_t>(scale)}});
}

ValueId resize_axis(Call& c, ValueId y, int d, const Axis& a, const Settings& s,
                    std::vector<bool>& outside) {
  if (a.in < 1 || a.out < 0 || a.out > (int64_t{1} << 20) || !(a.scale > 1e-6)) {
    c.fail("cannot resize ", a.in, " to ", a.out);
    return kNoValue;
  }
  const Taps t = taps_of(s, a);
  if (s.coordinates == "tf_crop_and_resize") outside = t.outside;
  if (const int64_t factor = repeat_factor(s, a, t)) {
    return c.emit(ops::kRepeat, {y}, {{"axis", int64_t{d}}, {"repeats", factor}});
  }
  const int64_t k = a.out == 0 ? 1 : static_cast<int64_t>(t.ids.size()) / a.out;
  const Shape shape{a.out, k};
  return c.emit(ops::kResample,
                {y, c.m().b().constant(Tensor::from<int64_t>(t.ids, shape)),
                 c.m().b().constant(Tensor::from<double>(t.weights, shape))},
                {{"axis", int64_t{d}}});
}

void resize(Call& c, const Settings& s) {
  const ValPtr value = c.val(0);
  if (!c.ok() || !is_known_mode(c, s)) return;
  const bool is_last = value->form[kLast] != kNoValue && value->form[kPlain] == kNoValue;
  ValueId y = is_last ? value->form[kLast] : c.x();
  if (!c.ok()) return;
  Shape x = c.shape(y);
  if (is_last) std::rotate(x.dims().begin() + 1, x.dims().end() - 1, x.dims().end());
  const DType own = c.dtype(y);
  Plan plan;
  if (!read_plan(c, x, plan)) return;
  for (int64_t& axis : plan.axes) {
    const Result<int> d = normalize_axis(axis, x.rank());
    if (!d.ok()) {
      c.fail(d.error().message);
      return;
    }
    axis = *d;
  }
  const std::string policy = c.text("keep_aspect_ratio_policy", "stretch");
  if (!plan.sizes.empty() && !x.is_static()) {
    c.need_static(y, "the resized lengths");
    return;
  }
  keep_aspect(policy, x, plan);
  if (!is_floating(own)) y = c.cast(y, DType::kF32);
  std::vector<std::pair<int, std::vector<bool>>> outside;
  for (size_t i = 0; i < plan.axes.size() && c.ok(); ++i) {
    const auto axis = static_cast<int>(plan.axes[i]);
    Axis a;
    a.in = x[axis];
    const int d = !is_last || axis == 0 ? axis : axis == 1 ? x.rank() - 1 : axis - 1;
    if (!plan.scales.empty()) a.scale = plan.scales[i];
    if (!std::isfinite(a.scale) || a.scale < 0) {
      c.fail(str("scale ", a.scale, " of axis ", axis, "; expected a positive number"));
      return;
    }
    if (a.in == kUnknown) {
      if (a.scale != 1) y = repeat_open(c, y, d, a.scale, s);
      continue;
    }
    const auto in = static_cast<double>(a.in);
    if (!plan.sizes.empty()) {
      a.out = plan.sizes[i];
      if (plan.scales.empty()) a.scale = static_cast<double>(a.out) / in;
    } else {
      a.out = static_cast<int64_t>(std::clamp(std::floor(in * a.scale), 0.0, 1e9));
    }
    const bool has_roi = !plan.roi.empty();
    if (has_roi) {
      a.start = plan.roi[i];
      a.end = plan.roi[plan.axes.size() + i];
    }
    if (a.out == a.in && a.scale == 1 && (!has_roi || (a.start == 0 && a.end == 1))) continue;
    std::vector<bool> beyond;
    y = resize_axis(c, y, d, a, s, beyond);
    if (!beyond.empty()) outside.emplace_back(d, beyond);
  }
  for (const auto& [d, beyond] : outside) {
    if (!c.ok()) return;
    Tensor mask(DType::kBool, Shape{static_cast<int64_t>(beyond.size())});
    std::copy(beyond.begin(), beyond.end(), mask.mutable_values<bool>().begin());
    std::vector<int64_t> along(static_cast<size_t>(x.rank()), 1);
    along[static_cast<size_t>(d)] = mask.size();
    const ValueId hit = c.reshape(c.m().b().constant(std::move(mask)), along);
    y = c.emit(ops::kWhere, {hit, c.scalar_like(c.number("extrapolation_value", 0), y), y});
  }
  c.set(0, c.cast(y, own), is_last ? kLast : kPlain);
}

}  // namespace

void read_resize(Call& c) {
  Settings s;
  s.mode = c.text("mode", "nearest");
  if (c.opset() < 11) {
    s.coordinates = "asymmetric";
    s.nearest = "floor";
  } else {
    s.coordinates = c.text("coordinate_transformation_mode", "half_pixel");
    s.nearest = c.text("nearest_mode", "round_prefer_floor");
    s.cubic_a = c.number("cubic_coeff_a", -0.75);
    s.exclude_outside = c.integer("exclude_outside", 0) != 0;
    s.antialias = c.integer("antialias", 0) != 0;
  }
  resize(c, s);
}

void read_upsample(Call& c) {
  Settings s;
  s.mode = c.text("mode", "nearest");
  s.coordinates = "asymmetric";
  s.nearest = "floor";
  resize(c, s);
}

}  // namespace ew::formats::onnx
