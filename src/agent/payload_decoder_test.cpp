#include "agent/payload_decoder.h"

#include <doctest/doctest.h>

#include "agent/bytes_io.h"
#include "host/yaml.h"

namespace ew::agent {
namespace {

std::string bytes_of(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
  }
  return out;
}

// The JSON of a payload in hex, or the error's message.
std::string decode(PayloadDecoder& decoder, std::string_view hex, std::string_view topic = "") {
  std::string json;
  const Status status = decoder.decode(topic, bytes_of(hex), json);
  return status.ok() ? json : "error: " + status.error().message;
}

// The examples of RFC 8949, appendix A, as the value of a map's only key "a".
std::string cbor(std::string_view hex) {
  return decode(*make_cbor_decoder(), std::string("a16161") + std::string(hex));
}

// Made by pysparkplug 0.6.1: a DBIRTH of eight metrics with aliases and types, and a DDATA that
// names aliases 1, 2 and 99 and leaves the types out.
constexpr const char* kBirth =
    "0881d095ffbc31121a0a0474656d7010011880d095ffbc31200a69000000000080354012180a05636f756e74100218"
    "80"
    "d095ffbc31200350f9ffffff0f121d0a05746f74616c10031880d095ffbc3120045880ccbbbcdeffffffff0112110a"
    "02"
    "6f6e10041880d095ffbc31200b700112170a0377686f10051880d095ffbc31200c7a05612022622212130a01661006"
    "18"
    "80d095ffbc312009650000803e12120a02753810071880d095ffbc31200550c80112130a046e6f6e6510081880d095"
    "ff"
    "bc31200238011803";
constexpr const char* kData =
    "0882d095ffbc31121210011882d095ffbc31690000000000003640120f10021882d095ffbc3150f8ffffff0f120b10"
    "631882d095ffbc3150011804";
constexpr const char* kBirthTopic = "spBv1.0/plant/DBIRTH/edge/pump";
constexpr const char* kDataTopic = "spBv1.0/plant/DDATA/edge/pump";

}  // namespace

TEST_CASE("CBOR: the examples of RFC 8949, appendix A") {
  CHECK(cbor("1903e8") == R"({"a":1000})");
  CHECK(cbor("3903e7") == R"({"a":-1000})");
  CHECK(cbor("1bffffffffffffffff") == R"({"a":18446744073709551615})");
  CHECK(cbor("f90001") == R"({"a":5.960464477539063e-08})");
  CHECK(cbor("f97bff") == R"({"a":65504})");
  CHECK(cbor("f9c400") == R"({"a":-4})");
  CHECK(cbor("fa47c35000") == R"({"a":100000})");
  CHECK(cbor("fb3ff199999999999a") == R"({"a":1.1})");
  CHECK(cbor("f97c00") == R"({"a":null})");  // infinity
  CHECK(cbor("f5") == R"({"a":true})");
  CHECK(cbor("f6") == R"({"a":null})");
  CHECK(cbor("c11a514b67b0") == R"({"a":1363896240})");
  CHECK(cbor("4401020304") == R"({"a":"AQIDBA=="})");
  CHECK(cbor("62225c") == R"({"a":"\"\\"})");
  CHECK(cbor("7f657374726561646d696e67ff") == R"({"a":"streaming"})");
  CHECK(cbor("9f018202039f0405ffff") == R"({"a":[1,[2,3],[4,5]]})");
  CHECK(cbor("bf6346756ef563416d7421ff") == R"({"a":{"Fun":true,"Amt":-2}})");
  CHECK(cbor("a201020304") == R"({"a":{"1":2,"3":4}})");
}

TEST_CASE("CBOR: what is cut short, too deep or no map is an error with its place") {
  CHECK(cbor("62c3") == "error: CBOR: a string beyond the end at byte 4");
  CHECK(cbor("1900") == "error: CBOR: it ends early at byte 4");
  CHECK(cbor("9bffffffffffffffff01") == "error: CBOR: it ends early at byte 13");
  CHECK(cbor("0000") == "error: CBOR: expected the end at byte 4");
  std::string deep;
  for (int i = 0; i < 40; ++i) deep += "81";
  CHECK(cbor(deep + "01").find("more than 32 levels") != std::string::npos);
  CHECK(decode(*make_cbor_decoder(), "01") == "error: CBOR: expected a map at byte 1");
}

TEST_CASE("Sparkplug: names and types of a birth hold for the data behind it") {
  const auto decoder = make_sparkplug_decoder();
  CHECK(decode(*decoder, kBirth, kBirthTopic) ==
        R"({"timestamp":1700000000001,"temp":21.5,"count":-7,"total":-9000000000,"on":true,)"
        R"("who":"a \"b\"","f":0.25,"u8":200,"none":null,"seq":3})");
  const std::string expected =
      R"({"timestamp":1700000000002,"temp":22,"count":-8,"alias:99":1,"seq":4})";
  CHECK(decode(*decoder, kData, kDataTopic) == expected);
  // Another device of the node has aliases of its own.
  CHECK(decode(*decoder, kData, "spBv1.0/plant/DDATA/edge/fan").find("\"alias:1\":22") !=
        std::string::npos);
  ByteWriter saved;
  decoder->save(saved);
  const auto later = make_sparkplug_decoder();
  ByteReader reader(saved.bytes());
  REQUIRE(later->load(reader));
  CHECK(decode(*later, kData, kDataTopic) == expected);
}

TEST_CASE("Sparkplug: a payload that is cut short anywhere is an error or shorter, never a crash") {
  const std::string whole = bytes_of(kBirth);
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto decoder = make_sparkplug_decoder();
    std::string json;
    if (decoder->decode(kBirthTopic, std::string_view(whole).substr(0, size), json).ok()) {
      CHECK(json.ends_with('}'));
    }
  }
}

TEST_CASE("binary: numbers of a declared layout, with their order, scale and places") {
  const auto list = host::parse_yaml(
      "- {name: temp, type: i16, scale: 0.1}\n"
      "- {name: big, type: u32, order: big}\n"
      "- {name: last, type: u8, at: 9, count: 0}\n"
      "- {name: pair, type: i8, at: 0, count: 2, offset: 1}\n",
      "t.yaml");
  REQUIRE(list.ok());
  auto fields = read_layout(*list);
  REQUIRE(fields.ok());
  const auto decoder = make_binary_decoder(std::move(*fields));
  // -20 = 0xFFEC, little-endian; 0x00000102; three bytes that no field names; 7 and 8.
  CHECK(decode(*decoder, "ecff000001020000000708") ==
        R"({"temp":-2,"big":258,"last":[7,8],"pair":[-19,0]})");
  CHECK(decode(*decoder, "ecff00") == "error: field 'big' ends at byte 6, the payload has 3");
}

}  // namespace ew::agent
