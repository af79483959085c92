#include "base/crc32c.h"

#include <doctest/doctest.h>

#include <string_view>
#include <vector>

namespace ew {
namespace {

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

TEST_CASE("crc32c: the check value of the catalogue and those of RFC 3720 B.4") {
  CHECK(crc32c(bytes_of("123456789")) == 0xE3069283U);
  CHECK(crc32c(std::vector<uint8_t>(32, 0)) == 0x8A9136AAU);
  CHECK(crc32c(std::vector<uint8_t>(32, 0xFF)) == 0x62A8AB43U);
  CHECK(crc32c({}) == 0);
}

TEST_CASE("crc32c: instruction and table agree at every length, and parts continue each other") {
  std::vector<uint8_t> bytes;
  for (int i = 0; i < 100; ++i) bytes.push_back(static_cast<uint8_t>(i * 37 + 11));
  for (size_t n = 0; n <= bytes.size(); ++n) {
    const std::span<const uint8_t> part(bytes.data(), n);
    CHECK(crc32c(part) == crc32c_portable(part));
    CHECK(crc32c(std::span(bytes).subspan(n), crc32c(part)) == crc32c(bytes));
  }
}

TEST_CASE("crc32c: so do parts that are summed side by side") {
  std::vector<uint8_t> bytes;
  for (int i = 0; i < 10'000; ++i) bytes.push_back(static_cast<uint8_t>(i * i * 31 + i / 7));
  for (size_t n = 3060; n <= bytes.size(); n += 331) {
    const std::span<const uint8_t> part(bytes.data(), n);
    CHECK(crc32c(part, 77) == crc32c_portable(part, 77));
  }
}

}  // namespace ew
