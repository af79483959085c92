/// quantize: y = clamp(round(x / scale) + zero point, -128, 127); from int8, a change of scale.
///
///   inputs   x: float32, or int8 with quantisation
///   outputs  y: int8; its quantisation is that of the output's type
///   quant    float input: division and rounding (ties away from zero) in float32; int8 input: the
///            fixed-point multiplier s_x / s_y, rounded twice
///   oracle   tflite-micro QUANTIZE: the same bytes
#include "ops/int8.h"

namespace ew::ops {
namespace {

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs&) {
  const TensorType& x = *in[0];
  if (x.dtype != DType::kF32 && !(x.dtype == DType::kI8 && x.quant)) {
    return invalid_argument("expected float32 or quantised int8, found ", x);
  }
  return std::vector<TensorType>{{DType::kI8, x.shape, nullptr}};
}

void reference_i8(ConstViews in, Views out, const Attrs&, Int8Profile) {
  const TensorType& to = *out[0].type;
  const int64_t n = in[0].size();
  auto* y = out[0].as<int8_t>();
  const int32_t zero = int8::zero_of(to);
  if (in[0].dtype() == DType::kF32) {
    const float* x = in[0].as<float>();
    const float scale = int8::scale_of(to);
    for (int64_t i = 0; i < n; ++i) {
      // NaN compares false with everything, so it lands on the zero point.
      const float steps = std::round(x[i] / scale);
      const float bounded = steps > 512      ? 512.F
                            : steps < -512   ? -512.F
                            : steps == steps ? steps
                                             : 0;
      y[i] = int8::Range{}(static_cast<int32_t>(bounded) + zero);
    }
    return;
  }
  const TensorType& from = *in[0].type;
  const auto* x = in[0].as<int8_t>();
  const int8::Multiplier m =
      int8::quantize_multiplier(double{int8::scale_of(from)} / double{int8::scale_of(to)});
  for (int64_t i = 0; i < n; ++i) {
    const int64_t scaled = int8::scale_twice_rounded(x[i] - int8::zero_of(from), m);
    y[i] = static_cast<int8_t>(std::clamp<int64_t>(scaled + zero, -128, 127));
  }
}

}  // namespace

const OpDef kQuantize{.name = "quantize", .infer = infer, .reference_i8 = reference_i8};

}  // namespace ew::ops
