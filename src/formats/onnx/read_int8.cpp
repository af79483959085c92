// Nodes between DequantizeLinear and QuantizeLinear as int8 operators.
#include <algorithm>

#include "formats/onnx/handlers.h"
#include "formats/onnx/int8_forms.h"

namespace ew::formats::onnx {
namespace {

Attrs clamped(Attrs attrs, const OutputQuant& out) {
  if (!out.is_clamped) return attrs;
  attrs.set("clamp_min", out.clamp_min);
  attrs.set("clamp_max", out.clamp_max);
  return attrs;
}

void set_result(Call& c, ValPtr value, const OutputQuant& out) {
  value->is_clamped = out.is_clamped;
  c.set(0, std::move(value));
}

ValueId kernel_constant(Call& c, Tensor data, const std::vector<float>& scales, int axis) {
  QuantParams q;
  q.axis = scales.size() == 1 ? -1 : axis;
  q.scales = scales;
  q.zero_points.assign(scales.size(), 0);
  data.set_quant(std::make_shared<const QuantParams>(std::move(q)));
  return c.m().b().constant(std::move(data));
}

// The operands of a product; nothing if they have no int8 form.
std::optional<std::vector<ValueId>> product_operands(Call& c, const Val& x, ValueId x_id,
                                                     const Int8Kernel& w, ValueId w_id,
                                                     int64_t channels, const ValPtr& bias) {
  std::vector<ValueId> in{x_id, w_id};
  if (bias) {
    std::optional<Tensor> b = int8_bias(c, bias, x.int8->params->scales[0], w.scales, channels);
    if (!b) return std::nullopt;
    in.push_back(c.m().b().constant(std::move(*b)));
  }
  return in;
}

Layout layout_of(const Val& v) {
  return v.int8->id[kLast] != kNoValue || v.form[kLast] != kNoValue ? kLast : kPlain;
}

struct ConvOperands {
  ValPtr x;
  const Val* w = nullptr;
  ValPtr bias;
};

bool emit_conv(Call& c, const ConvOperands& o, const OutputQuant& out) {
  const Shape kernel = o.w->stored->data.shape();
  const int rank = kernel.rank();
  const int64_t groups = c.integer("group", 1);
  const ValueId x = c.m().int8_form(*o.x, kLast);
  if (!c.ok() || rank < 3 || c.rank(x) != rank || groups < 1 || kernel.num_elements() == 0) {
    return false;
  }
  const int64_t channels = c.shape(x)[-1];
  const bool is_depthwise = groups > 1 && groups == channels && kernel[1] == 1;
  if (channels == kUnknown || channels != kernel[1] * groups || kernel[0] % groups != 0) {
    return false;
  }
  std::vector<int64_t> perm;
  for (int d = 2; d < rank; ++d) perm.push_back(d);
  perm.insert(perm.end(), {1, 0});
  const std::optional<Int8Kernel> w = int8_kernel(*o.w, perm, 0);
  if (!w) return false;
  Tensor data = w->data;
  if (is_depthwise) {
    std::vector<int64_t> shape(kernel.begin() + 2, kernel.end());
    shape.insert(shape.end(), {channels, kernel[0] / channels});
    data = data.reshaped(Shape(shape));
  }
  const ValueId w_id = kernel_constant(c, data, w->scales, is_depthwise ? rank - 2 : rank - 1);
  Shape plain = c.shape(x);
  std::rotate(plain.dims().begin() + 1, plain.dims().end() - 1, plain.dims().end());
  Attrs attrs =
      clamped(window_attrs(read_window(c, plain, {kernel.begin() + 2, kernel.end()})), out);
  if (!is_depthwise && groups > 1) attrs.set("groups", groups);
  const auto in = product_operands(c, *o.x, x, *w, w_id, kernel[0], o.bias);
  if (!in || !c.ok()) return false;
  const OpDef& op = is_depthwise ? ops::kDepthwiseConv : ops::kConv;
  set_result(c, int8_result(c, op, *in, attrs, out.params, kLast), out);
  return true;
}

}  // namespace

bool read_int8_conv(Call& c) {
  if (!c.has(0) || !c.has(1)) return false;
  const ValPtr x = c.val(0);
  const ValPtr w = c.val(1);
  if (!c.ok() || !has_int8(*x) || !w->stored) return false;
  const std::optional<OutputQuant> out = output_quant(c);
  return out && emit_conv(c, {x, w.get(), c.has(2) ? c.val(2) : nullptr}, *out);
}

bool read_int8_dense(Call& c) {
  if (!c.has(0) || !c.has(1)) return false;
  const ValPtr x = c.val(0);
  const ValPtr w = c.val(1);
  if (!c.ok() || !has_int8(*x) || !w->stored || w->stored->data.shape().rank() != 2) return false;
  const bool is_gemm = c.node().op_type == "Gemm";
  if (is_gemm && (c.integer("transA", 0) != 0 || c.number("alpha", 1) != 1 ||
                  (c.has(2) && c.number("beta", 1) != 1))) {
    return false;
  }
  const std::optional<OutputQuant> out = output_quant(c);
  if (!out) return false;
  const bool transposed = is_gemm && c.integer("transB", 0) != 0;
  const std::vector<int64_t> perm =
      transposed ? std::vector<int64_t>{1, 0} : std::vector<int64_t>{0, 1};
  const std::optional<Int8Kernel> kernel = int8_kernel(*w, perm, transposed ? 0 : 1);
  if (!kernel) return false;
  const ValueId x_id = c.m().int8_form(*x, kPlain);
  const int64_t width = kernel->data.shape()[1];
  if (!c.ok() || c.rank(x_id) < 2 || c.shape(x_id)[-1] != kernel->data.shape()[0]) return false;
  const ValueId w_id = kernel_constant(c, kernel->data, kernel->scales, 1);
  const auto in =
      product_operands(c, *x, x_id, *kernel, w_id, width, is_gemm && c.has(2) ? c.val(2) : nullptr);
  if (!in || !c.ok()) return false;
  set_result(c, int8_result(c, ops::kDense, *in, clamped({}, *out), out->params, kPlain), *out);
  return true;
}

bool read_int8_add(Call& c) {
  if (c.count() != 2) return false;
  const ValPtr a = c.val(0);
  const ValPtr b = c.val(1);
  if (!c.ok() || !has_int8(*a) || !has_int8(*b)) return false;
  const std::optional<OutputQuant> out = output_quant(c);
  if (!out) return false;
  const Layout layout = layout_of(*a) == kLast || layout_of(*b) == kLast ? kLast : kPlain;
  const ValueId x = c.m().int8_form(*a, layout);
  const ValueId y = c.m().int8_form(*b, layout);
  if (!c.ok() || c.rank(x) != c.rank(y)) return false;
  set_result(c, int8_result(c, ops::kAdd, {x, y}, clamped({}, *out), out->params, layout), *out);
  return true;
}

bool read_int8_pool(Call& c, const char* kind) {
  const ValPtr x = c.val(0);
  const bool is_max = std::string_view(kind) == "max";
  if (!c.ok() || !has_int8(*x) || c.wants(1) || c.integer("count_include_pad", 0) != 0)
    return false;
  const std::optional<OutputQuant> out = output_quant(c);
  if (!out || out->is_clamped) return false;
  const ValueId id = c.m().int8_form(*x, kLast);
  if (!c.ok() || c.rank(id) < 3) return false;
  Shape plain = c.shape(id);
  std::rotate(plain.dims().begin() + 1, plain.dims().end() - 1, plain.dims().end());
  const WindowSpec w = read_window(c, plain, c.ints("kernel_shape"));
  Attrs attrs = window_attrs(w);
  attrs.set("pool", w.kernel);
  const OpDef& op = is_max ? ops::kMaxPool : ops::kAvgPool;
  set_result(c, int8_same_result(c, op, id, attrs, out->params, kLast), *out);
  return true;
}

bool read_int8_mean(Call& c) {
  const ValPtr x = c.val(0);
  if (!c.ok() || !has_int8(*x)) return false;
  const std::optional<OutputQuant> out = output_quant(c);
  if (!out || out->is_clamped) return false;
  const ValueId id = c.m().int8_form(*x, kLast);
  if (!c.ok() || c.rank(id) < 3) return false;
  std::vector<int64_t> axes;
  for (int d = 1; d < c.rank(id) - 1; ++d) axes.push_back(d);
  const Attrs attrs{{"axes", axes}, {"keepdims", true}};
  set_result(c, int8_result(c, ops::kReduceMean, {id}, attrs, out->params, kLast), *out);
  return true;
}

// Ours is defined for an output of 256 steps from 0 to 1.
bool read_int8_softmax(Call& c) {
  const ValPtr x = c.val(0);
  if (!c.ok() || !has_int8(*x)) return false;
  const std::optional<OutputQuant> out = output_quant(c);
  if (!out || out->is_clamped || *out->params != QuantParams{{1.F / 256}, {-128}, -1}) return false;
  const ValueId id = c.m().int8_form(*x, kPlain);
  if (!c.ok() || c.rank(id) != 2) return false;
  const int64_t axis = c.integer("axis", c.opset() < 13 ? 1 : -1);
  if (axis != 1 && axis != -1) return false;
  set_result(c, int8_result(c, ops::kSoftmax, {id}, {{"axis", int64_t{-1}}}, out->params, kPlain),
             *out);
  return true;
}

bool read_int8_concat(Call& c) {
  std::vector<ValPtr> values;
  bool is_last = false;
  for (size_t i = 0; i < c.count() && c.ok(); ++i) {
    values.push_back(c.val(i));
    if (!c.ok() || !has_int8(*values.back())) return false;
    is_last = is_last || layout_of(*values.back()) == kLast;
  }
  if (!c.ok() || values.empty()) return false;
  const std::optional<OutputQuant> out = output_quant(c);
  if (!out || out->is_clamped) return false;
  const Layout layout = is_last ? kLast : kPlain;
  std::vector<ValueId> parts;
  for (const ValPtr& v : values) parts.push_back(c.m().int8_form(*v, layout));
  if (!c.ok()) return false;
  const int rank = c.rank(parts[0]);
  int64_t axis = c.integer("axis", 1);
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= rank) return false;
  if (is_last && rank >= 3 && axis > 0) axis = axis == 1 ? rank - 1 : axis - 1;
  set_result(c, int8_result(c, ops::kConcat, parts, {{"axis", axis}}, out->params, layout), *out);
  return true;
}

