#include "agent/shadow.h"

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include "agent/journal.h"
#include "agent/replay.h"

namespace ew::agent {
namespace {

/// Two values: the input, and `other`. The class is 0 where the input is greater.
class Pair final : public ModelRunner {
 public:
  Pair(std::string version, float other, int sleep_ms)
      : version_(std::move(version)), other_(other), sleep_ms_(sleep_ms) {}
  size_t input_size() const override { return 1; }
  size_t output_size() const override { return 2; }
  void run(std::span<const float> in, std::span<float> out) override {
    if (sleep_ms_ > 0) std::this_thread::sleep_for(std::chrono::milliseconds(sleep_ms_));
    out[0] = in[0];
    out[1] = other_;
  }
  std::string device() const override { return "cpu"; }
  std::string fallback_reason() const override { return ""; }
  std::string version() const override { return version_; }
  size_t memory_bytes() const override { return 100; }

 private:
  std::string version_;
  float other_;
  int sleep_ms_;
};

/// "…/old", "…/near" (nearly the same), "…/far" (another border), "…/slow".
Result<std::unique_ptr<ModelRunner>> load(const ModelRequest& request) {
  const std::string name = request.file.substr(request.file.rfind('/') + 1);
  const float border = name == "far" ? 5.0f : name == "near" ? 1.001f : 1.0f;
  return std::unique_ptr<ModelRunner>(std::make_unique<Pair>(name, border, name == "slow" ? 2 : 0));
}

struct Fixture {
  Checked checked;
  std::unique_ptr<Ledger> ledger;
  std::vector<Error> errors;
  std::unique_ptr<Pipeline> pipeline;
  int64_t now = 1'000'000;

