// Signals of even times from records of uneven ones.
#include "agent/even_signal.h"

#include <doctest/doctest.h>

namespace ew::agent {
namespace {

using Samples = std::vector<float>;

Samples even(const std::vector<double>& records, size_t count) {
  Samples out(count);
  REQUIRE(even_signal(records, {.first_us = 1e15, .step_us = 250'000}, out));
  return out;
}

}  // namespace

TEST_CASE("even signal: records at the samples' times come through as they are") {
  CHECK(even({1e15, 0.1, 1e15 + 250e3, 7, 1e15 + 500e3, -3, 1e15 + 750e3, 1e30}, 4) ==
        Samples{0.1f, 7, -3, 1e30f});
}

TEST_CASE("even signal: lines between records, flat outside, in any order") {
  // 10 a second, as a line through 0.3 s and 0.9 s, and 0 at 0.
  CHECK(even({1e15 + 900e3, 9, 1e15, 0, 1e15 + 300e3, 3}, 4) == Samples{0, 2.5f, 5, 7.5f});
  CHECK(even({1e15 + 250e3, 4, 1e15 + 500e3, 6}, 4) == Samples{4, 4, 6, 6});
  // Of two records of one time the later one counts from there on.
  CHECK(even({1e15, 1, 1e15 + 500e3, 5, 1e15 + 500e3, 9}, 4) == Samples{1, 3, 9, 9});
}

TEST_CASE("even signal: too few records are no signal") {
  Samples out(4);
  CHECK_FALSE(even_signal({}, {0, 1}, out));
  const std::vector<double> one = {0, 5};
  CHECK_FALSE(even_signal(one, {0, 1}, out));
  Samples two(2);
  CHECK(even_signal(one, {0, 1}, two));
  CHECK(two == Samples{5, 5});
}

}  // namespace ew::agent
