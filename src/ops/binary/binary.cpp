// The operators of binary.def.
#include "ops/binary/binary_i8.h"
#include "ops/int16.h"
#include "ops/selected.h"

namespace ew::ops {
namespace math {

// Integers wrap around at the ends of their type, as NumPy's do; data decides what they are.
template <typename T>
T add(T x, T y) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<uint64_t>(x) + static_cast<uint64_t>(y));
  else
    return x + y;
}

template <typename T>
T subtract(T x, T y) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<uint64_t>(x) - static_cast<uint64_t>(y));
  else
    return x - y;
}

template <typename T>
T multiply(T x, T y) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<uint64_t>(x) * static_cast<uint64_t>(y));
  else
    return x * y;
}

template <typename T>
T divide(T x, T y) {
  if constexpr (std::is_integral_v<T>) {
    if (y == 0) return T(0);
    // The least integer divided by -1 does not exist and traps.
    if (std::is_signed_v<T> && y == static_cast<T>(-1)) return subtract(T(0), x);
    return static_cast<T>(x / y);
  } else {
    return x / y;
  }
}

template <typename T>
T power(T x, T y) {
  if constexpr (std::is_integral_v<T>) {
    const double wide = std::pow(static_cast<double>(x), static_cast<double>(y));
    T out{};
    convert_elements(DType::kF64, &wide, kDTypeOf<T>, &out, 1);
    return out;
  } else {
    return static_cast<T>(std::pow(x, y));
  }
}

template <typename T>
T remainder(T x, T y) {
  if constexpr (std::is_integral_v<T>) {
    // Every integer is a multiple of -1, whose quotient may not exist and trap.
    if (y == 0 || (std::is_signed_v<T> && y == static_cast<T>(-1))) return T(0);
    return static_cast<T>(x % y);
  } else {
    return std::fmod(x, y);
  }
}

template <typename T>
T floor_remainder(T x, T y) {
  const T r = remainder(x, y);
  return r != T(0) && (r < T(0)) != (y < T(0)) ? add(r, y) : r;
}

template <typename T, typename F>
T bitwise(T x, T y, F f) {
  if constexpr (std::is_integral_v<T>) {
    using Bits = std::conditional_t<(sizeof(T) < 8), uint32_t, uint64_t>;
    using Own = std::make_unsigned_t<T>;
    return static_cast<T>(
        f(static_cast<Bits>(static_cast<Own>(x)), static_cast<Bits>(static_cast<Own>(y))));
  } else {
    return T(0);
  }
}

}  // namespace math

namespace {

template <typename F>
void dispatch_number(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kF64:
      return f.template operator()<double>();
    case DType::kI32:
      return f.template operator()<int32_t>();
    case DType::kI64:
      return f.template operator()<int64_t>();
    case DType::kBool:
      return f.template operator()<bool>();
    case DType::kI8:
      return f.template operator()<int8_t>();
    case DType::kI16:
      return f.template operator()<int16_t>();
    case DType::kU8:
      return f.template operator()<uint8_t>();
    case DType::kU16:
      return f.template operator()<uint16_t>();
    case DType::kU32:
      return f.template operator()<uint32_t>();
    case DType::kU64:
      return f.template operator()<uint64_t>();
    default:
      return f.template operator()<float>();
  }
}

template <typename T, typename R, typename F>
void for_each_pair(ConstViews in, Views out, F f) {
  const T* px = in[0].as<T>();
  const T* py = in[1].as<T>();
  R* pz = out[0].as<R>();
  const int64_t n = out[0].size();
  const BroadcastIndex ix(in[0].shape(), out[0].shape());
  const BroadcastIndex iy(in[1].shape(), out[0].shape());
  if (ix.is_identity() && iy.is_identity()) {
    for (int64_t i = 0; i < n; ++i) pz[i] = f(px[i], py[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) pz[i] = f(px[ix(i)], py[iy(i)]);
  }
}

// add, sub and mul may end in a fused activation.
const AttrDef kClampAttrs[] = {int8::kClampMin, int8::kClampMax};

Result<std::vector<TensorType>> infer_binary(InputTypes in, const Attrs& attrs) {
  if ((in[0]->quant == nullptr) != (in[1]->quant == nullptr)) {
    return invalid_argument("expected two quantised inputs or none, found ", *in[0], " and ",
                            *in[1]);
  }
  if (int8::has_clamp(attrs)) EW_TRY_VOID(int16::expect_real(*in[0]));
  if (in[0]->dtype != in[1]->dtype) {
    return invalid_argument("inputs have different dtypes: ", in[0]->dtype, " and ", in[1]->dtype);
  }
  EW_TRY(Shape shape, broadcast(in[0]->shape, in[1]->shape));
  return std::vector<TensorType>{{in[0]->dtype, std::move(shape), nullptr}};
}

Result<std::vector<TensorType>> infer_compare(InputTypes in, const Attrs& attrs) {
  EW_TRY(std::vector<TensorType> types, infer_binary(in, attrs));
  types[0].dtype = DType::kBool;
  return types;
}

#define EW_BINARY(id, Id, f)                                                      \
  void id##_reference(ConstViews in, Views out, const Attrs& attrs) {             \
    dispatch_number(in[0].dtype(), [&]<typename T>() {                            \
      if constexpr (!std::is_same_v<T, bool>) {                                   \
        for_each_pair<T, T>(in, out, [](T x, T y) { return static_cast<T>(f); }); \
      }                                                                           \
    });                                                                           \
    int8::clamp_real(attrs, out[0]);                                              \
  }
#define EW_COMPARE(id, Id, f)                                                         \
  void id##_reference(ConstViews in, Views out, const Attrs&) {                       \
    dispatch_number(in[0].dtype(), [&]<typename T>() {                                \
      for_each_pair<T, bool>(in, out, [](T x, T y) { return static_cast<bool>(f); }); \
    });                                                                               \
  }
#include EW_BINARY_DEF
#undef EW_BINARY
#undef EW_COMPARE

std::span<const AttrDef> attrs_of(std::string_view name) {
  const bool is_rescaled = binary_quant_rule(name).kind != QuantRule::Kind::kNone;
  return is_rescaled ? std::span<const AttrDef>(kClampAttrs) : std::span<const AttrDef>();
}

}  // namespace

#define EW_BINARY(id, Id, ...)                                \
  const OpDef k##Id{.name = #id,                              \
                    .attrs = attrs_of(#id),                   \
                    .min_inputs = 2,                          \
                    .max_inputs = 2,                          \
                    .infer = infer_binary,                    \
                    .reference = id##_reference,              \
                    .reference_i8 = binary_reference_i8(#id), \
                    .quant = binary_quant_rule(#id)};
#define EW_COMPARE(id, Id, ...)             \
  const OpDef k##Id{.name = #id,            \
                    .min_inputs = 2,        \
                    .max_inputs = 2,        \
                    .infer = infer_compare, \
                    .reference = id##_reference};
#include EW_BINARY_DEF
#undef EW_BINARY
#undef EW_COMPARE

}  // namespace ew::ops
