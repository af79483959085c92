#include "base/crc32c.h"

#include <array>
#include <cstring>

#include "base/cpu_features.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>
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
// An instruction takes eight bytes a cycle but has its result after three, so three parts of a
// message are summed side by side: those of `a` and `b` are then moved past what follows them.
constexpr ptrdiff_t kPart = 1024;

// What a product without carries has to be with, before the instruction sums it, to move a checksum
// past `bytes` zeros: x^(8 bytes - 33), for the product of two reversed numbers is reversed but for
// one place, and the instruction multiplies by x^32.
constexpr uint64_t past(ptrdiff_t bytes) {
  uint32_t power = 0x80000000U;
  for (ptrdiff_t i = 0; i < 8 * bytes - 33; ++i) {
    power = (power >> 1) ^ ((power & 1) != 0 ? kPolynomial : 0);
  }
  return power;
}
constexpr uint64_t kPastOne = past(kPart);
constexpr uint64_t kPastTwo = past(2 * kPart);

#define EW_CRC_TARGET __attribute__((target("sse4.2,pclmul")))

EW_CRC_TARGET inline uint64_t sum_word(uint64_t sum, const uint8_t* at) {
  uint64_t word = 0;
  std::memcpy(&word, at, 8);
  return _mm_crc32_u64(sum, word);
}

EW_CRC_TARGET inline uint64_t moved(uint64_t sum, uint64_t past) {
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<int64_t>(sum)),
                                               _mm_cvtsi64_si128(static_cast<int64_t>(past)), 0);
  return _mm_crc32_u64(0, static_cast<uint64_t>(_mm_cvtsi128_si64(product)));
}

EW_CRC_TARGET uint32_t by_instruction(std::span<const uint8_t> bytes, uint32_t seed) {
  uint64_t wide = ~seed;
  const uint8_t* at = bytes.data();
  const uint8_t* const end = at + bytes.size();
  for (; end - at >= 3 * kPart; at += 3 * kPart) {
    uint64_t a = wide;
    uint64_t b = 0;
    uint64_t c = 0;
    for (ptrdiff_t i = 0; i < kPart; i += 8) {
      a = sum_word(a, at + i);
      b = sum_word(b, at + kPart + i);
      c = sum_word(c, at + 2 * kPart + i);
    }
    wide = moved(a, kPastTwo) ^ moved(b, kPastOne) ^ c;
  }
  for (; end - at >= 8; at += 8) wide = sum_word(wide, at);
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
  if (has_sse42()) return by_instruction(bytes, seed);
#endif
  return crc32c_portable(bytes, seed);
}

}  // namespace ew
