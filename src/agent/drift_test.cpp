// Drift functions, held against river 0.26.1 (Python) where it has them.
#include "agent/drift.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace ew::agent {
namespace {

/// Levels that hold for `each` values, under noise that is the sum of four even ones.
struct Signal {
  uint64_t seed;
  std::vector<double> levels;
  double noise;
  int each;

  std::vector<double> values() const {
    std::vector<double> out;
    uint64_t state = seed;
    for (const double level : levels) {
      for (int i = 0; i < each; ++i) {
        double sum = 0;
        for (int k = 0; k < 4; ++k) {
          state = (state * 1103515245 + 12345) % (uint64_t{1} << 31);
          sum += static_cast<double>(state) / 2147483648.0 - 0.5;
        }
        out.push_back(level + noise * sum);
      }
    }
    return out;
  }
};

std::vector<size_t> changes(const Signal& signal, double delta) {
  Cell cell;
  std::vector<size_t> found;
  const std::vector<double> values = signal.values();
  for (size_t i = 0; i < values.size(); ++i) {
    if (adwin(cell, values[i], delta).number != 0) found.push_back(i);
  }
  CHECK(cell.value == static_cast<double>(found.size()));
  return found;
}

}  // namespace

// The places at which `a = river.drift.ADWIN(delta)`, given these values one by one by a.update(x),
// says a.drift_detected.
TEST_CASE("adwin: finds changes of the mean where river finds them") {
  using Places = std::vector<size_t>;
  CHECK(changes({1, {0, 1, 1, 0}, 1, 400}, 0.002) == Places{447, 1215});
  CHECK(changes({2, {0, 0.5, 2, 2.1}, 1.5, 1000}, 0.002) == Places{1119, 2047});
  CHECK(changes({3, {5, 5, 5}, 3, 2000}, 0.3) == Places{3711});  // one false alarm
  CHECK(changes({4, {0, 0.2, 0.4, 0.6, 0.8, 1.0}, 0.5, 150}, 0.05) == Places{255, 543, 831});
  CHECK(changes({5, {1e9, 1e9 + 3}, 2, 300}, 0.01) == Places{319});
}

TEST_CASE("adwin: undefined values are passed over; memory grows with the logarithm") {
  Cell cell;
  CHECK(adwin(cell, std::numeric_limits<double>::quiet_NaN(), 0.002).is_undefined());
  CHECK_FALSE(cell.has);
  for (int i = 0; i < 100'000; ++i) adwin(cell, i % 3, 0.002);
  CHECK(cell.value == 0);
  CHECK(cell.recent.size() < 100);
}

TEST_CASE("adwin: its state comes through a snapshot") {
  const std::vector<double> values = Signal{1, {0, 1}, 1, 400}.values();
  Cell cell;
  for (size_t i = 0; i < 440; ++i) adwin(cell, values[i], 0.002);
  ByteWriter out;
  cell.save(out);
  ByteReader in(out.bytes());
  Cell again;
  REQUIRE(again.load(in));
  for (size_t i = 440; i < 447; ++i) CHECK(adwin(again, values[i], 0.002).number == 0);
  CHECK(adwin(again, values[447], 0.002).number == 1);
}

TEST_CASE("drift states: the greatest statistic of all keys, and changes summed") {
  size_t cells = 0;
  ExpressionScope scope;
  scope.slot_of = [](std::string_view) { return 0; };
  scope.cell_count = &cells;
  const auto expression =
      Expression::compile("adwin(x, 0.002) or page_hinkley( x , 0.5) > 20 or delta(x) > 9", scope);
  REQUIRE(expression.ok());
  std::vector<std::vector<Cell>> of_keys(4);  // the second key has sent nothing
  for (const size_t key : {0, 2, 3}) of_keys[key].resize(cells);
  std::vector<DriftState> states;
  add_drift_states(*expression, of_keys, states);
  CHECK(states.empty());
  for (const size_t key : {0, 2}) {
    for (int i = 0; i < 200; ++i) {
      const Value x = Value::of(i < 100 ? 0 : static_cast<double>(key));
      // Both, whatever the first says.
      adwin(of_keys[key][0], x.number, 0.002);
      page_hinkley(of_keys[key][1], x.number, 0.5);
    }
  }
  add_drift_states(*expression, of_keys, states);
  REQUIRE(states.size() == 2);
  CHECK(states[0].text == "adwin(x, 0.002)");
  CHECK(states[0].is_count);
  CHECK(states[0].value == 1);
  CHECK(states[1].text == "page_hinkley( x , 0.5)");
  CHECK(states[1].value == of_keys[2][1].value);
  CHECK(states[1].value > of_keys[0][1].value);
}

TEST_CASE("adwin: the chance of an error is a number between 0 and 1") {
  size_t cells = 0;
  ExpressionScope scope;
  scope.slot_of = [](std::string_view) { return 0; };
  scope.cell_count = &cells;
  for (const char* text : {"adwin(x, 0)", "adwin(x, 1)", "adwin(x, 5s)"}) {
    const auto made = Expression::compile(text, scope);
    REQUIRE_FALSE(made.ok());
    CHECK(made.error().message.find("above 0 and below 1") != std::string::npos);
  }
}

}  // namespace ew::agent
