#pragma once
// A thread for what can only block (libraries without an event interface), whose results come to
// the event loop's thread.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace ew::host {
class EventLoop;
}

namespace ew::agent {

/// Made, started and destroyed on the event loop's thread. Destroying it ends wait(), joins the
/// thread and drops what was posted and has not run.
class Background {
 public:
  explicit Background(host::EventLoop& loop);
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  /// Runs `body` on the thread, where all signals are blocked; it returns soon after is_stopping().
  void start(std::function<void()> body);
  /// Ends the wait() that runs, or the next one.
  void wake();

  /// The rest is for the body.
  bool is_stopping() const;
  /// Sleeps until wake(); false as soon as the thread is to stop.
  bool wait(int64_t us);
  /// `call` runs on the loop's thread, in order.
  void post(std::function<void()> call);

 private:
  host::EventLoop& loop_;
  std::shared_ptr<bool> is_alive_;  // of the loop's thread
  mutable std::mutex mutex_;
  std::condition_variable stop_;
  bool is_stopping_ = false;
  bool is_awake_ = false;
  std::thread thread_;
};

/// Waits between tries: doubles from `first_us` to `most_us`, with jitter of a quarter either way.
class BackOff {
 public:
  explicit BackOff(int64_t first_us = 500'000, int64_t most_us = 30'000'000)
      : first_us_(first_us), most_us_(most_us), next_us_(first_us) {}
  int64_t next();
  void reset() { next_us_ = first_us_; }

 private:
  int64_t first_us_;
  int64_t most_us_;
  int64_t next_us_;
};

}  // namespace ew::agent
