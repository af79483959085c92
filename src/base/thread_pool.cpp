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
constexpr auto kSpin = std::chrono::microseconds(50);

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
  constexpr int kChecks = 64;  // between two looks at the clock, the first of which would be late
  const auto is_soon_done = [&] {
    for (int i = 0; i < kChecks; ++i) {
      if (is_done()) return true;
      pause_briefly();
    }
    return false;
  };
  if (is_soon_done()) return true;
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < kSpin) {
    if (is_soon_done()) return true;
  }
  return false;
}

}  // namespace

// A loop's indices are dealt out as one range per thread. Its thread takes from the front; one that
// has finished its own takes from the back of the others'. So a thread has the same part of every
// loop of the same size, whose data its cache holds, and one that is late keeps nobody waiting.
// Whoever moves a bound owns the index, and run() cannot return before it is done: so what a thread
// then reads of the loop is valid, however late it came.
struct ThreadPool::State {
  struct alignas(64) Range {  // all that its thread needs is on one cache line
    static constexpr uint64_t kLow = 0xFFFFFFFF;

    std::atomic<uint64_t> bounds{0};  // (end << 32) + next
    int64_t first = 0;                // what index 0 stands for
    const std::function<void(int64_t)>* task = nullptr;

    bool is_empty() const {
      const uint64_t b = bounds.load();
      return (b & kLow) >= b >> 32;
    }
    /// Runs one index, if there is one.
    bool run_one(bool from_front) {
      uint64_t b = bounds.load();
      while ((b & kLow) < b >> 32) {
        if (!bounds.compare_exchange_weak(b, from_front ? b + 1 : b - (kLow + 1))) continue;
        (*task)(first + static_cast<int64_t>(from_front ? b & kLow : (b >> 32) - 1));
        return true;
      }
      return false;
    }
  };

  explicit State(int threads) : ranges(static_cast<size_t>(threads)) {}

  std::vector<Range> ranges;  // the caller's first
  alignas(64) std::atomic<int64_t> remaining{0};
  alignas(64) std::atomic<bool> stop{false};
  std::atomic<int> sleeping{0};         // workers
  std::atomic<bool> is_waiting{false};  // the caller, asleep
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable finished;
  bool may_spin = true;
  std::vector<std::thread> workers;

  bool is_open() const {
    return std::any_of(ranges.begin(), ranges.end(), [](const Range& r) { return !r.is_empty(); });
  }

  void work(size_t self) {
    int64_t done = 0;
    for (size_t i = 0; i < ranges.size(); ++i) {
      while (ranges[(self + i) % ranges.size()].run_one(i == 0)) ++done;
    }
    if (done == 0 || remaining.fetch_sub(done) != done || !is_waiting) return;
    // Under the lock, so that the caller is either before its look or asleep.
    const std::lock_guard lock(mutex);
    finished.notify_one();
  }

  void loop(size_t self) {
    while (!stop) {
      work(self);
      if (may_spin && spin_until([&] { return stop || !ranges[self].is_empty(); })) continue;
      std::unique_lock lock(mutex);
      ++sleeping;  // before the last look: run() opens the loop, then looks who sleeps
      wake.wait(lock, [&] { return stop || is_open(); });
      --sleeping;
    }
  }

  void run(int64_t begin, int64_t count, const std::function<void(int64_t)>& task) {
    remaining.store(count, std::memory_order_relaxed);
    const auto parts = static_cast<uint64_t>(std::min(count, static_cast<int64_t>(ranges.size())));
    const auto bound = [&](uint64_t i) { return static_cast<uint64_t>(count) * i / parts; };
    // The caller's last, by the only store that waits for those before it.
    for (uint64_t i = parts; i-- > 0;) {
      Range& range = ranges[i];
      range.first = begin;
      range.task = &task;
      range.bounds.store((bound(i + 1) << 32) + bound(i),
                         i > 0 ? std::memory_order_release : std::memory_order_seq_cst);
    }
    if (sleeping > 0) {
      {
        const std::lock_guard lock(mutex);
      }
      wake.notify_all();
    }
    work(0);
    const auto is_done = [&] { return remaining == 0; };
    if (is_done() || (may_spin && spin_until(is_done))) return;
    std::unique_lock lock(mutex);
    is_waiting = true;  // before the last look: who ends the loop counts, then looks who waits
    finished.wait(lock, is_done);
    is_waiting = false;
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>(std::max(threads, 1))) {
  // Where threads share a core, one that spins keeps another from its work.
  state_->may_spin = threads <= static_cast<int>(std::thread::hardware_concurrency());
  for (int i = 1; i < threads; ++i) {
    state_->workers.emplace_back([this, i] { state_->loop(static_cast<size_t>(i)); });
  }
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
  constexpr int64_t kMost = int64_t{1} << 31;  // of a range's bounds
  for (int64_t first = 0; first < count; first += kMost) {
    state_->run(first, std::min(kMost, count - first), task);
  }
}

}  // namespace ew
