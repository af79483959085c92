#include "formats/onnx/int8_forms.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "formats/onnx/handlers.h"

namespace ew::formats::onnx {
namespace {

Quant per_tensor(float scale, int32_t zero) {
  return std::make_shared<const QuantParams>(QuantParams{{scale}, {zero}, -1});
}

const NodeProto* quantizer_after(Call& c, std::string_view name, OutputQuant& out) {
  const NodeProto* user = c.m().only_user(name);
  if (user == nullptr || !user->domain.empty()) return nullptr;
  if (user->op_type == "QuantizeLinear") return user->inputs[0] == name ? user : nullptr;
  const bool is_clip = user->op_type == "Clip";
  if (out.is_clamped || (!is_clip && user->op_type != "Relu") || user->outputs.size() != 1) {
    return nullptr;
  }
  out.is_clamped = true;
  out.clamp_min = 0;
  if (is_clip) {
    if (c.m().opset("") < 11 || user->inputs.size() != 3) return nullptr;
    double* const bounds[] = {&out.clamp_min, &out.clamp_max};
    for (size_t i = 0; i < 2; ++i) {
      const ValPtr v = c.m().find(user->inputs[i + 1]);
      const Tensor* t = v ? c.m().constant(*v) : nullptr;
      if (t == nullptr || t->size() != 1) return nullptr;
      *bounds[i] = t->cast(DType::kF64).values<double>()[0];
    }
  }
  return quantizer_after(c, user->outputs[0], out);
}

}  // namespace

Quant int8_params(const Tensor* scale, const Tensor* zero, DType dtype) {
  const bool is_u8 = dtype == DType::kU8;
  if (scale == nullptr || scale->size() != 1 || (!is_u8 && dtype != DType::kI8)) return nullptr;
  if (zero != nullptr && zero->size() != 1) return nullptr;
  const float s = scale->cast(DType::kF32).values<float>()[0];
  const int64_t z = zero == nullptr ? 0 : zero->cast(DType::kI64).values<int64_t>()[0];
  if (!(s > 0) || !std::isfinite(s)) return nullptr;
  return per_tensor(s, static_cast<int32_t>(is_u8 ? z - 128 : z));
}

std::optional<OutputQuant> output_quant(Call& c) {
  OutputQuant out;
  if (!c.ok() || c.output_count() != 1) return std::nullopt;
  const NodeProto* q = quantizer_after(c, c.node().outputs[0], out);
  if (q == nullptr || q->inputs.size() < 2) return std::nullopt;
  const ValPtr scale = c.m().find(q->inputs[1]);
  const bool has_zero = q->inputs.size() > 2 && !q->inputs[2].empty();
  const ValPtr zero = has_zero ? c.m().find(q->inputs[2]) : nullptr;
  if (!scale || (has_zero && (!zero || zero->is_nibble))) return std::nullopt;
  const Tensor* s = c.m().constant(*scale);
  const Tensor* z = zero ? c.m().constant(*zero) : nullptr;
  if (has_zero && z == nullptr) return std::nullopt;
  out.params = int8_params(s, z, z == nullptr ? DType::kU8 : z->dtype());
  if (!out.params) return std::nullopt;
  return out;
}

void add_quantized_form(Call& c, const ValPtr& real, Val& out, ValueId scale, ValueId zero,
                        DType dtype) {
  const Tensor* z = zero == kNoValue ? nullptr : c.m().constant(zero);
  if (zero != kNoValue && z == nullptr) return;
  const Quant params = int8_params(c.m().constant(scale), z, dtype);
  if (!params) return;
  if (has_int8(*real) && *real->int8->params == *params) {
    out.int8 = real->int8;
    return;
  }
  out.int8 = std::make_shared<Int8Form>();
  out.int8->params = params;
  Importer* m = &c.m();
  out.int8->make = [=](Layout layout) {
    if (has_int8(*real)) {  // another scale
      return m->typed_int8(m->b().add(ops::kQuantize, {m->int8_form(*real, layout)}), params);
    }
    ValueId x = m->form(*real, layout);
    if (!m->ok()) return kNoValue;
    if (m->b().type(x).dtype != DType::kF32) {
      x = m->emit(ops::kCast, {x}, {{"to", std::string(dtype_name(DType::kF32))}});
    }
    return m->typed_int8(m->b().add(ops::kQuantize, {x}), params);
  };
}

void add_dequantized_forms(Call& c, const ValPtr& stored, Val& out, ValueId scale, ValueId zero,
                           int64_t axis) {
  const Tensor* s = c.m().constant(scale);
  const Tensor* z = zero == kNoValue ? nullptr : c.m().constant(zero);
  if (stored->is_stored && stored->int8 && c.dtype(scale) == DType::kF32) {
    const DType dtype = z == nullptr ? DType::kU8 : z->dtype();
    const Quant params = int8_params(s, z, dtype);
    if (params && *params == *stored->int8->params) out.int8 = stored->int8;
    return;
  }
  if (stored->form[kPlain] == kNoValue) return;
  const Tensor* data = c.m().constant(stored->form[kPlain]);
  const int64_t n = s->size();
  if (data == nullptr || n == 0 || (z != nullptr && z->size() != n)) return;
  StoredConstant constant;
  constant.data = *data;
  if (n > 1) {
    const Result<int> at = normalize_axis(axis, data->shape().rank());
    if (!at.ok() || data->shape()[*at] != n) return;
    constant.axis = *at;
  }
  const Tensor scales = s->cast(DType::kF32);
  const Tensor zeros = z == nullptr ? Tensor(DType::kI64, s->shape()) : z->cast(DType::kI64);
  constant.scales.assign(scales.values<float>().begin(), scales.values<float>().end());
  constant.zero_points.assign(zeros.values<int64_t>().begin(), zeros.values<int64_t>().end());
  out.stored = std::make_shared<const StoredConstant>(std::move(constant));
}

std::optional<Int8Kernel> int8_kernel(const Val& w, const std::vector<int64_t>& perm,
                                      int channel_axis) {
  if (!w.stored) return std::nullopt;
  const StoredConstant& s = *w.stored;
  const bool is_u8 = s.data.dtype() == DType::kU8;
  if ((!is_u8 && s.data.dtype() != DType::kI8) || (s.axis >= 0 && s.axis != channel_axis) ||
      static_cast<int>(perm.size()) != s.data.shape().rank()) {
    return std::nullopt;
  }
  for (size_t i = 0; i < s.scales.size(); ++i) {
    if (s.zero_points[i] != (is_u8 ? 128 : 0) || !(s.scales[i] > 0)) return std::nullopt;
  }
  // uint8 around 128 is int8 around 0.
  const Tensor wide = s.data.cast(DType::kI32);
  Shape shape;
  for (const int64_t d : perm) shape.dims().push_back(s.data.shape()[static_cast<int>(d)]);
  Tensor out(DType::kI8, shape);
  const std::vector<int64_t> from = strides_of(s.data.shape());
  const std::vector<int64_t> to = strides_of(shape);
  for (int64_t i = 0; i < out.size(); ++i) {
    int64_t at = 0;
    for (size_t d = 0; d < perm.size(); ++d) {
      at += i / to[d] % shape[static_cast<int>(d)] * from[static_cast<size_t>(perm[d])];
    }
    const int32_t v = wide.values<int32_t>()[static_cast<size_t>(at)] - (is_u8 ? 128 : 0);
    out.mutable_values<int8_t>()[static_cast<size_t>(i)] = static_cast<int8_t>(v);
  }
  return Int8Kernel{std::move(out), s.scales};
}

std::optional<Tensor> int8_bias(Call& c, const ValPtr& bias, float input_scale,
                                const std::vector<float>& kernel_scales, int64_t channels) {
  QuantParams q;
  q.axis = kernel_scales.size() == 1 ? -1 : 0;
  for (const float s : kernel_scales) {
    q.scales.push_back(input_scale * s);
    q.zero_points.push_back(0);
  }
  const size_t n = q.scales.size();
  const auto close = [&](size_t i, float s) {
    return std::abs(q.scales[i % n] - s) <= 1e-5F * q.scales[i % n];
  };
  Tensor out(ir::TensorType{DType::kI32, Shape{channels}, std::make_shared<const QuantParams>(q)});
  const std::span<int32_t> y = out.mutable_values<int32_t>();
  if (bias->stored && bias->stored->data.dtype() == DType::kI32 &&
      bias->stored->data.size() == channels) {
    const StoredConstant& s = *bias->stored;
    bool fits = s.scales.size() == 1 || s.scales.size() == y.size();
    for (size_t i = 0; fits && i < std::max(n, s.scales.size()); ++i) {
      const size_t own = s.scales.size() == 1 ? 0 : i;
      fits = close(i, s.scales[own]) && s.zero_points[own] == 0;
    }
    if (fits) {
      const std::span<const int32_t> x = s.data.values<int32_t>();
      std::copy(x.begin(), x.end(), y.begin());
      return out;
    }
  }
  const Tensor* real = c.m().constant(*bias);
  if (real == nullptr || real->size() != channels) return std::nullopt;
  const Tensor wide = real->cast(DType::kF64);
  for (size_t i = 0; i < y.size(); ++i) {
    const double steps = std::nearbyint(wide.values<double>()[i] / double{q.scales[i % n]});
    y[i] = static_cast<int32_t>(
        std::clamp(std::isnan(steps) ? 0 : steps, -2147483648.0, 2147483647.0));
  }
  return out;
}

ValPtr int8_result(Call& c, const OpDef& op, std::vector<ValueId> in, Attrs attrs,
                   const Quant& params, Layout layout) {
  auto out = std::make_shared<Val>();
  out->int8 = std::make_shared<Int8Form>();
  out->int8->params = params;
  out->int8->id[layout] =
      c.m().typed_int8(c.m().b().add(op, std::move(in), std::move(attrs)), params);
  return out;
}

ValPtr int8_same_result(Call& c, const OpDef& op, ValueId in, Attrs attrs, const Quant& wanted,
                        Layout layout) {
  if (!c.ok()) return std::make_shared<Val>();
  const Quant own = c.m().b().type(in).quant;
  ValPtr out = int8_result(c, op, {in}, std::move(attrs), own, layout);
  if (!c.ok() || *own == *wanted) return out;
  return int8_result(c, ops::kQuantize, {out->int8->id[layout]}, {}, wanted, layout);
}

}  // namespace ew::formats::onnx