  explicit Fixture(const std::string& shadow) {
    checked = parse_app(
        "app: a\nsources:\n  in: {type: stdin}\nmodels:\n  m: {file: old, shadow: {" + shadow +
            "}}\nstreams:\n  s: {from: in, model: {use: m, input: x, output: y, "
            "result: argmax}}\nsinks:\n  out: {type: stdout, from: s}\n",
        "app.yaml");
    for (const Error& error : checked.errors) FAIL(error.message);
    ledger = Ledger::open("").value();
    pipeline = Pipeline::build(*checked.app, load, *ledger, errors);
  }
  ShadowRunner& shadow() { return *pipeline->shadows()[0]; }
  void feed(double x, int times = 1) {
    for (int i = 0; i < times; ++i) {
      const std::string payload = str("{\"x\":", x, "}");
      pipeline->process(0, {.arrival_us = ++now, .payload = payload});
    }
  }
  bool judge(std::string& reason) { return shadow().judge(reason); }
};

TEST_CASE("shadow: a model that agrees takes over when all samples are there") {
  Fixture f("file: near, samples: 10, slowdown: 0");
  f.feed(3, 9);
  CHECK_FALSE(f.shadow().wants_decision());
  f.feed(0, 5);
  CHECK(f.shadow().figures().compared == 10);
  CHECK(f.shadow().figures().agreed == 10);
  CHECK(f.shadow().wants_decision());
  CHECK_FALSE(f.shadow().wants_decision());
  std::string reason;
  CHECK(f.judge(reason));
  CHECK(f.shadow().version() == "old");
  f.pipeline->decide_shadow("m", "another", true, reason);
  CHECK(f.shadow().version() == "old");
  f.pipeline->decide_shadow("m", "near", true, reason);
  CHECK(f.shadow().version() == "near");
  CHECK(f.shadow().figures().state == ShadowState::kSwitched);
  CHECK_FALSE(f.shadow().wants_decision());
}

TEST_CASE("shadow: one that disagrees too often stays away, and the reason says how often") {
  Fixture f("file: far, samples: 10, agreement: 0.9, slowdown: 0");
  f.feed(3, 2);
  f.feed(0, 8);
  std::string reason;
  CHECK_FALSE(f.judge(reason));
  CHECK(reason == "it agrees in 8 of 10 runs, expected a share of 0.9");
}

TEST_CASE("shadow: values agree within the tolerance") {
  Fixture near("file: near, samples: 1, compare: values, tolerance: 0.01, slowdown: 0");
  near.feed(3);
  CHECK(near.shadow().figures().agreed == 1);
  Fixture narrow("file: near, samples: 1, compare: values, tolerance: 0.0001, slowdown: 0");
  narrow.feed(3);
  CHECK(narrow.shadow().figures().agreed == 0);
}

TEST_CASE("shadow: one that is too slow stays away") {
  Fixture f("file: slow, samples: 2, max_time: 1ms, slowdown: 0");
  f.feed(3, 2);
  std::string reason;
  CHECK_FALSE(f.judge(reason));
  CHECK(reason.find("us, expected at most 1000") != std::string::npos);
}

TEST_CASE("shadow: figures and decision outlast a restart, but not another model") {
  Fixture before("file: near, samples: 10, slowdown: 0");
  before.feed(3, 7);
  ByteWriter half;
  before.pipeline->save(half);
  Fixture after("file: near, samples: 10, slowdown: 0");
  REQUIRE(after.pipeline->load(half.bytes(), true).ok());
  CHECK(after.shadow().figures().compared == 7);
  after.feed(3, 3);
  CHECK(after.shadow().wants_decision());
  after.pipeline->decide_shadow("m", "near", true, "good");
  ByteWriter whole;
  after.pipeline->save(whole);
  Fixture again("file: near, samples: 10, slowdown: 0");
  REQUIRE(again.pipeline->load(whole.bytes(), true).ok());
  CHECK(again.shadow().version() == "near");
  CHECK(again.shadow().figures().reason == "good");
  Fixture other("file: near, samples: 11, slowdown: 0");
  REQUIRE(other.pipeline->load(whole.bytes(), true).ok());
  CHECK(other.shadow().version() == "old");
  CHECK(other.shadow().figures().compared == 0);
}

TEST_CASE("shadow: played from a journal, the new model takes over where it did") {
  Fixture f("file: far, samples: 3, slowdown: 0");
  JournalPlayer player(*f.checked.app, *f.pipeline, *f.ledger);
  const auto play = [&](auto encode) {
    ByteWriter out;
    encode(out);
    REQUIRE(player.play(out.bytes()).ok());
  };
  const auto record = [&](ByteWriter& out) {
    encode_record(out, 0, {.arrival_us = ++f.now, .payload = "{\"x\":3}"});
  };
  for (int i = 0; i < 4; ++i) play(record);
  CHECK(f.shadow().version() == "old");
  play([](ByteWriter& out) { encode_shadow(out, "m", "far", true, "why"); });
  CHECK(f.shadow().version() == "far");
  ByteWriter cut;
  encode_shadow(cut, "m", "far", true, "why");
  CHECK_FALSE(player.play(cut.bytes().substr(0, cut.bytes().size() - 1)).ok());
}

TEST_CASE("shadow: models that do not fit are faults with their place") {
  const Checked checked = parse_app(
      "app: a\nsources:\n  in: {type: stdin}\nmodels:\n  m: {file: old, shadow: {file: other}}\n"
      "sinks:\n  out: {type: stdout, from: in}\n",
      "app.yaml");
  REQUIRE(checked.app);
  const auto ledger = Ledger::open("").value();
  std::vector<Error> errors;
  const auto refuse = [](const ModelRequest& request) -> Result<std::unique_ptr<ModelRunner>> {
    if (request.file.ends_with("other")) return invalid_data(request.file, ": damaged");
    return load(request);
  };
  Pipeline::build(*checked.app, refuse, *ledger, errors);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].message == "app.yaml:5:3: m: ./other: damaged");
}

}  // namespace
}  // namespace ew::agent
