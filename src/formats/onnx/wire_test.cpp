#include "formats/onnx/wire.h"

#include <doctest/doctest.h>

namespace ew::formats::onnx {
namespace {

Bytes bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

TEST_CASE("wire: what was written is read") {
  WireWriter inner;
  inner.text(1, "name");
  WireWriter w;
  w.varint(1, -5);
  w.real32(2, 1.5F);
  w.message(3, inner);
  WireReader r(bytes_of(w.data()));
  Field f;
  REQUIRE(r.next(f));
  CHECK(f.integer() == -5);
  REQUIRE(r.next(f));
  CHECK(f.real32() == 1.5F);
  REQUIRE(r.next(f));
  WireReader nested(f.bytes);
  REQUIRE(nested.next(f));
  CHECK(f.text() == "name");
  CHECK_FALSE(r.next(f));
  CHECK(r.ok());
}

TEST_CASE("wire: lengths beyond the message and endless numbers are malformed") {
  for (const std::string& broken :
       {std::string("\x0A\x7Fxy"), std::string("\x08\xFF"), std::string(12, '\xFF'),
        std::string("\x0D\x01\x02"), std::string("\x09\x01"), std::string("\x0B"),
        std::string("\x02\x00", 2)}) {
    WireReader r(bytes_of(broken));
    Field f;
    while (r.next(f)) {
    }
    CHECK_FALSE(r.ok());
  }
}

TEST_CASE("wire: repeated numbers come packed or one by one") {
  std::vector<int64_t> out;
  Field f;
  f.kind = WireKind::kBytes;
  const std::string packed("\x01\x80\x01\x7F", 4);
  f.bytes = bytes_of(packed);
  CHECK(append_varints(f, out));
  CHECK(out == std::vector<int64_t>{1, 128, 127});
  const std::string cut("\x80");
  f.bytes = bytes_of(cut);
  CHECK_FALSE(append_varints(f, out));
  std::vector<float> floats;
  f.bytes = bytes_of(packed);
  CHECK(append_floats(f, floats));
  CHECK(floats.size() == 1);
  f.bytes = bytes_of(cut);
  CHECK_FALSE(append_floats(f, floats));
}

}  // namespace ew::formats::onnx
