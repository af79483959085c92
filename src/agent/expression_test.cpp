#include "agent/expression.h"

#include <doctest/doctest.h>

#include "agent/json_scan.h"

namespace ew::agent {
namespace {

/// Evaluates over the fields of JSON objects, one after the other; the last result.
Value value_of(std::string_view text, std::initializer_list<std::string_view> records = {"{}"}) {
  FieldTree fields;
  size_t cells = 0;
  ExpressionScope scope;
  scope.slot_of = [&](std::string_view name) { return static_cast<int>(fields.want(name)); };
  scope.cell_count = &cells;
  const Result<Expression> expression = Expression::compile(text, scope);
  REQUIRE_MESSAGE(expression.ok(), expression.error().message);
  std::vector<Cell> state(cells);
  std::vector<Value> values(fields.slot_count());
  std::string scratch;
  Value last;
  int64_t time = 0;
  for (const std::string_view record : records) {
    REQUIRE(scan_json(record, fields, values, scratch).fault == JsonFault::kNone);
    last = expression->evaluate({values, {}, "k1", "in/1", time, state});
    time += 2'000'000;
  }
  return last;
}

double number_of(std::string_view text, std::initializer_list<std::string_view> records = {"{}"}) {
  return value_of(text, records).as_number();
}

std::string error_of(std::string_view text) {
  ExpressionScope scope;
  scope.names = {"temp", "hum"};
  scope.slot_of = [](std::string_view name) { return name == "temp" ? 0 : name == "hum" ? 1 : -1; };
  const Result<Expression> expression = Expression::compile(text, scope);
  return expression.ok() ? "" : expression.error().message;
}

TEST_CASE("expression: precedence and arithmetic by hand") {
  CHECK(number_of("1 + 2 * 3 - 4 / 2") == 5);  // 1 + 6 - 2
  CHECK(number_of("-(2 - 5) % 2") == 1);
  CHECK(number_of("pow(2, 10) + round(2.345, 2)") == 1026.35);  // 2.345 is a little below
  CHECK(number_of("min(3, 4) + max(3, 4) + clamp(9, 0, 5)") == 12);
  CHECK(number_of("1m30s") == 90);
  CHECK(value_of("1 < 2 and not 2 < 1 or false").number == 1);
  CHECK(value_of("'abc' == 'abc' and contains('abc', 'bc') and starts_with(key, 'k')").number == 1);
  CHECK(value_of("if(1 > 2, 'a', topic)").text == "in/1");
}

TEST_CASE("expression: what is undefined stays so, in three-valued logic") {
  CHECK(value_of("gone > 1").is_missing());
  CHECK(value_of("gone > 1 and false").number == 0);
  CHECK(value_of("gone > 1 or true").number == 1);
  CHECK(value_of("not gone > 1").is_missing());
  CHECK(value_of("1 / 0").is_undefined());
  CHECK(value_of("x + 1", {R"({"x":NaN})"}).is_undefined());
  CHECK(value_of("x + 1", {R"({"x":"text"})"}).is_undefined());
  CHECK(number_of("coalesce(gone, 7)") == 7);
  CHECK(value_of("missing(gone)").number == 1);
}

TEST_CASE("expression: functions of earlier records of the key") {
  CHECK(value_of("rate(x)", {R"({"x":1})"}).is_missing());
  CHECK(number_of("rate(x)", {R"({"x":1})", R"({"x":5})"}) == 2);  // 4 in 2 s
  CHECK(number_of("delta(x)", {R"({"x":1})", R"({"x":NaN})", R"({"x":5})"}) == 4);
  CHECK(number_of("prev(x)", {R"({"x":1})", R"({"x":5})"}) == 1);
  CHECK(number_of("ewma(x, 0.5)", {R"({"x":0})", R"({"x":4})", R"({"x":4})"}) == 3);  // 0, 2, 3
  CHECK(number_of("avg(x, 2)", {R"({"x":9})", R"({"x":1})", R"({"x":3})"}) == 2);
  CHECK(number_of("max(x, 3s)", {R"({"x":9})", R"({"x":1})", R"({"x":3})"}) == 3);  // 9 is 4 s old
  CHECK(number_of("count(x, 1h)", {R"({"x":9})", R"({"x":1})"}) == 2);
  // Against 1, 3 (mean 2, deviation sqrt(2)): 4 is sqrt(2) deviations above.
  CHECK(number_of("zscore(x, 10)", {R"({"x":1})", R"({"x":3})", R"({"x":4})"}) ==
        doctest::Approx(1.41421356));
}

TEST_CASE("expression: drift shows when the values shift, and not before") {
  FieldTree fields;
  size_t cells = 0;
  ExpressionScope scope;
  scope.slot_of = [&](std::string_view name) { return static_cast<int>(fields.want(name)); };
  scope.cell_count = &cells;
  const auto rise = Expression::compile("page_hinkley(x, 0.5)", scope);
  const auto shift = Expression::compile("psi(x, 100)", scope);
  REQUIRE((rise.ok() && shift.ok()));
  std::vector<Cell> state(cells);
  double before = 0;
  double after = 0;
  double stable = 0;
  double shifted = 0;
  for (int i = 0; i < 400; ++i) {
    // 0, 1, ... 9 in turn, from the 200th on 5 higher.
    const Value x = Value::of(i % 10 + (i < 200 ? 0 : 5));
    const EvalContext context{{&x, 1}, {}, "k", "", i, state};
    (i < 200 ? before : after) = rise->evaluate(context).as_number();
    const double index = shift->evaluate(context).as_number();
    if (i == 199) stable = index;
    shifted = index;
  }
  CHECK(stable == doctest::Approx(0));
  CHECK(shifted > 0.25);
  CHECK(before < 20);  // one round of 0 to 9 climbs 1+2+3+4 - 10 * 0.5 at most
  CHECK(after > 100);
}

TEST_CASE("expression: errors name the column and the nearest word") {
  CHECK(error_of("tmep > 1") == "'tmep > 1', column 1: no field 'tmep'; did you mean temp?");
  CHECK(error_of("temp > ") == "'temp > ', column 8: expected a value");
  CHECK(error_of("temp = 1").find("expected == to compare") != std::string::npos);
  CHECK(error_of("abz(temp)").find("did you mean abs?") != std::string::npos);
  CHECK(error_of("abs(temp, 1)").find("takes 1 to 1 arguments, found 2") != std::string::npos);
  CHECK(error_of("avg(temp) > 1").find("stands in `select:` only") != std::string::npos);
  CHECK(error_of("temp > 1 hum").find("expected the end, found 'hum'") != std::string::npos);
  CHECK(error_of(std::string(100, '(') + "1").find("nested too deep") != std::string::npos);
  CHECK(error_of(std::string(5000, '1')).find("4096 characters") != std::string::npos);
}

TEST_CASE("json_scan: reads wanted fields, also inside objects, and refuses what is no JSON") {
  FieldTree fields;
  const size_t a = fields.want("a");
  const size_t deep = fields.want("m.t");
  std::vector<Value> values(fields.slot_count());
  std::string scratch;
  const auto fault = [&](std::string_view text) {
    return scan_json(text, fields, values, scratch).fault;
  };
  REQUIRE(fault(R"( {"b":[1,{"a":2}], "a":-1.5e2, "m":{"t":"\u00e9\n","a":3}} )") ==
          JsonFault::kNone);
  CHECK(values[a].number == -150);
  CHECK(values[deep].text == "\xc3\xa9\n");
  REQUIRE(fault(R"({"a":0.1,"m":[]})") == JsonFault::kNone);
  CHECK(values[a].number == 0.1);
  CHECK(values[deep].is_missing());
  REQUIRE(fault(R"({"a":12345678901234567890})") == JsonFault::kNone);
  CHECK(values[a].number == 12345678901234567890.0);
  for (const char* text :
       {"", "{", "[]", "{\"a\":01}", "{\"a\":1,}", "{\"a\" 1}", "{\"a\":tru}", "{\"a\":1} x",
        "{\"a\":\"\\x\"}", "{\"a\":1.}", "{a:1}", "{\"a\":-}", "{\"\xfe\":1}"}) {
    CHECK_MESSAGE(fault(text) == JsonFault::kSyntax, text);
  }
  CHECK(fault(R"({"a":1,"a":2})") == JsonFault::kDuplicate);
  CHECK(fault(R"({"z":1,"z":2})") == JsonFault::kNone);  // nobody uses it
  CHECK(fault("{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}") ==
        JsonFault::kTooDeep);
}

}  // namespace
}  // namespace ew::agent
