#include "formats/tflite/stored_tensor.h"

#include <algorithm>
#include <cmath>

namespace ew::formats::tflite {
namespace {

using ir::QuantParams;
using ir::Tensor;
using ir::TensorType;

Result<DType> dtype_of(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
    case ElementType::kComplex64:
      return DType::kF32;
    case ElementType::kFloat16:
      return DType::kF16;
    case ElementType::kBfloat16:
      return DType::kBF16;
    case ElementType::kFloat64:
      return DType::kF64;
    case ElementType::kInt8:
    case ElementType::kInt4:
      return DType::kI8;
    case ElementType::kUint8:
      return DType::kU8;
    case ElementType::kInt16:
      return DType::kI16;
    case ElementType::kUint16:
      return DType::kU16;
    case ElementType::kInt32:
      return DType::kI32;
    case ElementType::kUint32:
      return DType::kU32;
    case ElementType::kInt64:
      return DType::kI64;
    case ElementType::kUint64:
      return DType::kU64;
    case ElementType::kBool:
      return DType::kBool;
    default:
      return unsupported("element type ", element_type_name(type));
  }
}

std::pair<int64_t, int64_t> zero_point_range(ElementType type) {
  switch (type) {
    case ElementType::kInt8:
    case ElementType::kInt4:
      return {-128, 127};
    case ElementType::kUint8:
      return {0, 255};
    default:
      return {INT16_MIN, INT16_MAX};
  }
}

Result<QuantParams> quant_params(const Quantization& q, const TensorInfo& info) {
  QuantParams out;
  const size_t entries = q.scales.size();
  if (q.zero_points.size() != entries && !q.zero_points.empty()) {
    return invalid_data(entries, " scales and ", q.zero_points.size(), " zero points");
  }
  if (entries > 1) {
    const bool fits = q.axis >= 0 && q.axis < info.shape.rank() &&
                      info.shape[static_cast<int>(q.axis)] == static_cast<int64_t>(entries);
    if (!fits) {
      return invalid_data(entries, " scales do not fit axis ", q.axis, " of shape ", info.shape);
    }
    out.axis = static_cast<int>(q.axis);
  }
  for (size_t i = 0; i < entries; ++i) {
    const float scale = q.scales[i];
    const int64_t zero = q.zero_points.empty() ? 0 : q.zero_points[i];
    const auto [least, most] = zero_point_range(info.type);
    if (!std::isfinite(scale) || scale < 0 || zero < least || zero > most) {
      return invalid_data("expected a positive scale and a zero point from ", least, " to ", most,
                          ", found ", scale, " and ", zero);
    }
    // A channel whose weights are all zero may have the scale 0, which is as good as any.
    out.scales.push_back(scale > 0 ? scale : 1.F);
    out.zero_points.push_back(static_cast<int32_t>(zero));
  }
  return out;
}

std::vector<uint8_t> unpack_int4(std::span<const uint8_t> packed, int64_t count) {
  std::vector<uint8_t> out(static_cast<size_t>(count));
  for (size_t i = 0; i < out.size(); ++i) {
    const int nibble = (packed[i / 2] >> (i % 2 * 4)) & 15;
    out[i] = static_cast<uint8_t>(nibble < 8 ? nibble : nibble - 16);
  }
  return out;
}

}  // namespace

Result<TensorType> tensor_type(const TensorInfo& info) {
  TensorType type;
  EW_TRY(type.dtype, dtype_of(info.type));
  type.shape = info.shape;
  if (info.type == ElementType::kComplex64) type.shape.dims().push_back(2);
  if (info.quantization && !info.quantization->scales.empty() && !is_floating(type.dtype) &&
      type.dtype != DType::kBool) {
    EW_TRY(QuantParams q, quant_params(*info.quantization, info));
    type.quant = std::make_shared<const QuantParams>(std::move(q));
  }
  return type;
}

Result<Tensor> stored_tensor(const TensorInfo& info) {
  EW_TRY(const TensorType type, tensor_type(info));
  const int64_t count = type.shape.num_elements();
  if (info.data.empty() && info.is_variable && count > (int64_t{1} << 22)) {
    return make_error(ErrorCode::kResourceLimit, "a variable of ", count, " elements");
  }
  const size_t element = dtype_size(type.dtype);
  std::vector<uint8_t> made;
  std::span<const uint8_t> bytes = info.data;
  size_t expected = static_cast<size_t>(count) * element;
  if (info.sparsity) {
    // Nine weights of ten pruned is common, 99 of 100 is not.
    if (expected > (size_t{1} << 26) + 256 * info.data.size()) {
      return make_error(ErrorCode::kResourceLimit, "sparse tensor: ", info.data.size(),
                        " bytes stand for ", expected);
    }
    EW_TRY(made, densify(info, element));
    bytes = made;
  } else if (info.type == ElementType::kInt4) {
    expected = (static_cast<size_t>(count) + 1) / 2;
  }
  if (bytes.size() != expected && !(bytes.empty() && info.is_variable)) {
    return invalid_data("expected ", expected, " bytes for ", type.shape, " of ",
                        element_type_name(info.type), ", found ", bytes.size());
  }
  if (info.type == ElementType::kInt4 && !info.sparsity && !bytes.empty()) {
    made = unpack_int4(bytes, count);
    bytes = made;
  }
  Tensor out(type);
  if (type.dtype == DType::kBool) {
    bool* target = out.mutable_values<bool>().data();
    for (size_t i = 0; i < bytes.size(); ++i) target[i] = bytes[i] != 0;
  } else if (!bytes.empty()) {
    std::memcpy(out.mutable_data(), bytes.data(), bytes.size());
  }
  return out;
}

}  // namespace ew::formats::tflite
