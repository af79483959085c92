#pragma once
// Views of raw bytes and fixed-width integers in them.

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace ew::host {

using Bytes = std::span<const uint8_t>;
using MutableBytes = std::span<uint8_t>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The little-endian integer at `from`, at any alignment.
template <typename T>
T load_le(const uint8_t* from) {
  static_assert(std::endian::native == std::endian::little, "formats are little-endian");
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}
template <typename T>
void store_le(uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

inline uint16_t load_be16(const uint8_t* from) {
  return static_cast<uint16_t>((from[0] << 8) | from[1]);
}
inline uint32_t load_be32(const uint8_t* from) {
  return (static_cast<uint32_t>(load_be16(from)) << 16) | load_be16(from + 2);
}

}  // namespace ew::host
