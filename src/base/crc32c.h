#pragma once
// CRC-32C (Castagnoli, RFC 3720 appendix B.4), by the CPU's instruction where it has one.

#include <cstdint>
#include <span>

namespace ew {

/// The checksum of `bytes`; `seed` continues an earlier one: crc32c(b, crc32c(a)) = crc32c(a + b).
uint32_t crc32c(std::span<const uint8_t> bytes, uint32_t seed = 0);

/// The same by table, for CPUs without the instruction and to test the other against.
uint32_t crc32c_portable(std::span<const uint8_t> bytes, uint32_t seed = 0);

}  // namespace ew
