/// dequantize: y = scale * (x - zero point), computed in double and rounded once.
///
///   inputs   x: int8, uint8, int16 or int32 with quantisation, per tensor or per axis
///   outputs  y: float32
///   oracle   tflite-micro DEQUANTIZE: the same bits
#include "ops/int8.h"

namespace ew::ops {
namespace {

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs&) {
  const TensorType& x = *in[0];
  if (!x.quant || (x.dtype != DType::kI8 && x.dtype != DType::kU8 && x.dtype != DType::kI16 &&
                   x.dtype != DType::kI32)) {
    return invalid_argument("expected a quantised integer tensor, found ", x);
  }
  return std::vector<TensorType>{{DType::kF32, x.shape, nullptr}};
}

template <typename T>
void dequantize(ConstTensorView in, float* y) {
  const ir::QuantParams& q = *in.type->quant;
  const T* x = in.as<T>();
  const auto n = static_cast<size_t>(in.size());
  const size_t period = q.scales.size();
  for (size_t i = 0; i < n; ++i) {
    const size_t entry = i % period;
    y[i] = static_cast<float>(double{q.scales[entry]} *
                              static_cast<double>(int64_t{x[i]} - q.zero_points[entry]));
  }
}

void reference_i8(ConstViews in, Views out, const Attrs&, Int8Profile) {
  float* y = out[0].as<float>();
  switch (in[0].dtype()) {
    case DType::kI8:
      return dequantize<int8_t>(in[0], y);
    case DType::kU8:
      return dequantize<uint8_t>(in[0], y);
    case DType::kI16:
      return dequantize<int16_t>(in[0], y);
    default:
      return dequantize<int32_t>(in[0], y);
  }
}

}  // namespace

const OpDef kDequantize{.name = "dequantize", .infer = infer, .reference_i8 = reference_i8};

}  // namespace ew::ops
