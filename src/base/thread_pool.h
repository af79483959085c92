#pragma once
// A pool of sleeping workers for parallel loops.

#include <cstdint>
#include <functional>
#include <memory>

namespace ew {

/// Runs loops on `threads` threads, the caller's included. Results must not depend on who runs an
/// index, nor when. Threads look for the next loop for a while after the last one, then sleep.
/// Not re-entrant: one loop at a time, from one thread.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  /// Calls task(i) for every i in [0, count), in any order, and returns when all are done; `task`
  /// must not throw. Each thread takes a run of neighbours, the same ones in every loop of that
  /// count, then what others have left. With one thread, or count 1, the caller's thread does all.
  void run(int64_t count, const std::function<void(int64_t)>& task);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ew
