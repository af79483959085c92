#include "host/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "base/clock.h"

namespace ew::host {
namespace {

constexpr int kEventsAtOnce = 64;
/// Pacing pays when so many items come in its time, seen over so many of its times.
constexpr uint64_t kPacedItems = 3;
constexpr int64_t kPacingSample = 8;

Error system_error(const char* what) {
  return make_error(ErrorCode::kIo, "event loop: cannot ", what, ": ", std::strerror(errno));
}

}  // namespace

struct EventLoop::State {
  /// Wakes the loop for calls from other threads.
  struct Wake final : Watcher {
    explicit Wake(State& owner) : state(owner) {}
    void on_ready(uint32_t) override {
      uint64_t count = 0;
      [[maybe_unused]] const ssize_t n = ::read(state.wake_fd, &count, sizeof(count));
    }
    State& state;
  };
  struct Signals final : Watcher {
    explicit Signals(State& owner) : state(owner) {}
    void on_ready(uint32_t) override {
      signalfd_siginfo info{};
      while (::read(state.signal_fd, &info, sizeof(info)) == sizeof(info)) {
        const auto found = state.signal_calls.find(static_cast<int>(info.ssi_signo));
        if (found != state.signal_calls.end()) found->second();
      }
    }
    State& state;
  };

  explicit State(Clocks given) : clocks(std::move(given)) {}
  ~State() {
    for (const int fd : {epoll_fd, wake_fd, signal_fd}) {
      if (fd >= 0) ::close(fd);
    }
    if (signal_fd >= 0 && !leaves_blocked) ::sigprocmask(SIG_UNBLOCK, &signals, nullptr);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void pace(int64_t max_wait_us) const;
  void sample_load();
  int wait(int64_t max_wait_us);
  bool run_posted();
  bool run_timers();
  bool run_ends();

  Clocks clocks;
  int epoll_fd = -1;
  int wake_fd = -1;
  int signal_fd = -1;
  bool leaves_blocked = false;
  sigset_t signals{};
  std::map<int, std::function<void()>> signal_calls;
  Wake wake{*this};
  Signals signal_watcher{*this};

  int64_t now = 0;
  int64_t pacing_us = 0;
  bool is_loaded = false;
  int64_t sample_begin = 0;
  uint64_t sample_items = 0;  // since then
  std::array<epoll_event, kEventsAtOnce> events{};
  int event_at = 0;
  int event_count = 0;

  std::map<std::pair<int64_t, uint64_t>, std::function<void()>> timers;
  uint64_t timer_number = 0;
  std::vector<WakeupEnd*> ends;

  std::mutex mutex;
  std::vector<std::function<void()>> posted;
  std::vector<std::function<void()>> running;
  std::atomic<bool> has_posted = false;
  std::atomic<bool> is_stopped = false;
};

Result<std::unique_ptr<EventLoop>> EventLoop::create(Clocks clocks) {
  if (!clocks.steady_us) clocks.steady_us = steady_clock_us;
  if (!clocks.system_us) clocks.system_us = system_clock_us;
  auto state = std::make_unique<State>(std::move(clocks));
  state->now = state->clocks.steady_us();
  state->epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (state->epoll_fd < 0) return system_error("create an epoll descriptor");
  state->wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (state->wake_fd < 0) return system_error("create an event descriptor");
  std::unique_ptr<EventLoop> loop(new EventLoop(std::move(state)));
  EW_TRY_VOID(loop->watch(loop->state_->wake_fd, EPOLLIN, loop->state_->wake));
  return loop;
}

EventLoop::EventLoop(std::unique_ptr<State> state) : state_(std::move(state)) {}
EventLoop::~EventLoop() = default;

int64_t EventLoop::now_us() const { return state_->now; }
int64_t EventLoop::steady_us() const { return state_->clocks.steady_us(); }
int64_t EventLoop::system_us() const { return state_->clocks.system_us(); }

void EventLoop::run() {
  state_->is_stopped = false;
  while (!state_->is_stopped) run_once(INT64_MAX);
}

void EventLoop::set_pacing(int64_t pacing_us) { state_->pacing_us = pacing_us; }
void EventLoop::note_items(uint64_t count) { state_->sample_items += count; }

void EventLoop::stop() {
  state_->is_stopped = true;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(state_->wake_fd, &one, sizeof(one));
}

void EventLoop::post(std::function<void()> call) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->posted.push_back(std::move(call));
  }
  // One write wakes the loop for all calls up to its next look.
  if (state_->has_posted.exchange(true)) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(state_->wake_fd, &one, sizeof(one));
}

int EventLoop::State::wait(int64_t max_wait_us) {
  if (!timers.empty()) {
    max_wait_us = std::min(max_wait_us, std::max<int64_t>(0, timers.begin()->first.first - now));
  }
  if (has_posted || is_stopped || !ends.empty()) max_wait_us = 0;
  const timespec wait{max_wait_us / 1'000'000, (max_wait_us % 1'000'000) * 1000};
  const bool is_forever = max_wait_us == INT64_MAX;
  return ::epoll_pwait2(epoll_fd, events.data(), kEventsAtOnce, is_forever ? nullptr : &wait,
                        nullptr);
}

