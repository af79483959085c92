#include "agent/health.h"

#include <doctest/doctest.h>

#include "agent/app.h"

namespace ew::agent {
namespace {

using Verdict = HealthWatch::Verdict;

struct Fixture {
  Checked checked;
  HealthView before{.failed_link = "", .missing_link = "", .inputs = 1000, .faulty = 50};
  HealthView now = before;
  std::string why;

  explicit Fixture(const std::string& health) {
    checked = parse_app("app: a\nhealth: {" + health +
                            "}\nsources:\n  in: {type: stdin}\nsinks:\n  out: {type: stdout, from: "
                            "in}\n",
                        "app.yaml");
    for (const Error& error : checked.errors) FAIL(error.message);
  }
  Verdict at(int64_t us) {
    return HealthWatch(checked.app->agent.map("health"), 0, before).judge(us, now, why);
  }
};

TEST_CASE("health: good at the end of the window, open before") {
  Fixture f("window: 10s");
  CHECK(f.at(9'999'999) == Verdict::kOpen);
  CHECK(f.at(10'000'000) == Verdict::kGood);
}

TEST_CASE("health: a source or sink that has failed is bad at once") {
  Fixture f("window: 10s");
  f.now.failed_link = "sink out";
  CHECK(f.at(1) == Verdict::kBad);
  CHECK(f.why == "sink out has failed");
}

TEST_CASE("health: faulty inputs count from the start of the window, early if there are many") {
  Fixture f("window: 10s, max_faulty: 0.1");
  f.now.inputs += 99;
  f.now.faulty += 99;
  CHECK(f.at(1) == Verdict::kOpen);
  CHECK(f.at(10'000'000) == Verdict::kBad);
  f.now.inputs += 1;
  CHECK(f.at(1) == Verdict::kBad);
  CHECK(f.why == "99 of 100 inputs are faulty, above the share of 0.1");
  f.now.faulty = f.before.faulty + 10;
  CHECK(f.at(10'000'000) == Verdict::kGood);
}

TEST_CASE("health: too few inputs, and links that are down, count at the end") {
  Fixture few("window: 10s, min_inputs: 5");
  few.now.inputs += 4;
  CHECK(few.at(1) == Verdict::kOpen);
  CHECK(few.at(10'000'000) == Verdict::kBad);
  CHECK(few.why == "expected at least 5 inputs in the health window, found 4");
  Fixture down("window: 10s, connected: true");
  down.now.missing_link = "source in";
  CHECK(down.at(1) == Verdict::kOpen);
  CHECK(down.at(10'000'000) == Verdict::kBad);
  CHECK(down.why == "source in is not connected at the end of the health window");
}

}  // namespace
}  // namespace ew::agent
