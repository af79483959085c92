#include "base/utf8.h"

#include <cstring>

namespace ew {
namespace {

size_t sequence_length(uint8_t lead) {
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

}  // namespace

size_t utf8_length(std::span<const uint8_t> bytes) {
  const size_t length = sequence_length(bytes[0]);
  if (length == 0 || length > bytes.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((bytes[i] & 0xC0) != 0x80) return 0;
  }
  const uint8_t lead = bytes[0];
  const uint8_t second = bytes[1];
  const bool is_overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool is_surrogate = lead == 0xED && second > 0x9F;
  const bool is_too_large = lead == 0xF4 && second > 0x8F;
  return is_overlong || is_surrogate || is_too_large ? 0 : length;
}

size_t find_malformed_utf8(std::string_view text) {
  const std::span bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  size_t at = 0;
  while (at < bytes.size()) {
    uint64_t word = 0;
    if (bytes.size() - at >= sizeof(word)) {
      std::memcpy(&word, &bytes[at], sizeof(word));
      if ((word & 0x8080808080808080u) == 0) {  // all ASCII
        at += sizeof(word);
        continue;
      }
    }
    const size_t length = bytes[at] < 0x80 ? 1 : utf8_length(bytes.subspan(at));
    if (length == 0) return at;
    at += length;
  }
  return at;
}

}  // namespace ew