/// Lets work gather for the rest of the pacing interval, but never past a timer.
void EventLoop::State::pace(int64_t max_wait_us) const {
  if (!is_loaded || !ends.empty() || is_stopped) return;
  const int64_t at = clocks.steady_us();
  int64_t rest = std::min(now + pacing_us - at, max_wait_us);
  if (!timers.empty()) rest = std::min(rest, timers.begin()->first.first - at);
  if (rest <= 0) return;
  const timespec pause{rest / 1'000'000, (rest % 1'000'000) * 1000};
  ::nanosleep(&pause, nullptr);
}

/// A pause ends a sample early, and so does a round that shows enough.
void EventLoop::State::sample_load() {
  const int64_t time = now - sample_begin;
  const bool is_enough = sample_items > kPacedItems * kPacingSample;
  if (time < kPacingSample * pacing_us && !is_enough) return;
  is_loaded =
      static_cast<int64_t>(sample_items) * pacing_us > static_cast<int64_t>(kPacedItems) * time;
  sample_begin = now;
  sample_items = 0;
}

bool EventLoop::State::run_posted() {
  if (!has_posted.exchange(false)) return false;
  {
    const std::lock_guard lock(mutex);
    running.swap(posted);
  }
  for (std::function<void()>& call : running) call();
  const bool has_run = !running.empty();
  running.clear();
  return has_run;
}

bool EventLoop::State::run_timers() {
  bool has_run = false;
  // A timer that is set now, even for now, waits for the next round, or sockets would starve.
  const uint64_t last = timer_number;
  while (!timers.empty() && timers.begin()->first.first <= now) {
    auto first = timers.begin();
    while (first != timers.end() && first->first.first <= now && first->first.second > last) {
      ++first;
    }
    if (first == timers.end() || first->first.first > now) break;
    const std::function<void()> call = std::move(first->second);
    timers.erase(first);
    call();
    has_run = true;
  }
  return has_run;
}

bool EventLoop::State::run_ends() {
  const bool has_run = !ends.empty();
  // One may ask again while it runs; it is called again before the loop sleeps.
  for (size_t i = 0; i < ends.size(); ++i) {
    WakeupEnd* end = ends[i];
    if (end == nullptr) continue;
    ends[i] = nullptr;
    end->on_wakeup_end();
  }
  ends.clear();
  return has_run;
}

bool EventLoop::run_once(int64_t max_wait_us) {
  State& s = *state_;
  s.pace(max_wait_us);
  const int count = s.wait(max_wait_us);
  s.now = s.clocks.steady_us();
  s.event_count = std::max(count, 0);
  bool has_run = false;
  for (s.event_at = 0; s.event_at < s.event_count;) {
    const epoll_event event = s.events[static_cast<size_t>(s.event_at++)];
    if (event.data.ptr == nullptr) continue;
    static_cast<Watcher*>(event.data.ptr)->on_ready(event.events);
    has_run = true;
  }
  s.event_count = 0;
  has_run = s.run_posted() || has_run;
  has_run = s.run_timers() || has_run;
  has_run = s.run_ends() || has_run;
  if (s.pacing_us > 0) s.sample_load();
  return has_run;
}

EventLoop::TimerId EventLoop::call_after(int64_t delay_us, std::function<void()> call) {
  const TimerId id{state_->clocks.steady_us() + std::max<int64_t>(0, delay_us),
                   ++state_->timer_number};
  state_->timers.emplace(std::pair(id.due_us, id.number), std::move(call));
  return id;
}

void EventLoop::cancel(TimerId& timer) {
  if (timer.number != 0) state_->timers.erase({timer.due_us, timer.number});
  timer = {};
}

Status EventLoop::watch(int fd, uint32_t events, Watcher& watcher) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watcher;
  if (::epoll_ctl(state_->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
    return system_error("watch a descriptor");
  }
  return {};
}

Status EventLoop::change(int fd, uint32_t events, Watcher& watcher) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watcher;
  if (::epoll_ctl(state_->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0) {
    return system_error("watch a descriptor");
  }
  return {};
}

void EventLoop::unwatch(int fd, Watcher& watcher) {
  ::epoll_ctl(state_->epoll_fd, EPOLL_CTL_DEL, fd, nullptr);
  // What the kernel has already reported in this round is not told.
  for (int i = state_->event_at; i < state_->event_count; ++i) {
    epoll_event& event = state_->events[static_cast<size_t>(i)];
    if (event.data.ptr == &watcher) event.data.ptr = nullptr;
  }
}

void EventLoop::at_wakeup_end(WakeupEnd& end) {
  std::vector<WakeupEnd*>& ends = state_->ends;
  if (std::find(ends.begin(), ends.end(), &end) == ends.end()) ends.push_back(&end);
}

void EventLoop::forget(WakeupEnd& end) {
  std::replace(state_->ends.begin(), state_->ends.end(), &end, static_cast<WakeupEnd*>(nullptr));
}

void EventLoop::leave_signals_blocked() { state_->leaves_blocked = true; }

Status EventLoop::on_signal(int signal, std::function<void()> call) {
  State& s = *state_;
  if (s.signal_fd < 0) ::sigemptyset(&s.signals);
  ::sigaddset(&s.signals, signal);
  const int fd = ::signalfd(s.signal_fd, &s.signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0 || ::pthread_sigmask(SIG_BLOCK, &s.signals, nullptr) != 0) {
    return system_error("receive signals");
  }
  s.signal_calls[signal] = std::move(call);
  if (s.signal_fd >= 0) return {};
  s.signal_fd = fd;
  return watch(fd, EPOLLIN, s.signal_watcher);
}

}  // namespace ew::host
