#include "agent/background.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "host/event_loop.h"

namespace ew::agent {

Background::Background(host::EventLoop& loop)
    : loop_(loop), is_alive_(std::make_shared<bool>(true)) {}

Background::~Background() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  stop_.notify_all();
  if (thread_.joinable()) thread_.join();
  *is_alive_ = false;
}

void Background::start(std::function<void()> body) {
  thread_ = std::thread([body = std::move(body)] {
    // Signals are the main thread's; a broken pipe is an error of write().
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    body();
  });
}

void Background::wake() {
  {
    const std::lock_guard lock(mutex_);
    is_awake_ = true;
  }
  stop_.notify_all();
}

bool Background::is_stopping() const {
  const std::lock_guard lock(mutex_);
  return is_stopping_;
}

bool Background::wait(int64_t us) {
  std::unique_lock lock(mutex_);
  stop_.wait_for(lock, std::chrono::microseconds(us), [this] { return is_stopping_ || is_awake_; });
  is_awake_ = false;
  return !is_stopping_;
}

void Background::post(std::function<void()> call) {
  loop_.post([is_alive = is_alive_, call = std::move(call)] {
    if (*is_alive) call();
  });
}

int64_t BackOff::next() {
  thread_local std::minstd_rand random{std::random_device{}()};
  const int64_t base = next_us_;
  next_us_ = std::min(most_us_, next_us_ * 2);
  return base * 3 / 4 + static_cast<int64_t>(random() % static_cast<uint64_t>(base / 2 + 1));
}

}  // namespace ew::agent
