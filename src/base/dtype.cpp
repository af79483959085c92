#include "base/dtype.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

namespace ew {
namespace {

struct Info {
  DType dtype;
  const char* name;
  size_t size;
};
constexpr Info kInfo[] = {
    {DType::kF32, "float32", 4},   {DType::kF64, "float64", 8}, {DType::kF16, "float16", 2},
    {DType::kBF16, "bfloat16", 2}, {DType::kI8, "int8", 1},     {DType::kU8, "uint8", 1},
    {DType::kI16, "int16", 2},     {DType::kU16, "uint16", 2},  {DType::kI32, "int32", 4},
    {DType::kU32, "uint32", 4},    {DType::kI64, "int64", 8},   {DType::kU64, "uint64", 8},
    {DType::kBool, "bool", 1}};

template <typename To>
To from_double(double value) {
  if constexpr (std::is_same_v<To, bool>) {
    return value != 0;
  } else if constexpr (std::is_same_v<To, Half>) {
    return to_half(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, BFloat16>) {
    return to_bfloat16(static_cast<float>(value));
  } else if constexpr (std::is_floating_point_v<To>) {
    return static_cast<To>(value);
  } else {
    if (std::isnan(value)) return 0;
    constexpr double low = static_cast<double>(std::numeric_limits<To>::min());
    constexpr double high = static_cast<double>(std::numeric_limits<To>::max());
    if (value <= low) return std::numeric_limits<To>::min();
    if (value >= high) return std::numeric_limits<To>::max();
    return static_cast<To>(value);
  }
}

template <typename To, typename From>
To convert_one(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (std::is_same_v<From, Half> || std::is_same_v<From, BFloat16>) {
    return from_double<To>(static_cast<double>(to_float(value)));
  } else if constexpr (std::is_integral_v<From> && std::is_integral_v<To> &&
                       !std::is_same_v<To, bool>) {
    // Through double would lose bits of 64-bit integers.
    if constexpr (std::is_same_v<From, bool>)
      return static_cast<To>(value ? 1 : 0);
    else if (std::in_range<To>(value))
      return static_cast<To>(value);
    else
      return std::cmp_less(value, 0) ? std::numeric_limits<To>::min()
                                     : std::numeric_limits<To>::max();
  } else {
    return from_double<To>(static_cast<double>(value));
  }
}

}  // namespace

size_t dtype_size(DType dtype) { return kInfo[static_cast<size_t>(dtype)].size; }
const char* dtype_name(DType dtype) { return kInfo[static_cast<size_t>(dtype)].name; }

Result<DType> parse_dtype(std::string_view name) {
  for (const Info& info : kInfo) {
    if (name == info.name) return info.dtype;
  }
  return invalid_argument("unknown dtype '", name,
                          "'; known: float32, float64, float16, bfloat16, "
                          "int8 to int64, uint8 to uint64, bool");
}

bool is_floating(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kF16 ||
         dtype == DType::kBF16;
}

float to_float(BFloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}

BFloat16 to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return {static_cast<uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

float to_float(Half value) {
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000u) << 16;
  const uint32_t exponent = (value.bits >> 10) & 0x1fu;
  const uint32_t mantissa = value.bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

Half to_half(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<uint16_t>(sign | 0x7e00u)};
  if (magnitude >= 0x477ff000u)
    return {static_cast<uint16_t>(sign | 0x7c00u)};  // rounds past 65504
  if (magnitude < 0x38800000u) {  // subnormal half: an exact multiple of 2^-24 after rounding
    const float scaled = std::bit_cast<float>(magnitude) * 0x1p24f;
    return {static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyint(scaled)))};
  }
  const uint32_t rounded = magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u);
  return {static_cast<uint16_t>(sign | static_cast<uint16_t>(rounded >> 13))};
}

void convert_elements(DType from, const void* source, DType to, void* target, int64_t count) {
  if (from == to) {
    if (count > 0) std::memcpy(target, source, static_cast<size_t>(count) * dtype_size(from));
    return;
  }
  dispatch_dtype(from, [&]<typename From>() {
    dispatch_dtype(to, [&]<typename To>() {
      const auto* in = static_cast<const From*>(source);
      auto* out = static_cast<To*>(target);
      for (int64_t i = 0; i < count; ++i) out[i] = convert_one<To>(in[i]);
    });
  });
}

}  // namespace ew
