#include "agent/window.h"

#include <doctest/doctest.h>

namespace ew::agent {
namespace {

constexpr int64_t kSecond = 1'000'000;

/// Windows over one value with count and sum; what closes is kept as text.
struct Fixture {
  explicit Fixture(const WindowOptions& options)
      : calls{{AggregateKind::kCount, {}, 0}, {AggregateKind::kSum, {}, 0}},
        window(options, calls, [this](const ClosedWindow& w, CoverSet cover) {
          uint64_t covered = 0;
          cover.for_each([&](const CoverSet::Item& item) { covered += item.count; });
          closed.push_back(str(w.key, ":", w.start_us / kSecond, "-", w.end_us / kSecond,
                               " n=", w.aggregates[0].number, " sum=", w.aggregates[1].number,
                               " of ", covered));
        }) {}
  bool add(int64_t second, double value, uint32_t key = 0, int64_t watermark = -100) {
    const double arguments[] = {1, value};
    return window.add(key, second * kSecond, arguments, CoverSet(key, 1), watermark * kSecond);
  }

  std::vector<AggregateCall> calls;
  std::vector<std::string> closed;
  WindowOperator window;
};

using Texts = std::vector<std::string>;

TEST_CASE("window: tumbling windows close in order of end and key, late records are refused") {
  Fixture f({.type = WindowType::kTumbling, .size_us = 10 * kSecond, .every_us = 10 * kSecond});
  f.add(1, 1, 1);
  f.add(9, 2, 0);
  f.add(11, 4, 0);
  f.add(3, 8, 1);
  CHECK(f.window.next_close_us() == 10 * kSecond);
  f.window.advance(10 * kSecond);
  CHECK(f.closed == Texts{"0:0-10 n=1 sum=2 of 1", "1:0-10 n=2 sum=9 of 2"});
  CHECK_FALSE(f.add(5, 1, 0, 10));
  CHECK(f.add(12, 1, 0, 10));
  f.window.advance(20 * kSecond);
  CHECK(f.closed.back() == "0:10-20 n=2 sum=5 of 2");
}

TEST_CASE("window: a record of overlapping windows is covered by the first only") {
  Fixture f({.type = WindowType::kHopping, .size_us = 10 * kSecond, .every_us = 5 * kSecond});
  f.add(7, 1);
  f.window.advance(30 * kSecond);
  CHECK(f.closed == Texts{"0:0-10 n=1 sum=1 of 1", "0:5-15 n=1 sum=1 of 0"});
}

TEST_CASE("window: times before 1970 have windows too") {
  Fixture f({.type = WindowType::kTumbling, .size_us = 10 * kSecond, .every_us = 10 * kSecond});
  f.add(-3, 1);
  f.window.advance(0);
  CHECK(f.closed == Texts{"0:-10-0 n=1 sum=1 of 1"});
}

TEST_CASE("window: a session ends with silence, and at its greatest length") {
  Fixture f({.type = WindowType::kSession, .size_us = 5 * kSecond, .max_length_us = 10 * kSecond});
  for (const int64_t at : {0, 4, 8, 12, 30}) f.add(at, 1);
  f.window.advance(34 * kSecond);
  CHECK(f.closed == Texts{"0:0-13 n=3 sum=3 of 3", "0:12-17 n=1 sum=1 of 1"});
}

TEST_CASE("window: sliding windows close with every record, count windows with every step") {
  Fixture sliding({.type = WindowType::kSliding, .size_us = 3 * kSecond});
  for (const int64_t at : {0, 1, 4}) sliding.add(at, 1);
  CHECK(sliding.closed ==
        Texts{"0:0-0 n=1 sum=1 of 1", "0:0-1 n=2 sum=2 of 1", "0:4-4 n=1 sum=1 of 1"});
  Fixture count({.type = WindowType::kCount, .size_count = 3, .every_count = 2});
  for (int64_t at = 0; at < 7; ++at) count.add(at, static_cast<double>(at));
  CHECK(count.closed ==
        Texts{"0:0-2 n=3 sum=3 of 3", "0:2-4 n=3 sum=9 of 2", "0:4-6 n=3 sum=15 of 2"});
}

TEST_CASE("window: saved and loaded, it goes on as if nothing had happened") {
  Fixture f({.type = WindowType::kTumbling, .size_us = 10 * kSecond, .every_us = 10 * kSecond});
  f.add(1, 1);
  ByteWriter bytes;
  f.window.save(bytes);
  Fixture g({.type = WindowType::kTumbling, .size_us = 10 * kSecond, .every_us = 10 * kSecond});
  ByteReader in(bytes.bytes());
  REQUIRE(g.window.load(in));
  CHECK(in.rest().empty());
  g.add(2, 5);
  g.window.advance(10 * kSecond);
  CHECK(g.closed == Texts{"0:0-10 n=2 sum=6 of 2"});
  for (size_t cut = 0; cut < bytes.bytes().size(); ++cut) {
    ByteReader torn(std::string_view(bytes.bytes()).substr(0, cut));
    CHECK_FALSE(g.window.load(torn));
  }
}

TEST_CASE("aggregate: values by hand") {
  const auto result = [](AggregateKind kind, std::initializer_list<double> values,
                         double parameter = 0) {
    AggregateState state;
    int64_t time = 0;
    for (const double value : values) state.add(kind, value, time += kSecond);
    return state.result(kind, parameter);
  };
  CHECK(result(AggregateKind::kVariance, {1, 2, 3, 4}) == doctest::Approx(5.0 / 3));
  CHECK(result(AggregateKind::kStddev, {1e9, 1e9 + 2}) == doctest::Approx(1.41421356));
  CHECK(result(AggregateKind::kSlope, {1, 3, 5}) == doctest::Approx(2));
  CHECK(result(AggregateKind::kRms, {3, 4}) == doctest::Approx(std::sqrt(12.5)));
  CHECK(result(AggregateKind::kMedian, {5, 1, 2, 4}) == 3);
  CHECK(result(AggregateKind::kPercentile, {0, 10}, 25) == 2.5);
  CHECK(result(AggregateKind::kDistinct, {1, 2, 1}) == 2);
  CHECK(result(AggregateKind::kRange, {4, -1, 2}) == 5);
  CHECK(result(AggregateKind::kAvg, {1, std::nan(""), 3}) == 2);  // undefined ones are left out
  CHECK(std::isnan(result(AggregateKind::kMin, {})));
}

}  // namespace
}  // namespace ew::agent
