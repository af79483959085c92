#include "agent/frame_queue.h"

#include <doctest/doctest.h>

#include <vector>

#include "agent/background.h"
#include "agent/source.h"
#include "host/event_loop.h"

namespace ew::agent {
namespace {

struct Kept final : Intake {
  void push(const RawRecord& record) override { payloads.emplace_back(record.payload); }
  void end_batch() override {}
  void drop(std::string_view, size_t bytes, DropReason reason) override {
    CHECK(reason == DropReason::kOverload);
    dropped_bytes += bytes;
    ++dropped;
  }
  void set_state(LinkState, std::string_view) override {}
  bool is_paused() const override { return false; }
  int64_t now_us() const override { return 0; }

  std::vector<std::string> payloads;
  size_t dropped = 0;
  size_t dropped_bytes = 0;
};

/// Everything on one thread: the source's part runs first, then the loop's turns.
struct Bench {
  explicit Bench(LatePolicy policy) : queue("cam", 2, policy) {
    loop = std::move(*host::EventLoop::create());
    background.emplace(*loop);
    queue.start(*background, intake);
  }
  void offer(const std::string& payload) {
    if (queue.has_room(payload.size())) queue.offer({payload, 0});
  }
  void settle() {
    while (loop->run_once(0)) {
    }
  }

  std::unique_ptr<host::EventLoop> loop;
  Kept intake;
  FrameQueue queue;
  std::optional<Background> background;
};

TEST_CASE("frame queue: the oldest are given up, and counted with their size") {
  Bench bench(LatePolicy::kDropOldest);
  for (const char* frame : {"a", "b", "c", "d", "e"}) bench.offer(frame);
  bench.settle();
  CHECK(bench.intake.payloads == std::vector<std::string>{"d", "e"});
  CHECK(bench.intake.dropped == 3);
  CHECK(bench.intake.dropped_bytes == 3);
}

TEST_CASE("frame queue: or the newest") {
  Bench bench(LatePolicy::kDropNewest);
  for (const char* frame : {"a", "b", "c", "d", "e"}) bench.offer(frame);
  bench.settle();
  CHECK(bench.intake.payloads == std::vector<std::string>{"a", "b"});
  CHECK(bench.intake.dropped == 3);
}

TEST_CASE("frame queue: or the source waits for the loop") {
  Bench bench(LatePolicy::kWait);
  bench.background->start([&] {
    for (int i = 0; i < 100; ++i) bench.offer(std::to_string(i));
    bench.queue.finish([&] { bench.loop->stop(); });
  });
  bench.loop->run();
  REQUIRE(bench.intake.payloads.size() == 100);
  CHECK(bench.intake.payloads[99] == "99");
  CHECK(bench.intake.dropped == 0);
}

TEST_CASE("frame queue: while processing is paused nothing is pushed, then all that is left") {
  Bench bench(LatePolicy::kDropOldest);
  bench.queue.pause();
  for (const char* frame : {"a", "b", "c"}) bench.offer(frame);
  bool has_ended = false;
  bench.queue.finish([&] { has_ended = true; });
  bench.settle();
  CHECK(bench.intake.payloads.empty());
  CHECK(bench.intake.dropped == 1);
  CHECK(!has_ended);
  bench.queue.resume();
  bench.settle();
  CHECK(bench.intake.payloads == std::vector<std::string>{"b", "c"});
  CHECK(has_ended);
}

}  // namespace
}  // namespace ew::agent
