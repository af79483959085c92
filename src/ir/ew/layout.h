#pragma once
// Magic numbers and sizes of the `.ew` format (docs/formats/ew.md). Internal to this folder.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/crc32c.h"

namespace ew::ir::ew_format {

/// A byte above 127, line ends of both kinds and an end-of-file: transfers as text show at once.
inline constexpr std::array<uint8_t, 8> kMagic{0x89, 'E', 'W', 'F', '\r', '\n', 0x1A, '\n'};
inline constexpr uint32_t kVersion = 1;

using Kind = std::array<uint8_t, 4>;
inline constexpr Kind kGraphKind{'G', 'R', 'P', 'H'};
inline constexpr Kind kDataKind{'D', 'A', 'T', 'A'};
inline constexpr Kind kPackedKind{'P', 'A', 'C', 'K'};

inline constexpr size_t kFixedHeader = 32;
inline constexpr size_t kEntryBytes = 24;
inline constexpr size_t kChecksumAt = 12;
inline constexpr size_t header_bytes(size_t sections) {
  return (kFixedHeader + sections * kEntryBytes + 63) / 64 * 64;
}

/// Over the header and the table of sections without the checksum itself.
inline uint32_t header_checksum(std::span<const uint8_t> header) {
  return crc32c(header.subspan(kChecksumAt + 4), crc32c(header.first(kChecksumAt)));
}

inline constexpr std::array<uint8_t, 8> kSignatureMagic{'E', 'W', 'S', 'I', 'G', 'N', '0', '1'};
inline constexpr size_t kSignatureBytes = 8 + 32 + 64 + 4;

}  // namespace ew::ir::ew_format
