// Convolutions and matrix products of ONNX.
#include <algorithm>

#include "formats/onnx/handlers.h"
#include "formats/onnx/int8_forms.h"

namespace ew::formats::onnx {
namespace {

// [O, C, kernel...] as [kernel..., C, O].
std::vector<int64_t> kernel_last(int rank) {
  std::vector<int64_t> perm;
  for (int d = 2; d < rank; ++d) perm.push_back(d);
  perm.push_back(1);
  perm.push_back(0);
  return perm;
}

struct ConvSpec {
  WindowSpec window;
  int64_t groups = 1;
};

// x channels last; w and bias as the file has them.
ValueId convolve(Call& c, ValueId x, ValueId w, ValueId bias, const ConvSpec& spec) {
  if (!c.ok()) return kNoValue;
  const Shape kernel = c.shape(w);
  const int64_t channels = c.shape(x)[-1];
  const int64_t out = kernel[0];
  ValueId last = c.transpose(w, kernel_last(kernel.rank()));
  Attrs attrs = window_attrs(spec.window);
  const OpDef* op = &ops::kConv;
  if (spec.groups > 1 && spec.groups == channels && kernel[1] == 1) {
    std::vector<int64_t> shape(kernel.begin() + 2, kernel.end());
    shape.push_back(channels);
    shape.push_back(out / channels);
    last = c.reshape(last, shape);
    op = &ops::kDepthwiseConv;
  } else {
    attrs.set("groups", spec.groups);
  }
  last = weight(c, last, "kernel");
  if (bias != kNoValue) bias = weight(c, bias, "bias");
  return c.emit(*op, {x, last, bias}, attrs);
}

bool check_conv(Call& c, const Shape& x, const Shape& w, int64_t groups) {
  const bool fits = x.rank() >= 3 && x.rank() == w.rank() && w.is_static() && groups >= 1 &&
                    x[1] != kUnknown && x[1] % groups == 0 && x[1] / groups == w[1] &&
                    w[0] % groups == 0 && w.num_elements() > 0;
  if (!fits)
    c.fail("input ", x, " and kernel ", w, " do not fit together with ", groups, " groups");
  return fits;
}

// The shape of the value as the file lays it out, without asking for that form.
Shape plain_shape(Call& c, const Val& value) {
  if (value.form[kPlain] != kNoValue) return c.shape(value.form[kPlain]);
  if (value.form[kLast] == kNoValue) return {};
  Shape s = c.shape(value.form[kLast]);
  if (s.rank() < 3) return s;
  std::rotate(s.dims().begin() + 1, s.dims().end() - 1, s.dims().end());
  return s;
}

Shape shape_of(Call& c, Val& value) {
  if (value.form[kPlain] == kNoValue && value.form[kLast] == kNoValue) c.m().form(value, kLast);
  return c.ok() ? plain_shape(c, value) : Shape();
}

}  // namespace

ValueId weight(Call& c, ValueId id, const char* name) {
  const Tensor* t = c.ok() ? c.m().constant(id) : nullptr;
  return t != nullptr && is_floating(t->dtype()) ? c.m().parameter(*t, name) : id;
}

void read_conv(Call& c) {
  if (read_int8_conv(c)) return;
  const ValPtr value = c.val(0);
  const ValueId w = c.x(1);
  const ValueId bias = c.optional_x(2);
  if (!c.ok()) return;
  const Shape shape = shape_of(c, *value);
  ConvSpec spec;
  spec.groups = c.integer("group", 1);
  if (!c.ok() || !check_conv(c, shape, c.shape(w), spec.groups)) return;
  spec.window = read_window(c, shape, c.dims(w, 2));
  c.set(0, convolve(c, c.m().form(*value, kLast), w, bias, spec), kLast);
}

ValueId conv_last(Call& c, ValueId x_last, ValueId w, ValueId bias) {
  if (!c.ok()) return kNoValue;
  Shape shape = c.shape(x_last);
  std::rotate(shape.dims().begin() + 1, shape.dims().end() - 1, shape.dims().end());
  ConvSpec spec;
  spec.groups = c.integer("group", 1);
  if (!check_conv(c, shape, c.shape(w), spec.groups)) return kNoValue;
  spec.window = read_window(c, shape, c.dims(w, 2));
  return convolve(c, x_last, w, bias, spec);
}

namespace {

// The pads that give a transposed convolution the lengths that were asked for.
struct Transposed {
  std::vector<int64_t> pads;
  std::vector<int64_t> output_padding;
};

Transposed transposed_pads(Call& c, const Shape& x, const WindowSpec& w) {
  const size_t n = w.kernel.size();
  Transposed t{w.pads, c.ints("output_padding")};
  if (t.output_padding.empty()) t.output_padding.assign(n, 0);
  std::vector<int64_t> lengths = c.ints("output_shape");
  const std::string mode = c.text("auto_pad", "NOTSET");
  const bool is_same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  if (t.output_padding.size() != n || (!lengths.empty() && lengths.size() < n)) {
    c.fail("output_padding or output_shape do not fit ", n, " spatial dimensions");
    return t;
  }
  if (lengths.size() > n) lengths.erase(lengths.begin(), lengths.end() - static_cast<long>(n));
  if (lengths.empty() && !is_same) return t;
  for (size_t i = 0; i < n; ++i) {
    const int64_t in = x[static_cast<int>(i) + 2];
    if (in == kUnknown) {
      c.unsupported("auto_pad or output_shape with open lengths");
      return t;
    }
    const int64_t length = lengths.empty() ? in * w.strides[i] : lengths[i];
    // Below 0: the output is longer than all windows together and grows at its end.
    const int64_t total = w.strides[i] * (in - 1) + t.output_padding[i] +
                          (w.kernel[i] - 1) * w.dilations[i] + 1 - length;
    const int64_t small = std::max<int64_t>(total, 0) / 2;
    const bool upper = mode == "SAME_UPPER" || total < 0;
    t.pads[i] = upper ? small : total - small;
    t.pads[n + i] = total - t.pads[i];
  }
  return t;
}

}  // namespace

void read_conv_transpose(Call& c) {
  const ValPtr value = c.val(0);
  const ValueId w = c.x(1);
  const ValueId bias = c.optional_x(2);
  if (!c.ok()) return;
  const Shape shape = shape_of(c, *value);
  const Shape kernel = c.ok() ? c.shape(w) : Shape();
  const int64_t groups = c.integer("group", 1);
  if (!c.ok()) return;
  if (shape.rank() < 3 || kernel.rank() != shape.rank() || !kernel.is_static() || groups < 1 ||
      groups > 4096 || shape[1] != kernel[0] || kernel[0] % groups != 0 ||
      kernel.num_elements() == 0) {
    c.fail("input ", shape, " and kernel ", kernel, " do not fit together with ", groups,
           " groups");
    return;
  }
  WindowSpec window = read_window(c, shape, {kernel.begin() + 2, kernel.end()});
  if (!c.ok()) return;
  const Transposed t = transposed_pads(c, shape, window);
  if (!c.ok()) return;
  const size_t n = window.kernel.size();
  // Ours pads less than one stride at the end of the output; the rest is cut or added around it.
  Attrs attrs{{"strides", window.strides},
              {"dilations", window.dilations},
              {"padding", std::string("explicit")},
              {"pads", std::vector<int64_t>(2 * n, 0)}};
  const ValueId x = c.m().form(*value, kLast);
  std::vector<ValueId> parts;
  const int64_t in_each = kernel[0] / groups;
  for (int64_t g = 0; g < groups && c.ok(); ++g) {
    const ValueId own =
        groups == 1 ? x : c.slice(x, shape.rank() - 1, g * in_each, (g + 1) * in_each);
    ValueId k = groups == 1 ? w : c.slice(w, 0, g * in_each, (g + 1) * in_each);
    k = weight(c, c.transpose(k, kernel_last(kernel.rank())), "kernel");
    parts.push_back(c.emit(ops::kConvTranspose, {own, k}, attrs));
  }
  if (!c.ok()) return;
  ValueId y = c.concat(parts, shape.rank() - 1);
  std::vector<int64_t> grow(2 * static_cast<size_t>(shape.rank()), 0);
  for (size_t i = 0; i < n && c.ok(); ++i) {
    const int d = static_cast<int>(i) + 1;
    const int64_t end = t.output_padding[i] - t.pads[n + i];
    if (t.pads[i] > 0 || end < 0) {
      y = c.slice(y, d, std::max<int64_t>(t.pads[i], 0),
                  end < 0 ? end : std::numeric_limits<int64_t>::max());
    }
    grow[i + 1] = std::max<int64_t>(-t.pads[i], 0);
    grow[i + 1 + static_cast<size_t>(shape.rank())] = std::clamp<int64_t>(end, 0, 4096);
  }
  if (std::any_of(grow.begin(), grow.end(), [](int64_t p) { return p > 0; })) {
    y = c.emit(ops::kPad, {y}, {{"pads", grow}, {"value", 0.0}});
  }
  if (bias != kNoValue) y = c.add(y, weight(c, bias, "bias"));
  c.set(0, y, kLast);
}

namespace {

ValueId as_float(Call& c, ValueId x) {
  return !c.ok() || is_floating(c.dtype(x)) ? x : c.cast(x, DType::kF64);
}

}  // namespace

ValueId matmul(Call& c, ValueId a, ValueId b) {
  if (!c.ok()) return kNoValue;
  const DType own = c.dtype(a);
  a = as_float(c, a);
  b = as_float(c, b);
  const int rank_a = c.rank(a);
  const int rank_b = c.rank(b);
  if (rank_a < 1 || rank_b < 1) {
    c.fail("expected tensors of rank 1 or more");
    return kNoValue;
  }
  // x [..., K] by a weight [K, N] is a dense layer.
  if (rank_b == 2 && rank_a >= 2 && c.m().constant(b) != nullptr && is_floating(own) &&
      c.m().constant(a) == nullptr) {
    return c.emit(ops::kDense, {a, weight(c, b, "kernel")});
  }
  if (rank_a == 1) a = c.unsqueeze(a, {0});
  if (rank_b == 1) b = c.unsqueeze(b, {1});
  ValueId y = c.emit(ops::kMatmul, {a, b});
  if (!c.ok()) return kNoValue;
  std::vector<int64_t> shape = c.shape(y).dims();
  if (rank_b == 1) shape.pop_back();
  if (rank_a == 1) shape.erase(shape.end() - (rank_b == 1 ? 1 : 2));
  if (rank_a == 1 || rank_b == 1) {
    for (int64_t& d : shape) d = d == kUnknown ? -2 : d;
    y = c.reshape(y, reshape_target(c, y, shape));
  }
  return c.cast(y, own);
}

void read_matmul(Call& c) {
  if (read_int8_dense(c)) return;
  c.set(0, matmul(c, c.x(0), c.x(1)));
}

void read_gemm(Call& c) {
  if (read_int8_dense(c)) return;
  ValueId a = c.x(0);
  ValueId b = c.x(1);
  if (!c.ok()) return;
  if (c.rank(a) != 2 || c.rank(b) != 2) {
    c.fail("expected matrices, found ", c.shape(a), " and ", c.shape(b));
    return;
  }
  const DType own = c.dtype(a);
  const double alpha = c.number("alpha", 1);
  const double beta = c.number("beta", 1);
  if (c.integer("transA", 0) != 0) a = c.transpose(a, {1, 0});
  if (c.integer("transB", 0) != 0) b = c.transpose(b, {1, 0});
  a = as_float(c, a);
  b = as_float(c, b);
  const bool is_dense = c.ok() && c.m().constant(b) != nullptr && c.m().constant(a) == nullptr;
  if (is_dense) {
    if (alpha != 1) b = c.mul(b, c.scalar_like(alpha, b));
    ValueId bias = c.has(2) ? as_float(c, c.x(2)) : kNoValue;
    if (bias != kNoValue && beta != 1) bias = c.mul(bias, c.scalar_like(beta, bias));
    const int64_t width = c.ok() ? c.shape(b)[1] : 0;
    const Tensor* t = c.ok() && bias != kNoValue ? c.m().constant(bias) : nullptr;
    if (t != nullptr && (t->shape() == Shape{width} || t->shape() == Shape{1, width})) {
      const ValueId flat = weight(c, c.reshape(bias, {width}), "bias");
      return c.set(0, c.emit(ops::kDense, {a, weight(c, b, "kernel"), flat}));
    }
    const ValueId y = c.emit(ops::kDense, {a, weight(c, b, "kernel")});
    return c.set(0, c.cast(bias == kNoValue ? y : c.add(y, bias), own));
  }
  ValueId y = c.emit(ops::kMatmul, {a, b});
  if (alpha != 1) y = c.mul(y, c.scalar_like(alpha, y));
  if (c.has(2)) {
    ValueId bias = as_float(c, c.x(2));
    if (beta != 1) bias = c.mul(bias, c.scalar_like(beta, bias));
    y = c.add(y, bias);
  }
  c.set(0, c.cast(y, own));
}

}  // namespace ew::formats::onnx
