#include "formats/plugin/hdf5_plugin.h"

#include <cstring>

#include "formats/lzf.h"
#include "formats/plugin/hdf5_support.h"

namespace ew::formats::hdf5 {
namespace {

constexpr H5Z_filter_t kLzfFilter = 32000;
constexpr size_t kMaxChunk = size_t{1} << 32;

// h5py gives the chunk's unpacked size as the third parameter.
size_t lzf_filter(unsigned flags, size_t count, const unsigned values[], size_t size,
                  size_t* buffer_size, void** buffer) {
  if ((flags & H5Z_FLAG_REVERSE) == 0) return 0;
  const size_t expected = count >= 3 ? values[2] : 0;
  try {
    const auto out = lzf_unpack({static_cast<const uint8_t*>(*buffer), size},
                                expected > 0 ? expected : kMaxChunk);
    // A chunk that is too short would make the library read behind its buffer.
    if (!out.ok() || (expected > 0 && out->size() != expected)) return 0;
    void* memory = H5allocate_memory(out->size(), false);
    if (memory == nullptr) return 0;
    std::memcpy(memory, out->data(), out->size());
    H5free_memory(*buffer);
    *buffer = memory;
    *buffer_size = out->size();
    return out->size();
  } catch (...) {  // out of memory
    return 0;
  }
}

void start() {
  static const H5Z_class2_t kLzf = {H5Z_CLASS_T_VERS, kLzfFilter, 0,         1, "lzf",
                                    nullptr,          nullptr,    lzf_filter};
  H5dont_atexit();
  H5open();
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  H5PLset_loading_state(0);  // a file must not make us load filters from disk
  H5Zregister(&kLzf);
}

herr_t keep_first(unsigned index, const H5E_error2_t* error, void* target) {
  if (index == 0 && error->desc) *static_cast<std::string*>(target) = error->desc;
  return 0;
}

Handle float16_type(bool brain) {
  Handle type(H5Tcopy(H5T_IEEE_F32LE));
  const size_t exponent = brain ? 8 : 5;
  const size_t mantissa = brain ? 7 : 10;
  H5Tset_fields(type, 15, mantissa, exponent, 0, mantissa);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, brain ? 127 : 15);
  return type;
}

std::optional<DType> float_dtype(hid_t type) {
  size_t sign = 0;
  size_t exponent = 0;
  size_t exponent_bits = 0;
  size_t mantissa = 0;
  size_t mantissa_bits = 0;
  if (H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) < 0) {
    return {};
  }
  const H5T_order_t order = H5Tget_order(type);
  if (order != H5T_ORDER_LE && order != H5T_ORDER_BE) return {};
  const size_t size = H5Tget_size(type);
  if (size == 4 && exponent_bits == 8) return DType::kF32;
  if (size == 8 && exponent_bits == 11) return DType::kF64;
  if (size == 2 && exponent_bits == 5 && mantissa_bits == 10) return DType::kF16;
  if (size == 2 && exponent_bits == 8 && mantissa_bits == 7) return DType::kBF16;
  return {};
}

std::optional<DType> integer_dtype(hid_t type) {
  const bool is_signed = H5Tget_sign(type) != H5T_SGN_NONE;
  switch (H5Tget_size(type)) {
    case 1:
      return is_signed ? DType::kI8 : DType::kU8;
    case 2:
      return is_signed ? DType::kI16 : DType::kU16;
    case 4:
      return is_signed ? DType::kI32 : DType::kU32;
    case 8:
      return is_signed ? DType::kI64 : DType::kU64;
    default:
      return {};
  }
}

/// h5py's bool: an enumeration of int8 with FALSE = 0 and TRUE = 1.
bool is_bool(hid_t type) {
  int8_t no = 1;
  int8_t yes = 0;
  return H5Tget_size(type) == 1 && H5Tget_nmembers(type) == 2 &&
         H5Tenum_valueof(type, "FALSE", &no) >= 0 && H5Tenum_valueof(type, "TRUE", &yes) >= 0 &&
         no == 0 && yes == 1;
}

}  // namespace

std::string take_reason() {
  std::string reason;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &reason);
  H5Eclear2(H5E_DEFAULT);
  return reason.empty() ? "unknown reason" : reason;
}

std::optional<NumberType> number_type_of(hid_t file_type) {
  std::optional<DType> dtype;
  switch (H5Tget_class(file_type)) {
    case H5T_FLOAT:
      dtype = float_dtype(file_type);
      break;
    case H5T_INTEGER:
      dtype = integer_dtype(file_type);
      break;
    case H5T_ENUM: {
      if (is_bool(file_type)) {
        // The enumeration itself: HDF5 does not convert it to an integer.
        return NumberType{DType::kBool, Handle(H5Tcopy(file_type))};
      }
      return {};
    }
    default:
      return {};
  }
  if (!dtype) return {};
  return NumberType{*dtype, stored_type_of(*dtype)};
}

Handle stored_type_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return Handle(H5Tcopy(H5T_IEEE_F32LE));
    case DType::kF64:
      return Handle(H5Tcopy(H5T_IEEE_F64LE));
    case DType::kF16:
    case DType::kBF16:
      return float16_type(dtype == DType::kBF16);
    case DType::kI8:
      return Handle(H5Tcopy(H5T_STD_I8LE));
    case DType::kU8:
      return Handle(H5Tcopy(H5T_STD_U8LE));
    case DType::kI16:
      return Handle(H5Tcopy(H5T_STD_I16LE));
    case DType::kU16:
      return Handle(H5Tcopy(H5T_STD_U16LE));
    case DType::kI32:
      return Handle(H5Tcopy(H5T_STD_I32LE));
    case DType::kU32:
      return Handle(H5Tcopy(H5T_STD_U32LE));
    case DType::kI64:
      return Handle(H5Tcopy(H5T_STD_I64LE));
    case DType::kU64:
      return Handle(H5Tcopy(H5T_STD_U64LE));
    case DType::kBool:
      break;
  }
  Handle type(H5Tenum_create(H5T_STD_I8LE));
  int8_t value = 0;
  H5Tenum_insert(type, "FALSE", &value);
  value = 1;
  H5Tenum_insert(type, "TRUE", &value);
  return type;
}

}  // namespace ew::formats::hdf5

extern "C" __attribute__((visibility("default")))
const ew::formats::Hdf5Plugin edgewise_hdf5_plugin;
const ew::formats::Hdf5Plugin edgewise_hdf5_plugin = {
    ew::formats::kHdf5PluginVersion, ew::formats::hdf5::start, ew::formats::hdf5::read_image,
    ew::formats::hdf5::write_tree};