// x, scales, zero points, w, ..., bias of QLinearConv as what the pair of nodes around Conv would
// be.
bool read_int8_qlinear_conv(Call& c) {
  const ValPtr stored = c.val(0);
  const ValPtr w = c.val(3);
  if (!c.ok()) return false;
  const auto constant = [&](size_t i) {
    const ValPtr v = c.val(i);
    return c.ok() ? c.m().constant(*v) : nullptr;
  };
  const Tensor* zero_x = constant(2);
  const Tensor* zero_y = constant(7);
  const Tensor* scale_w = constant(4);
  const Tensor* zero_w = constant(5);
  const Tensor* data_w = constant(3);
  if (zero_x == nullptr || zero_y == nullptr || scale_w == nullptr || zero_w == nullptr ||
      data_w == nullptr || !stored->is_stored || !stored->int8) {
    return false;
  }
  const Quant in = int8_params(constant(1), zero_x, zero_x->dtype());
  const Quant out = int8_params(constant(6), zero_y, zero_y->dtype());
  if (!in || !out || *in != *stored->int8->params) return false;
  Val kernel;
  add_dequantized_forms(c, w, kernel, c.x(4), c.x(5), 0);
  if (!kernel.stored) return false;
  auto x = std::make_shared<Val>(*stored);
  x->is_stored = false;
  ValPtr bias;
  if (c.has(8)) {
    const Tensor* data = constant(8);
    if (data == nullptr || data->dtype() != DType::kI32) return false;
    StoredConstant s;
    s.data = *data;
    for (const float scale : kernel.stored->scales) s.scales.push_back(in->scales[0] * scale);
    s.zero_points.assign(s.scales.size(), 0);
    s.axis = s.scales.size() > 1 ? 0 : -1;
    bias = std::make_shared<Val>();
    bias->stored = std::make_shared<const StoredConstant>(std::move(s));
  }
  OutputQuant quant;
  quant.params = out;
  if (!emit_conv(c, {x, &kernel, bias}, quant)) return false;
  // The node's output is the stored integers themselves.
  ValPtr real = c.m().find(c.node().outputs[0]);
  auto result = std::make_shared<Val>(*real);
  result->is_stored = true;
  Importer* m = &c.m();
  const DType dtype = zero_y->dtype();
  result->make = [m, dtype, out, int8 = result->int8]() -> ValueId {
    Val form;
    form.int8 = int8;
    const ValueId y = m->int8_form(form, kPlain);
    if (!m->ok()) return kNoValue;
    // Int8 with quantisation back to the file's integers.
    const ValueId back = m->b().add(ops::kDequantize, {y});
    const float scale = out->scales[0];
    const double zero = out->zero_points[0] + (dtype == DType::kU8 ? 128 : 0);
    const ValueId steps = m->emit(ops::kDiv, {back, m->b().scalar(double{scale})});
    const ValueId shifted =
        m->emit(ops::kAdd, {m->emit(ops::kRound, {steps}), m->b().scalar(zero)});
    return m->emit(ops::kCast, {shifted}, {{"to", std::string(dtype_name(dtype))}});
  };
  c.set(0, result);
  return true;
}

}  // namespace ew::formats::onnx
