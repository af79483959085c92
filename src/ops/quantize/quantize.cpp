/// quantize: y = clamp(round(x / scale) + zero point); from integers, a change of scale.
///
///   inputs   x: float32, or int8, uint8 or int16 with quantisation
///   outputs  y: dtype `to`; its quantisation is that of the output's type
///   attrs    to: "int8" (default), "uint8" or "int16"
///   quant    float input: division and rounding (ties away from zero) in float32; integer input:
///   the
///            fixed-point multiplier s_x / s_y, rounded twice
///   errors   kInvalidArgument for other dtypes
///   oracle   tflite-micro QUANTIZE: the same bytes
#include "ops/int8.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"to", std::string("int8")}};

bool is_stored(DType dtype) {
  return dtype == DType::kI8 || dtype == DType::kU8 || dtype == DType::kI16;
}

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  const TensorType& x = *in[0];
  EW_TRY(const DType to, parse_dtype(attrs.text("to")));
  if (x.dtype != DType::kF32 && !(is_stored(x.dtype) && x.quant)) {
    return invalid_argument("expected float32 or quantised int8, uint8 or int16, found ", x);
  }
  if (!is_stored(to)) return invalid_argument("cannot quantise to ", to);
  return std::vector<TensorType>{{to, x.shape, nullptr}};
}

template <typename T>
T saturate(int64_t x) {
  return static_cast<T>(
      std::clamp<int64_t>(x, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
}

template <typename T>
void from_float(ConstTensorView in, TensorView out) {
  const float scale = int8::scale_of(*out.type);
  const int32_t zero = int8::zero_of(*out.type);
  const float* x = in.as<float>();
  T* y = out.as<T>();
  const int64_t n = in.size();
  constexpr float kFar = 1 << 18;
  for (int64_t i = 0; i < n; ++i) {
    // NaN compares false with everything, so it lands on the zero point.
    const float steps = std::round(x[i] / scale);
    const float bounded = steps > kFar ? kFar : steps < -kFar ? -kFar : steps == steps ? steps : 0;
    y[i] = saturate<T>(int64_t{static_cast<int32_t>(bounded)} + zero);
  }
}

template <typename From, typename T>
void rescale(ConstTensorView in, TensorView out) {
  const int8::Multiplier m = int8::quantize_multiplier(double{int8::scale_of(*in.type)} /
                                                       double{int8::scale_of(*out.type)});
  const int32_t zero_x = int8::zero_of(*in.type);
  const int32_t zero_y = int8::zero_of(*out.type);
  const From* x = in.as<From>();
  T* y = out.as<T>();
  const int64_t n = in.size();
  for (int64_t i = 0; i < n; ++i) {
    y[i] = saturate<T>(int64_t{int8::scale_twice_rounded(x[i] - zero_x, m)} + zero_y);
  }
}

template <typename T>
void to_stored(ConstTensorView in, TensorView out) {
  switch (in.dtype()) {
    case DType::kF32:
      return from_float<T>(in, out);
    case DType::kU8:
      return rescale<uint8_t, T>(in, out);
    case DType::kI16:
      return rescale<int16_t, T>(in, out);
    default:
      return rescale<int8_t, T>(in, out);
  }
}

void reference_i8(ConstViews in, Views out, const Attrs&, Int8Profile) {
  switch (out[0].dtype()) {
    case DType::kU8:
      return to_stored<uint8_t>(in[0], out[0]);
    case DType::kI16:
      return to_stored<int16_t>(in[0], out[0]);
    default:
      return to_stored<int8_t>(in[0], out[0]);
  }
}

}  // namespace

const OpDef kQuantize{
    .name = "quantize", .attrs = kAttrs, .infer = infer, .reference_i8 = reference_i8};

}  // namespace ew::ops
