#include "formats/tflite/flexbuffer.h"

#include <doctest/doctest.h>

namespace ew::formats::tflite {
namespace {

// {"a": -3, "b": 0.5, "c": True, "d": "no", "e": 70000 and "f": 2.25 stored apart}, as flatbuffers
// 25.12.19 writes it.
const std::vector<uint8_t> kMap{
    97, 0,  98, 0, 99, 0,  100, 0,   2,   110, 111, 0,   101, 0,  0,  0,  112, 17, 1,  0, 102,
    0,  0,  0,  0, 0,  16, 64,  6,   29,  28,  27,  26,  21,  14, 0,  7,  0,   0,  0,  1, 0,
    0,  0,  6,  0, 0,  0,  253, 255, 255, 255, 0,   0,   0,   63, 1,  0,  0,   0,  51, 0, 0,
    0,  48, 0,  0, 0,  44, 0,   0,   0,   6,   14,  106, 20,  26, 34, 30, 38,  1};

TEST_CASE("flexbuffer: numbers of every kind are found by key") {
  const auto map = FlexMapView::parse(kMap);
  REQUIRE(map.ok());
  CHECK(map->number("a") == -3);
  CHECK(map->number("b") == 0.5);
  CHECK(map->number("c") == 1);
  CHECK_FALSE(map->number("d"));
  CHECK(map->number("e") == 70000);
  CHECK(map->number("f") == 2.25);
  CHECK_FALSE(map->number("g"));
}

TEST_CASE("flexbuffer: cut or damaged bytes are an error or other numbers, never a crash") {
  for (size_t n = 0; n < kMap.size(); ++n) {
    (void)FlexMapView::parse(std::span(kMap).first(n));
  }
  CHECK_FALSE(FlexMapView::parse({}).ok());
  for (size_t i = 0; i < kMap.size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      std::vector<uint8_t> bytes = kMap;
      bytes[i] = static_cast<uint8_t>(value);
      (void)FlexMapView::parse(bytes);
    }
  }
}

}  // namespace
}  // namespace ew::formats::tflite
