#pragma once
// UTF-8 (RFC 3629).

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ew {

/// Bytes of the character of several bytes at the front of `bytes` (not empty); 0 if it is
/// malformed (section 4: overlong forms, surrogates and what is beyond U+10FFFF too).
size_t utf8_length(std::span<const uint8_t> bytes);

/// The offset of the first malformed character, or text.size().
size_t find_malformed_utf8(std::string_view text);

}  // namespace ew
