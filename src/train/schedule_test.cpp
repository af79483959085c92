#include "train/schedule.h"

#include <doctest/doctest.h>

#include "train/call.h"
#include "train/fixture_testing.h"
#include "train/keras_object.h"

namespace ew::train {
namespace {

double rate_of(const char* call, int64_t step) {
  return make_schedule(parse_call(call).value()).value()->rate(step);
}

}  // namespace

TEST_CASE("schedule: agrees with Keras at every step of the oracle's table") {
  const Config table = read_fixture_json("fixtures/tables/schedules.json");
  int checked = 0;
  for (const auto& [name, entry] : table["cases"].as_map()) {
    CAPTURE(name);
    const Config config = keras_object(entry["cls"].as_string(), entry["config"]);
    const auto schedule = make_schedule(config).value();
    const auto& steps = entry["steps"].as_list();
    for (size_t i = 0; i < steps.size(); ++i) {
      const double expected = entry["lr"].as_list()[i].as_double();
      const double got = schedule->rate(steps[i].as_int());
      CAPTURE(steps[i].as_int());
      CHECK(is_near(got, expected, 1e-6, 1e-12));
      ++checked;
    }
  }
  CHECK(checked == 11 * 40);
}

TEST_CASE("schedule: ExponentialDecay matches a golden computed by hand") {
  // 0.01 * 0.9^(5000 / 10000) = 0.01 * sqrt(0.9); with staircase the exponent is floor(0.5) = 0.
  CHECK(rate_of("ExponentialDecay(0.01, 10000, 0.9)", 5000) == doctest::Approx(0.009486833));
  CHECK(rate_of("ExponentialDecay(0.01, 10000, 0.9, staircase=True)", 9999) ==
        doctest::Approx(0.01));
}

TEST_CASE("schedule: a restart of CosineDecayRestarts begins at the reduced peak") {
  // Periods 5, 10, 20, ...: step 15 begins the third with 0.05 * 0.8^2.
  CHECK(rate_of("CosineDecayRestarts(0.05, 5, m_mul=0.8)", 15) == doctest::Approx(0.032));
  // With t_mul 1 every period has 5 steps.
  CHECK(rate_of("CosineDecayRestarts(0.05, 5, t_mul=1.0)", 5) == doctest::Approx(0.05));
}

TEST_CASE("schedule: a number is a constant, rounded to float32") {
  const auto schedule = make_schedule(Config(0.1)).value();
  CHECK(schedule->is_constant());
  CHECK(schedule->rate(1000) == static_cast<double>(0.1f));
}

TEST_CASE("schedule: errors say which argument is wrong") {
  const auto message = [](const char* call) {
    const auto schedule = make_schedule(parse_call(call).value());
    REQUIRE_FALSE(schedule.ok());
    return schedule.error().message;
  };
  CHECK(message("ExponentialDecay(0.01, 0, 0.9)") ==
        "ExponentialDecay: decay_steps must be > 0, found 0");
  CHECK(message("CosineDecay(0.01)") == "CosineDecay: decay_steps is missing");
  CHECK(message("PiecewiseConstantDecay([1, 2], [0.1])") ==
        "PiecewiseConstantDecay: needs one more value than boundaries, found 1 and 2");
  CHECK(message("ExponentialDecay('a', 1, 2)") ==
        "ExponentialDecay: initial_learning_rate: expected a number, found string");
  const auto unknown = make_schedule(keras_object("ExponentialDecai", Config::map()));
  CHECK(unknown.error().message ==
        "learning rate schedule: unknown name 'ExponentialDecai', did you mean "
        "'ExponentialDecay'?");
}

}  // namespace ew::train
