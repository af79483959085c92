#include "formats/json.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace ew::formats {
namespace {

std::string error_of(std::string_view text, const JsonLimits& limits = {}) {
  const Result<Config> result = parse_json(text, limits);
  return result.ok() ? "none" : result.error().message;
}

}  // namespace

TEST_CASE("json: reads every kind of value and keeps the order of keys") {
  const Config v =
      parse_json(
          R"( {"b": [1, -2, 2.0, 1e3], "a": {"x": null, "y": true}, "s": "\u00e9\n\ud83d\ude00"} )")
          .value();
  CHECK(v.as_map()[0].first == "b");
  CHECK(v["b"] == Config(Config::List{1, -2, 2.0, 1000.0}));
  CHECK(v["b"].as_list()[2].is_double());
  CHECK(v["a"]["x"].is_null());
  CHECK(v["a"]["y"].as_bool());
  CHECK(v["s"].as_string() == "\xc3\xa9\n\xf0\x9f\x98\x80");
}

TEST_CASE("json: reads integers to the ends of int64 and larger ones as doubles") {
  const Config v =
      parse_json("[9223372036854775807, -9223372036854775808, 18446744073709551615, 1e308]")
          .value();
  CHECK(v.as_list()[0] == Config(std::numeric_limits<int64_t>::max()));
  CHECK(v.as_list()[1] == Config(std::numeric_limits<int64_t>::min()));
  CHECK(v.as_list()[2] == Config(18446744073709551616.0));
  CHECK(v.as_list()[3] == Config(1e308));
}

TEST_CASE("json: of equal keys the last value wins at the first place, as in Python") {
  const Config v = parse_json(R"({"a": 1, "b": 2, "a": 3})").value();
  CHECK(to_json(v) == R"({"a": 3, "b": 2})");
}

TEST_CASE("json: reads NaN and Infinity as Python writes them, and only as bare values") {
  const Config v =
      parse_json(R"({"NaN": NaN, "l": [Infinity,-Infinity, "-Infinity NaN"]})").value();
  CHECK(std::isnan(v["NaN"].as_double()));
  CHECK(v["l"].as_list()[0] == Config(std::numeric_limits<double>::infinity()));
  CHECK(v["l"].as_list()[1] == Config(-std::numeric_limits<double>::infinity()));
  CHECK(v["l"].as_list()[2] == Config("-Infinity NaN"));
  CHECK(std::isnan(parse_json("NaN").value().as_double()));
  for (const char* wrong : {"1NaN", "NaNs", "xInfinity", "--Infinity", "[NaN NaN]", "{NaN: 1}"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_json(wrong).ok());
  }
}

TEST_CASE("json: zeros that look like the stand-ins of NaN stay zeros") {
  const Config v = parse_json("[0e-11111, 0e-111111, NaN, 0e-1, Infinity, 0e-1111111]").value();
  for (const size_t i : {0, 1, 3, 5}) CHECK(v.as_list()[i] == Config(0.0));
  CHECK(std::isnan(v.as_list()[2].as_double()));
  CHECK(std::isinf(v.as_list()[4].as_double()));
}

TEST_CASE("json: errors tell the offset, also behind a NaN") {
  CHECK(error_of("[1, 2").starts_with("JSON, offset 5: "));
  CHECK(error_of("[1, x]").starts_with("JSON, offset 4: "));
  CHECK(error_of("[NaN, x]").starts_with("JSON, offset 6: "));
  CHECK(error_of("[1] 2").starts_with("JSON, offset 4: "));
  CHECK(error_of("").starts_with("JSON, offset 0: "));
  CHECK(error_of("1e999").find("1e999") != std::string::npos);
  CHECK(parse_json("\"\xff\"").error().code == ErrorCode::kInvalidData);
  CHECK(error_of("\"" + std::string(100000, 'a')).size() < 300);
}

TEST_CASE("json: refuses text that is too deep, too long or has too many values") {
  const std::string open(201, '[');
  const std::string close(201, ']');
  CHECK(parse_json(open + close).error().code == ErrorCode::kResourceLimit);
  CHECK(parse_json(open.substr(1) + close.substr(1)).ok());
  CHECK(parse_json(std::string(1000000, '[')).error().code == ErrorCode::kResourceLimit);
  CHECK(parse_json("[0,0]", {.max_bytes = 4}).error().code == ErrorCode::kResourceLimit);
  CHECK(parse_json("[0,0]", {.max_values = 2}).error().code == ErrorCode::kResourceLimit);
}

TEST_CASE("json: many equal keys take no quadratic time") {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i) text += str("\"", i % 100000, "\": 1, ");
  text += "\"end\": 1}";
  CHECK(parse_json(text).value().as_map().size() == 100001);
}

TEST_CASE("json: writes what Python reads back as the same value") {
  Config v = Config::map();
  v.set("float", 1.0);
  v.set("small", 1e-7);
  v.set("third", 1.0 / 3);
  v.set("huge", 1e300);
  v.set("int", 1);
  v.set("text", "a\"\\\n\xc3\xa9\xf0\x9f\x98\x80\x01");
  v.set("none", Config());
  v.set("yes", true);
  v.set("empty", Config::list());
  v.set("map", Config::map());
  v.set("inf", Config(Config::List{-std::numeric_limits<double>::infinity()}));
  CHECK(to_json(v) ==
        R"({"float": 1.0, "small": 1e-07, "third": 0.3333333333333333, "huge": 1e+300, "int": 1, )"
        R"("text": "a\"\\\n\u00e9\ud83d\ude00\u0001", "none": null, "yes": true, "empty": [], )"
        R"("map": {}, "inf": [-Infinity]})");
  CHECK(parse_json(to_json(v)).value() == v);
  CHECK(parse_json(to_json(v, 2)).value() == v);
  CHECK(to_json(Config(Config::List{1, Config::list()}), 2) == "[\n  1,\n  []\n]");
  CHECK(to_json(Config(std::numeric_limits<double>::quiet_NaN())) == "NaN");
  CHECK(to_json(Config("\xff")) == R"("\ufffd")");
}

TEST_CASE("json: survives any byte changed in a small text") {
  const std::string text = R"({"a": [1, 2.5, "x\u00e9", NaN, -Infinity], "b": {"c": null}})";
  for (size_t i = 0; i < text.size(); ++i) {
    for (int b = 0; b < 256; ++b) {
      std::string changed = text;
      changed[i] = static_cast<char>(b);
      const Result<Config> v = parse_json(changed);
      if (v.ok()) CHECK(parse_json(to_json(*v)).ok());
    }
    CHECK_FALSE(parse_json(std::string_view(text).substr(0, i)).ok());
  }
}

}  // namespace ew::formats
