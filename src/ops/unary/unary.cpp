// The operators of unary.def.
#include <algorithm>

#include "ops/int16.h"
#include "ops/ops.h"
#include "ops/selected.h"
#include "ops/unary/unary_i8.h"

namespace ew::ops {
namespace math {

template <typename T>
T sigmoid(T x) {
  // Either form alone would overflow on one side.
  if (x >= T(0)) return T(1) / (T(1) + std::exp(-x));
  const T e = std::exp(x);
  return e / (T(1) + e);
}

template <typename T>
T softplus(T x) {
  return std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x)));
}

template <typename T>
T silu_derivative(T x) {
  const T s = sigmoid(x);
  return s * (T(1) + x * (T(1) - s));
}

template <typename T>
T mish_derivative(T x) {
  const T t = std::tanh(softplus(x));
  return t + x * (T(1) - t * t) * sigmoid(x);
}

template <typename T>
T gelu_tanh(T x) {
  return T(0.5) * x * (T(1) + std::tanh(T(0.7978845608028654) * (x + T(0.044715) * x * x * x)));
}

template <typename T>
T gelu_tanh_derivative(T x) {
  const T t = std::tanh(T(0.7978845608028654) * (x + T(0.044715) * x * x * x));
  return T(0.5) * (T(1) + t) +
         T(0.5) * x * (T(1) - t * t) * T(0.7978845608028654) * (T(1) + T(0.134145) * x * x);
}

template <typename T>
T relu_general(T x, T max_value, T negative_slope, T threshold) {
  if (x <= threshold) return negative_slope * (x - threshold);
  return max_value >= T(0) ? std::min(x, max_value) : x;
}

}  // namespace math

namespace {

#define EW_UNARY(id, Id, alpha_, beta_, gamma_, f, derivative)                        \
  const AttrDef id##_attrs[] = {                                                      \
      {"alpha", double(alpha_)}, {"beta", double(beta_)}, {"gamma", double(gamma_)}}; \
  void id##_reference(ConstViews in, Views out, const Attrs& attrs) {                 \
    dispatch_real(in[0].dtype(), [&]<typename T>() {                                  \
      [[maybe_unused]] const T a = static_cast<T>(attrs.number("alpha"));             \
      [[maybe_unused]] const T b = static_cast<T>(attrs.number("beta"));              \
      [[maybe_unused]] const T c = static_cast<T>(attrs.number("gamma"));             \
      const T* px = in[0].as<T>();                                                    \
      T* py = out[0].as<T>();                                                         \
      const int64_t n = in[0].size();                                                 \
      for (int64_t i = 0; i < n; ++i) {                                               \
        const T x = px[i];                                                            \
        py[i] = f;                                                                    \
      }                                                                               \
    });                                                                               \
  }                                                                                   \
  void id##_grad_reference(ConstViews in, Views out, const Attrs& attrs) {            \
    dispatch_real(in[0].dtype(), [&]<typename T>() {                                  \
      [[maybe_unused]] const T a = static_cast<T>(attrs.number("alpha"));             \
      [[maybe_unused]] const T b = static_cast<T>(attrs.number("beta"));              \
      [[maybe_unused]] const T c = static_cast<T>(attrs.number("gamma"));             \
      const T* px = in[0].as<T>();                                                    \
      const T* py = in[1].as<T>();                                                    \
      const T* pdy = in[2].as<T>();                                                   \
      T* pdx = out[0].as<T>();                                                        \
      const int64_t n = in[0].size();                                                 \
      for (int64_t i = 0; i < n; ++i) {                                               \
        [[maybe_unused]] const T x = px[i];                                           \
        [[maybe_unused]] const T y = py[i];                                           \
        pdx[i] = pdy[i] * (derivative);                                               \
      }                                                                               \
    });                                                                               \
  }
#include EW_UNARY_DEF
#undef EW_UNARY

Result<std::vector<TensorType>> infer_unary(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(int16::expect_real(*in[0]));
  return infer_same(in, attrs);
}

}  // namespace

#define EW_UNARY(id, Id, ...)                                \
  const OpDef k##Id{.name = #id,                             \
                    .attrs = id##_attrs,                     \
                    .infer = infer_unary,                    \
                    .reference = id##_reference,             \
                    .reference_i8 = unary_reference_i8(#id), \
                    .quant = unary_quant_rule(#id),          \
                    .in_place = true};                       \
  const OpDef k##Id##Grad{.name = #id "_grad",               \
                          .attrs = id##_attrs,               \
                          .min_inputs = 3,                   \
                          .max_inputs = 3,                   \
                          .infer = infer_unary,              \
                          .reference = id##_grad_reference};
#include EW_UNARY_DEF
#undef EW_UNARY

}  // namespace ew::ops
