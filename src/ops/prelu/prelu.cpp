/// prelu: y = x where x >= 0, else alpha x, with NumPy broadcasting of alpha.
///
///   inputs   x: floating or int8; alpha: likewise
///   outputs  y: the broadcast shape
///   quant    calibrated; where x >= 0 the multiplier s_x / s_y, else s_x s_alpha / s_y, rounded
///   twice errors   kInvalidArgument if dtypes differ or shapes do not broadcast oracle
///   tflite-micro and LiteRT PRELU: the same bytes
#include "ops/int8.h"

namespace ew::ops {
namespace {

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs&) {
  EW_TRY_VOID(expect_real(*in[0]));
  EW_TRY_VOID(expect_same_dtype(in));
  if ((in[0]->quant == nullptr) != (in[1]->quant == nullptr)) {
    return invalid_argument("only one of ", *in[0], " and ", *in[1], " is quantised");
  }
  EW_TRY(Shape shape, broadcast(in[0]->shape, in[1]->shape));
  return std::vector<TensorType>{{in[0]->dtype, std::move(shape), nullptr}};
}

void reference(ConstViews in, Views out, const Attrs&) {
  const BroadcastIndex index_x(in[0].shape(), out[0].shape());
  const BroadcastIndex index_alpha(in[1].shape(), out[0].shape());
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* x = in[0].as<T>();
    const T* alpha = in[1].as<T>();
    T* y = out[0].as<T>();
    const int64_t n = out[0].size();
    for (int64_t i = 0; i < n; ++i) {
      const T v = x[index_x(i)];
      y[i] = v >= T(0) ? v : v * alpha[index_alpha(i)];
    }
  });
}

void reference_i8(ConstViews in, Views out, const Attrs&, Int8Profile) {
  const TensorType& x_type = *in[0].type;
  const TensorType& alpha_type = *in[1].type;
  const TensorType& y_type = *out[0].type;
  const BroadcastIndex index_x(in[0].shape(), out[0].shape());
  const BroadcastIndex index_alpha(in[1].shape(), out[0].shape());
  const int8::Multiplier identity =
      int8::quantize_multiplier(double{int8::scale_of(x_type)} / double{int8::scale_of(y_type)});
  const int8::Multiplier slope = int8::quantize_multiplier(double{int8::scale_of(x_type)} *
                                                           double{int8::scale_of(alpha_type)} /
                                                           double{int8::scale_of(y_type)});
  const auto* x = in[0].as<int8_t>();
  const auto* alpha = in[1].as<int8_t>();
  auto* y = out[0].as<int8_t>();
  const int64_t n = out[0].size();
  for (int64_t i = 0; i < n; ++i) {
    const int32_t v = x[index_x(i)] - int8::zero_of(x_type);
    const int32_t scaled =
        v >= 0 ? int8::scale_twice_rounded(v, identity)
               : int8::scale_twice_rounded(v * (alpha[index_alpha(i)] - int8::zero_of(alpha_type)),
                                           slope);
    y[i] = static_cast<int8_t>(
        std::clamp<int64_t>(int64_t{scaled} + int8::zero_of(y_type), -128, 127));
  }
}

}  // namespace

const OpDef kPrelu{.name = "prelu",
                   .min_inputs = 2,
                   .max_inputs = 2,
                   .infer = infer,
                   .reference = reference,
                   .reference_i8 = reference_i8,
                   .quant = QuantRule::calibrated()};

}  // namespace ew::ops
