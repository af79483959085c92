#pragma once
// One thread that waits for sockets, timers, signals and calls from other threads.

#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"

namespace ew::host {

/// Both clocks, as arguments: tests and replays give their own.
struct Clocks {
  std::function<int64_t()> steady_us{};  ///< monotonic; without one, the system's
  std::function<int64_t()> system_us{};  ///< since 1970; without one, the system's
};

/// Told when a descriptor is ready. `events` are EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void on_ready(uint32_t events) = 0;
};

/// Told once at the end of a wake-up for which it asked: everything that one wake-up produced for
/// a socket can so go out in one write.
class WakeupEnd {
 public:
  virtual ~WakeupEnd() = default;
  virtual void on_wakeup_end() = 0;
};

/// Not thread-safe but for post() and stop(). Everything runs on the thread that calls run();
/// nothing it calls may throw.
class EventLoop {
 public:
  /// Names a timer; an empty one names none.
  struct TimerId {
    int64_t due_us = 0;
    uint64_t number = 0;
  };

  static Result<std::unique_ptr<EventLoop>> create(Clocks clocks = {});
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Until stop(). Sleeps in the kernel when there is nothing to do.
  void run();
  /// One round, waiting up to `max_wait_us` for something to do. True if there was.
  bool run_once(int64_t max_wait_us);
  /// Under load, wake-ups are at least this far apart, so that each serves more (network cards
  /// moderate interrupts in the same way): while more than three items of note_items() come in that
  /// time. What comes less often is served at once. 0, the default, never waits.
  void set_pacing(int64_t pacing_us);
  /// So many items (messages, packets) came in this wake-up.
  void note_items(uint64_t count);
  /// From any thread.
  void stop();
  /// Calls `call` on the loop's thread, soon and in order. From any thread; calls that are left
  /// when the loop is destroyed are not made.
  void post(std::function<void()> call);

  /// Time of this wake-up on the steady clock.
  int64_t now_us() const;
  /// Now, on the steady clock, read again.
  int64_t steady_us() const;
  int64_t system_us() const;

  /// Calls once after `delay_us`, at least; timers with the same time in the order of calls.
  TimerId call_after(int64_t delay_us, std::function<void()> call);
  /// Also for one that has run or is empty. Empties `timer`.
  void cancel(TimerId& timer);

  /// Watches `fd` until unwatch(); EPOLLERR and EPOLLHUP always. Error kIo.
  Status watch(int fd, uint32_t events, Watcher& watcher);
  Status change(int fd, uint32_t events, Watcher& watcher);
  /// Before the descriptor is closed. The watcher is not told of anything any more.
  void unwatch(int fd, Watcher& watcher);

  /// Calls end.on_wakeup_end() once before the loop sleeps; asked twice is asked once.
  void at_wakeup_end(WakeupEnd& end);
  /// For one that goes away.
  void forget(WakeupEnd& end);

  /// Takes the signal away from its default and calls on the loop's thread. Signals must be
  /// asked for before other threads start. Error kIo.
  Status on_signal(int signal, std::function<void()> call);
  /// Its signals stay blocked behind its end, for a loop that asks for them then: what comes
  /// between waits. Else they get back their default.
  void leave_signals_blocked();

 private:
  struct State;
  explicit EventLoop(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ew::host
