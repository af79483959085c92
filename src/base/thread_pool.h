#pragma once
// A pool of sleeping workers for parallel loops.

#include <cstdint>
#include <functional>
#include <memory>

namespace ew {

/// Runs loops on `threads` threads, the caller's included. Chunks are fixed by the loop's own size
/// and not by timing, so results do not depend on the number of threads. Not re-entrant: one loop
/// at a time, from one thread.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  /// Calls task(i) for every i in [0, count), in any order, and returns when all are done.
  /// `task` must not throw. With one thread, or count 1, runs on the caller's thread alone.
  void run(int64_t count, const std::function<void(int64_t)>& task);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ew
