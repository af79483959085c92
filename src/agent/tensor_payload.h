#pragma once
// Payloads of sources of pictures and sound: a JSON object that tells about them, and the elements,
// which are one field of the record but never part of what leaves.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/dtype.h"

namespace ew::agent {

/// The elements, as a field of a record holds them. Views into the payload.
struct TensorField {
  DType dtype = DType::kU8;  ///< kU8, kI16 or kF32
  std::string_view bytes;    ///< little endian, not aligned

  size_t size() const { return bytes.size() / dtype_size(dtype); }
};

/// Payload: u32 length of the JSON, the JSON, then the field: u8 dtype, elements.
std::string encode_tensor(std::string_view json, DType dtype, size_t element_bytes);
/// Where the elements of a payload made by encode_tensor() are to be written.
std::span<uint8_t> tensor_elements(std::string& payload, size_t json_size);

struct TensorPayload {
  std::string_view json;
  std::string_view field;  ///< what a Value of the record holds; parse_tensor_field() reads it
};
/// Nothing if the bytes are no such payload.
std::optional<TensorPayload> split_tensor(std::string_view payload);
std::optional<TensorField> parse_tensor_field(std::string_view field);

/// (element - mean) / scale for each; `out` has as many places as the field elements. int16 is
/// sound: its elements count as stored / 32768, in [-1, 1).
void read_tensor(const TensorField& field, double mean, double scale, std::span<float> out);

}  // namespace ew::agent
