#include "formats/lzf.h"

#include <doctest/doctest.h>

#include <string>

namespace ew::formats {
namespace {

std::string unpack(std::vector<uint8_t> packed, size_t limit = 1000) {
  const auto out = lzf_unpack(packed, limit);
  return out.ok() ? std::string(out->begin(), out->end()) : "error: " + out.error().message;
}

}  // namespace

TEST_CASE("lzf: unpacks literals, short and long references") {
  CHECK(unpack({}) == "");
  CHECK(unpack({2, 'a', 'b', 'c'}) == "abc");
  // 0x20: length 1 + 2, distance 0 + 1: repeats the last byte.
  CHECK(unpack({0, 'a', 0x20, 0}) == "aaaa");
  // 0xe0: length 7 + 3 + 2, distance 1 + 1.
  CHECK(unpack({1, 'a', 'b', 0xe0, 3, 1}) == "ab" + std::string("abababababab"));
}

TEST_CASE("lzf: refuses what is cut off, points outside or grows too large") {
  CHECK(unpack({2, 'a', 'b'}).starts_with("error: LZF data is cut off"));
  CHECK(unpack({0, 'a', 0x20}).starts_with("error: LZF data is cut off"));
  CHECK(unpack({0, 'a', 0xe0}).starts_with("error: LZF data is cut off"));
  CHECK(unpack({0, 'a', 0x20, 1}) == "error: LZF data refers 2 bytes back after 1 bytes");
  CHECK(unpack({0, 'a', 0x20, 0}, 3).starts_with("error: LZF data unpacks to more than 3"));
}

}  // namespace ew::formats
