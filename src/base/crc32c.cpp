#include "base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace ew {
namespace {

// The polynomial's bits are reversed, as the bytes of a message count from the lowest bit.
constexpr uint32_t kPolynomial = 0x82F63B78U;

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1) ^ ((rest & 1) != 0 ? kPolynomial : 0);
    table[byte] = rest;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kTable = make_table();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t by_instruction(std::span<const uint8_t> bytes,
                                                          uint32_t seed) {
  uint64_t wide = ~seed;
  const uint8_t* at = bytes.data();
  const uint8_t* const end = at + bytes.size();
  for (; end - at >= 8; at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, at, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  auto rest = static_cast<uint32_t>(wide);
  for (; at < end; ++at) rest = _mm_crc32_u8(rest, *at);
  return ~rest;
}
#endif

}  // namespace

uint32_t crc32c_portable(std::span<const uint8_t> bytes, uint32_t seed) {
  uint32_t rest = ~seed;
  for (const uint8_t byte : bytes) rest = (rest >> 8) ^ kTable[(rest ^ byte) & 0xFF];
  return ~rest;
}

uint32_t crc32c(std::span<const uint8_t> bytes, uint32_t seed) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return by_instruction(bytes, seed);
#endif
  return crc32c_portable(bytes, seed);
}

}  // namespace ew
