#include "base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace ew {
namespace {

// Loops of one inference follow each other within microseconds; a sleeping thread takes some fifty
// to wake.
constexpr auto kSpin = std::chrono::microseconds(100);

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Whether is_done() became true before a thread had better sleep.
template <typename F>
bool spin_until(F is_done) {
  constexpr int kChecks = 64;  // between two looks at the clock
  const auto start = std::chrono::steady_clock::now();
  do {
    for (int i = 0; i < kChecks; ++i) {
      if (is_done()) return true;
      pause_briefly();
    }
  } while (std::chrono::steady_clock::now() - start < kSpin);
  return false;
}

}  // namespace

// A loop is open while its ticket, (count << 32) + next, has an index left. Whoever raises `next`
// owns that index, and run() cannot return before it is done: so what it read of the loop is valid,
// however late it came.
struct ThreadPool::State {
  alignas(64) std::atomic<uint64_t> ticket{0};
  const std::function<void(int64_t)>* task = nullptr;
  int64_t first = 0;
  alignas(64) std::atomic<int64_t> remaining{0};
  alignas(64) std::atomic<bool> stop{false};
  std::atomic<int> sleeping{0};
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable finished;
  bool may_spin = true;
  std::vector<std::thread> workers;

  bool is_open() const {
    const uint64_t t = ticket.load();
    return (t & 0xFFFFFFFF) < t >> 32;
  }

  void work() {
    uint64_t t = ticket.load();
    while ((t & 0xFFFFFFFF) < t >> 32) {
      if (!ticket.compare_exchange_weak(t, t + 1)) continue;
      (*task)(first + static_cast<int64_t>(t & 0xFFFFFFFF));
      if (remaining.fetch_sub(1) == 1) {
        // Under the lock, so that the caller is either before its look or asleep.
        const std::lock_guard lock(mutex);
        finished.notify_one();
      }
      t = ticket.load();
    }
  }

  void loop() {
    while (!stop) {
      work();
      if (may_spin && spin_until([&] { return stop || is_open(); })) continue;
      std::unique_lock lock(mutex);
      ++sleeping;  // before the last look: run() opens the loop, then looks who sleeps
      wake.wait(lock, [&] { return stop || is_open(); });
      --sleeping;
    }
  }

  void run(int64_t begin, int64_t count, const std::function<void(int64_t)>& f) {
    task = &f;
    first = begin;
    remaining = count;
    ticket = static_cast<uint64_t>(count) << 32;
    if (sleeping > 0) {
      {
        const std::lock_guard lock(mutex);
      }
      wake.notify_all();
    }
    work();
    const auto is_done = [&] { return remaining == 0; };
    if (may_spin && spin_until(is_done)) return;
    std::unique_lock lock(mutex);
    finished.wait(lock, is_done);
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  // Where threads share a core, one that spins keeps another from its work.
  state_->may_spin = threads <= static_cast<int>(std::thread::hardware_concurrency());
  for (int i = 1; i < threads; ++i) state_->workers.emplace_back([this] { state_->loop(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->wake.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::run(int64_t count, const std::function<void(int64_t)>& task) {
  if (state_->workers.empty() || count <= 1) {
    for (int64_t i = 0; i < count; ++i) task(i);
    return;
  }
  constexpr int64_t kMost = int64_t{1} << 31;  // of a ticket
  for (int64_t first = 0; first < count; first += kMost) {
    state_->run(first, std::min(kMost, count - first), task);
  }
}

}  // namespace ew
