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

Status round_weights(ir::Graph& graph, DType dtype) {
  for (ir::Value& value : graph.values) {
    if (value.data.size() == 0 || !is_shortened(value.data, dtype)) continue;
    EW_TRY(const ir::Tensor rounded, shorten(value.data, dtype, value.name));
    value.data = rounded.cast(DType::kF32);
  }
  return {};
}

}  // namespace ew::formats
