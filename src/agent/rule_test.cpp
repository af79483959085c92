// What rules do by the clock, with many keys and over a restart.
#include "agent/rule.h"

#include <doctest/doctest.h>

#include <limits>

namespace ew::agent {
namespace {

constexpr int64_t kSecond = 1'000'000;

struct Events final : Consumer {
  void take(const Row& row, Fate& /*fate*/, size_t /*port*/) override {
    keys.emplace_back(row.key_text);
    times.push_back(row.time_us);
  }
  std::vector<std::string> keys;
  std::vector<int64_t> times;
};

RulePlan silent_for(int64_t us) {
  RulePlan plan;
  plan.name = "silent";
  plan.absent_us = us;
  return plan;
}

struct Watch {
  explicit Watch(RulePlan plan) : rule(std::move(plan), {keys, now_us, {}}) {
    rule.consumers.push_back({&events, 0});
    rule.tick();
  }
  void hear(const std::string& key, int64_t at_us) {
    now_us = at_us;
    Row row;
    row.key = keys.intern(key);
    row.key_text = key;
    row.time_us = at_us;
    Fate fate;
    rule.take(row, fate, 0);
  }
  void tick(int64_t at_us) {
    now_us = at_us;
    rule.tick();
  }

  KeyTable keys;
  int64_t now_us = 0;
  Events events;
  Rule rule;
};

}  // namespace

TEST_CASE("rule: keys fall silent in the order in which they were last heard") {
  constexpr int kKeys = 5000;
  Watch w(silent_for(10 * kSecond));
  for (int i = 0; i < kKeys; ++i) w.hear(str("k", i), i);
  // Each is heard again, the last one first.
  for (int i = 0; i < kKeys; ++i) w.hear(str("k", kKeys - 1 - i), kSecond + i);
  CHECK(w.rule.next_deadline_us() == 11 * kSecond);
  w.tick(10 * kSecond + kKeys);  // due by what was heard first
  CHECK(w.events.keys.empty());
  w.tick(11 * kSecond + 1);
  CHECK(w.events.keys == std::vector<std::string>{"k4999", "k4998"});
  CHECK(w.rule.next_deadline_us() == 11 * kSecond + 2);
  w.hear("k4999", 11 * kSecond + 1);
  CHECK(w.events.keys.size() == 3);  // cleared
  w.tick(11 * kSecond + kKeys);
  CHECK(w.events.keys.size() == kKeys + 1);
  CHECK(w.events.keys.back() == "k0");
  CHECK(w.rule.next_deadline_us() == 21 * kSecond + 1);
}

TEST_CASE("rule: what waits for its time is found again behind a restart") {
  RulePlan plan = silent_for(10 * kSecond);
  plan.escalate_after_us = 5 * kSecond;
  Watch w(plan);
  w.hear("a", 1 * kSecond);
  w.hear("b", 4 * kSecond);
  w.tick(11 * kSecond);
  CHECK(w.events.keys == std::vector<std::string>{"a"});
  ByteWriter out;
  w.keys.save(out);
  w.rule.save(out);
  Watch again(plan);
  again.now_us = 12 * kSecond;
  ByteReader in(out.bytes());
  REQUIRE(again.keys.load(in));
  REQUIRE(again.rule.load(in));
  CHECK(again.rule.next_deadline_us() == 14 * kSecond);  // b's silence
  again.tick(14 * kSecond);
  CHECK(again.rule.next_deadline_us() == 16 * kSecond);  // a escalates
  CHECK(again.rule.acknowledge(0));
  CHECK(again.rule.next_deadline_us() == 19 * kSecond);  // b does
  again.tick(19 * kSecond);
  CHECK(again.rule.next_deadline_us() == std::numeric_limits<int64_t>::max());
}

}  // namespace ew::agent
