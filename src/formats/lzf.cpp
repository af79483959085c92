#include "formats/lzf.h"

namespace ew::formats {

// A control byte below 32 stands before 1 to 32 literal bytes. Any other is a back reference: the
// high 3 bits are the length less 2 (7: a further byte is added), the low 5 and the next byte the
// distance less 1.
Result<std::vector<uint8_t>> lzf_unpack(std::span<const uint8_t> packed, size_t max_bytes) {
  std::vector<uint8_t> out;
  const auto cut_off = [&] {
    return invalid_data("LZF data is cut off after ", out.size(), " bytes");
  };
  for (size_t i = 0; i < packed.size();) {
    const size_t control = packed[i++];
    size_t length = control + 1;
    if (control >= 32) {
      length = control >> 5;
      if (length == 7) {
        if (i == packed.size()) return cut_off();
        length += packed[i++];
      }
      length += 2;
    }
    if (length > max_bytes - out.size()) {
      return make_error(ErrorCode::kResourceLimit, "LZF data unpacks to more than ", max_bytes,
                        " bytes");
    }
    if (control < 32) {
      if (packed.size() - i < length) return cut_off();
      for (size_t end = i + length; i < end; ++i) out.push_back(packed[i]);
      continue;
    }
    if (i == packed.size()) return cut_off();
    const size_t distance = ((control & 31) << 8) + packed[i++] + 1;
    if (distance > out.size()) {
      return invalid_data("LZF data refers ", distance, " bytes back after ", out.size(), " bytes");
    }
    // One by one: the source may overlap what is being written.
    for (size_t n = 0; n < length; ++n) out.push_back(out[out.size() - distance]);
  }
  return out;
}

}  // namespace ew::formats
