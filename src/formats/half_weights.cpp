#include "formats/half_weights.h"

#include <cmath>

namespace ew::formats {

bool is_shortened(const ir::Tensor& weights, DType dtype) {
  return dtype != DType::kF32 && weights.dtype() == DType::kF32 && weights.shape().rank() >= 2;
}

Result<ir::Tensor> shorten(const ir::Tensor& weights, DType dtype, const std::string& name) {
  const ir::Tensor out = weights.cast(dtype);
  const ir::Tensor back = out.cast(DType::kF32);
  const auto a = weights.values<float>();
  const auto b = back.values<float>();
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isfinite(a[i]) && !std::isfinite(b[i])) {
      return invalid_argument("the weight ", a[i], " of '", name, "' does not fit ",
                              dtype_name(dtype), "; bfloat16 and float32 can hold it");
    }
  }
  return out;
}

}  // namespace ew::formats
