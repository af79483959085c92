// Windows and poolings of ONNX.
#include <algorithm>

#include "formats/onnx/handlers.h"
#include "formats/onnx/int8_forms.h"

namespace ew::formats::onnx {
namespace {

bool per_dimension(Call& c, std::vector<int64_t>& values, size_t n, int64_t fallback,
                   const char* name) {
  if (values.empty()) values.assign(n, fallback);
  if (values.size() == n && std::all_of(values.begin(), values.end(),
                                        [](int64_t v) { return v >= 0 && v <= kMaxElements; })) {
    return true;
  }
  c.fail(name, " ", values, " do not fit ", n, " dimensions");
  return false;
}

// A window may start in the padding at the end only if it starts inside the input.
void apply_ceil_mode(const Shape& x, WindowSpec& w) {
  const size_t n = w.kernel.size();
  for (size_t i = 0; i < n; ++i) {
    const int64_t in = x[static_cast<int>(i) + 2];
    const int64_t extent = (w.kernel[i] - 1) * w.dilations[i] + 1;
    const int64_t room = in + w.pads[i] + w.pads[n + i] - extent;
    if (room < 0) continue;
    const int64_t out = (room + w.strides[i] - 1) / w.strides[i] + 1;
    const bool starts_outside = (out - 1) * w.strides[i] >= in + w.pads[i];
    const int64_t kept = starts_outside ? out - 1 : out;
    const int64_t needed = (kept - 1) * w.strides[i] + extent - in - w.pads[i];
    w.pads[n + i] = std::max(w.pads[n + i], needed);
  }
}

ValPtr pool_input(Call& c, Shape& shape) {
  const ValPtr value = c.val(0);
  const ValueId x = c.ok() ? c.m().form(*value, kLast) : kNoValue;
  if (!c.ok()) return value;
  shape = c.shape(x);
  if (shape.rank() < 3) {
    c.fail("expected [N, C, spatial...], found ", shape);
    return value;
  }
  std::rotate(shape.dims().begin() + 1, shape.dims().end() - 1, shape.dims().end());
  return value;
}

Attrs pool_attrs(const WindowSpec& w) {
  Attrs attrs = window_attrs(w);
  attrs.set("pool", w.kernel);
  return attrs;
}

// Padding that counts becomes part of the input.
ValueId padded(Call& c, ValueId x, const std::vector<int64_t>& pads) {
  const size_t n = pads.size() / 2;
  std::vector<int64_t> full(2 * n + 4, 0);
  for (size_t i = 0; i < n; ++i) {
    full[i + 1] = pads[i];
    full[n + 2 + i + 1] = pads[n + i];
  }
  return c.emit(ops::kPad, {x}, {{"pads", full}, {"value", 0.0}});
}

std::vector<int64_t> spatial_axes(int rank) {
  std::vector<int64_t> axes;
  for (int d = 1; d < rank - 1; ++d) axes.push_back(d);
  return axes;
}

// (sum |x|^p)^(1/p) from the p-th powers.
ValueId root(Call& c, ValueId sum, double p) {
  return c.emit(ops::kPower, {sum}, {{"alpha", 1 / p}});
}

ValueId powers(Call& c, ValueId x, double p) {
  return c.emit(ops::kPower, {c.emit(ops::kAbs, {x})}, {{"alpha", p}});
}

void global(Call& c, const char* kind) {
  Shape shape;
  const ValPtr value = pool_input(c, shape);
  if (!c.ok()) return;
  c.set(0, c.reduce(kind, c.m().form(*value, kLast), spatial_axes(shape.rank()), true), kLast);
}

}  // namespace

WindowSpec read_window(Call& c, const Shape& x, std::vector<int64_t> kernel) {
  WindowSpec w;
  const size_t n = kernel.size();
  w.kernel = std::move(kernel);
  w.strides = c.ints("strides");
  w.dilations = c.ints("dilations");
  w.pads = c.ints("pads");
  const bool is_good = static_cast<int>(n) == x.rank() - 2 &&
                       per_dimension(c, w.strides, n, 1, "strides") &&
                       per_dimension(c, w.dilations, n, 1, "dilations") &&
                       per_dimension(c, w.pads, 2 * n, 0, "pads") &&
                       per_dimension(c, w.kernel, n, 1, "kernel_shape");
  for (size_t i = 0; is_good && i < n; ++i) {
    const int64_t sum = w.kernel[i] * w.dilations[i];
    if (w.strides[i] < 1 || w.dilations[i] < 1 || w.kernel[i] < 1 || sum > kMaxElements) {
      c.fail("strides, dilations and kernel must be at least 1");
    }
  }
  if (!is_good && c.ok()) c.fail("kernel ", w.kernel, " does not fit ", x);
  if (!c.ok()) return w;
  const std::string mode = c.text("auto_pad", "NOTSET");
  const bool is_same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  const bool is_transposed = c.node().op_type == "ConvTranspose";
  if (mode == "VALID") w.pads.assign(2 * n, 0);
  const bool ceil = c.integer("ceil_mode", 0) != 0;
  if ((!is_same && !ceil) || is_transposed) return w;
  if (!Shape(std::vector<int64_t>(x.begin() + 2, x.end())).is_static()) {
    Val open;
    open.has_dims = true;
    c.m().require(open, str(c.where(), ": the lengths (auto_pad or ceil_mode)"));
    return w;
  }
  for (size_t i = 0; is_same && i < n; ++i) {
    const int64_t in = x[static_cast<int>(i) + 2];
    const int64_t out = (in + w.strides[i] - 1) / w.strides[i];
    const int64_t extent = (w.kernel[i] - 1) * w.dilations[i] + 1;
    const int64_t total = std::max<int64_t>((out - 1) * w.strides[i] + extent - in, 0);
    w.pads[i] = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
    w.pads[n + i] = total - w.pads[i];
  }
  if (ceil && !is_same) apply_ceil_mode(x, w);
  return w;
}

Attrs window_attrs(const WindowSpec& w) {
  const bool is_padded =
      std::any_of(w.pads.begin(), w.pads.end(), [](int64_t p) { return p != 0; });
  Attrs attrs{{"strides", w.strides}, {"dilations", w.dilations}};
  attrs.set("padding", std::string(is_padded ? "explicit" : "valid"));
  attrs.set("pads", is_padded ? w.pads : std::vector<int64_t>());
  return attrs;
}

void read_max_pool(Call& c) {
  if (read_int8_pool(c, "max")) return;
  Shape shape;
  const ValPtr value = pool_input(c, shape);
  if (!c.ok()) return;
  const WindowSpec w = read_window(c, shape, c.ints("kernel_shape"));
  if (c.wants(1)) {
    c.unsupported("the places of the maxima");
    return;
  }
  ValueId x = c.m().form(*value, kLast);
  if (!c.ok()) return;
  const DType own = c.dtype(x);
  if (!is_floating(own)) x = c.cast(x, DType::kF32);  // 8-bit integers, which float32 holds
  c.set(0, c.cast(c.emit(ops::kMaxPool, {x}, pool_attrs(w)), own), kLast);
}

ValueId average_pool(Call& c, ValueId x_last) {
  if (!c.ok()) return kNoValue;
  Shape shape = c.shape(x_last);
  if (shape.rank() < 3) return c.fail("expected [N, C, spatial...], found ", shape);
  std::rotate(shape.dims().begin() + 1, shape.dims().end() - 1, shape.dims().end());
  WindowSpec w = read_window(c, shape, c.ints("kernel_shape"));
  if (!c.ok()) return kNoValue;
  if (c.integer("count_include_pad", 0) != 0) {
    // The node's own padding counts, what ceil_mode adds does not.
    std::vector<int64_t> own = c.ints("pads");
    if (own.empty() || c.text("auto_pad", "NOTSET") != "NOTSET") own = w.pads;
    x_last = padded(c, x_last, own);
    for (size_t i = 0; i < w.pads.size(); ++i) w.pads[i] -= own[i];
  }
  return c.emit(ops::kAvgPool, {x_last}, pool_attrs(w));
}

void read_average_pool(Call& c) {
  if (read_int8_pool(c, "mean")) return;
  Shape shape;
  const ValPtr value = pool_input(c, shape);
  if (!c.ok()) return;
  c.set(0, average_pool(c, c.m().form(*value, kLast)), kLast);
}

void read_lp_pool(Call& c) {
  Shape shape;
  const ValPtr value = pool_input(c, shape);
  if (!c.ok()) return;
  WindowSpec w = read_window(c, shape, c.ints("kernel_shape"));
  const auto p = static_cast<double>(c.integer("p", 2));
  if (!c.ok() || p < 1) {
    c.fail("p: expected 1 or more");
    return;
  }
  // The mean over the window with its padding, times its size, is the sum.
  ValueId x = powers(c, c.m().form(*value, kLast), p);
  x = padded(c, x, w.pads);
  w.pads.assign(w.pads.size(), 0);
  double taps = 1;
  for (const int64_t k : w.kernel) taps *= static_cast<double>(k);
  const ValueId mean = c.emit(ops::kAvgPool, {x}, pool_attrs(w));
  c.set(0, root(c, c.mul(mean, c.scalar_like(taps, mean)), p), kLast);
}

void read_global_average_pool(Call& c) {
  if (!read_int8_mean(c)) global(c, "mean");
}
void read_global_max_pool(Call& c) { global(c, "max"); }

void read_global_lp_pool(Call& c) {
  Shape shape;
  const ValPtr value = pool_input(c, shape);
  if (!c.ok()) return;
  const auto p = static_cast<double>(c.integer("p", 2));
  const ValueId x = powers(c, c.m().form(*value, kLast), p);
  c.set(0, root(c, c.reduce("sum", x, spatial_axes(shape.rank()), true), p), kLast);
}

}  // namespace ew::formats::onnx
