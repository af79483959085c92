#include "host/event_loop.h"

#include <doctest/doctest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <thread>

namespace ew::host {
namespace {

struct Reader final : Watcher {
  void on_ready(uint32_t) override {
    char c = 0;
    if (::read(fd, &c, 1) == 1) text += c;
    if (then) then();
  }
  int fd = -1;
  std::string text;
  std::function<void()> then;
};

struct Flush final : WakeupEnd {
  void on_wakeup_end() override { ++count; }
  int count = 0;
};

}  // namespace

TEST_CASE("event loop: timers run in the order of their times, by the clock that was given") {
  int64_t now = 1000;
  const auto loop = EventLoop::create({.steady_us = [&] { return now; }}).value();
  std::string order;
  loop->call_after(300, [&] { order += 'c'; });
  loop->call_after(100, [&] { order += 'a'; });
  loop->call_after(100, [&] { order += 'b'; });
  auto cancelled = loop->call_after(200, [&] { order += 'x'; });
  loop->cancel(cancelled);
  loop->cancel(cancelled);
  CHECK_FALSE(loop->run_once(0));
  now = 1100;
  CHECK(loop->run_once(0));
  CHECK(order == "ab");
  now = 2000;
  loop->run_once(0);
  CHECK(order == "abc");
}

TEST_CASE("event loop: a timer that sets itself again lets others run") {
  const auto loop = EventLoop::create().value();
  int rounds = 0;
  std::function<void()> again = [&] {
    ++rounds;
    loop->call_after(0, again);
  };
  loop->call_after(0, again);
  bool is_posted = false;
  loop->run_once(0);
  loop->post([&] { is_posted = true; });
  loop->run_once(0);
  CHECK(is_posted);
  CHECK(rounds <= 2);
}

TEST_CASE("event loop: calls from other threads come in order, each once") {
  const auto loop = EventLoop::create().value();
  constexpr int kCalls = 20'000;
  int next = 0;
  bool is_ordered = true;
  std::thread other([&] {
    for (int i = 0; i < kCalls; ++i) {
      loop->post([&, i] { is_ordered = is_ordered && next++ == i; });
    }
    loop->post([&] { loop->stop(); });
  });
  loop->run();
  other.join();
  CHECK(is_ordered);
  CHECK(next == kCalls);
}

TEST_CASE("event loop: a watcher that another one removes is not told in the same round") {
  const auto loop = EventLoop::create().value();
  int first[2];
  int second[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, first) == 0);
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, second) == 0);
  Reader a;
  Reader b;
  a.fd = first[0];
  b.fd = second[0];
  REQUIRE(loop->watch(a.fd, EPOLLIN, a).ok());
  REQUIRE(loop->watch(b.fd, EPOLLIN, b).ok());
  a.then = [&] { loop->unwatch(b.fd, b); };
  b.then = [&] { loop->unwatch(a.fd, a); };
  REQUIRE(::write(first[1], "1", 1) == 1);
  REQUIRE(::write(second[1], "2", 1) == 1);
  loop->run_once(0);
  CHECK(a.text.size() + b.text.size() == 1);
  for (const int fd : {first[0], first[1], second[0], second[1]}) ::close(fd);
}

TEST_CASE("event loop: what asks for the end of a wake-up is told once") {
  const auto loop = EventLoop::create().value();
  Flush flush;
  Flush gone;
  loop->post([&] {
    loop->at_wakeup_end(flush);
    loop->at_wakeup_end(gone);
    loop->at_wakeup_end(flush);
    loop->forget(gone);
  });
  loop->run_once(0);
  loop->run_once(0);
  CHECK(flush.count == 1);
  CHECK(gone.count == 0);
}

TEST_CASE("event loop: with pacing, wake-ups are apart while many items come") {
  // The loop's clock barely moves, so that it always sees load; the pauses are real.
  int64_t now = 1'000'000;
  const auto loop = EventLoop::create({.steady_us = [&] { return now += 10; }}).value();
  constexpr int64_t kPacingUs = 2000;
  loop->set_pacing(kPacingUs);
  int calls = 0;
  std::function<void()> again = [&] {
    loop->note_items(10);
    if (++calls < 8) loop->post(again);
  };
  loop->post(again);
  const auto real = EventLoop::create().value();
  const int64_t start = real->steady_us();
  while (calls < 8) loop->run_once(1'000'000);
  CHECK(real->steady_us() - start >= 3 * (kPacingUs - 100));
}

TEST_CASE("event loop: signals arrive as calls") {
  const auto loop = EventLoop::create().value();
  int hangups = 0;
  REQUIRE(loop->on_signal(SIGHUP, [&] { ++hangups; }).ok());
  REQUIRE(loop->on_signal(SIGUSR1, [&] { loop->stop(); }).ok());
  ::kill(::getpid(), SIGHUP);
  ::kill(::getpid(), SIGUSR1);
  loop->run();
  loop->run_once(0);
  CHECK(hangups == 1);
}

TEST_CASE("event loop: a signal between two loops waits for the second") {
  auto first = EventLoop::create().value();
  REQUIRE(first->on_signal(SIGUSR1, [] {}).ok());
  first->leave_signals_blocked();
  ::kill(::getpid(), SIGUSR1);
  first.reset();
  const auto second = EventLoop::create().value();
  int calls = 0;
  REQUIRE(second->on_signal(SIGUSR1, [&] { ++calls; }).ok());
  second->run_once(100'000);
  CHECK(calls == 1);
}

}  // namespace ew::host
