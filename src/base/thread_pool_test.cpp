#include "base/thread_pool.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace ew {

TEST_CASE("thread_pool: every index runs exactly once, loop after loop") {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (const int64_t count : {0, 1, 2, 3, 64, 1000}) {
      // Plain integers: what run() wrote must be visible when it returns.
      std::vector<int> hits(static_cast<size_t>(count), 0);
      pool.run(count, [&](int64_t i) { ++hits[static_cast<size_t>(i)]; });
      CHECK(hits == std::vector<int>(static_cast<size_t>(count), 1));
    }
  }
}

TEST_CASE("thread_pool: loops that follow at once do not mix") {
  ThreadPool pool(3);
  std::vector<int64_t> sums(4, 0);
  for (int64_t round = 0; round < 2000; ++round) {
    pool.run(4, [&, round](int64_t i) { sums[static_cast<size_t>(i)] += round; });
  }
  CHECK(sums == std::vector<int64_t>(4, 2000 * 1999 / 2));
}

TEST_CASE("thread_pool: what one thread is held up from, others do") {
  for (const int threads : {2, 3}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 20; ++round) {
      // Index 0 ends after all others: those that its thread would have done next are taken over.
      std::atomic<int> done{0};
      pool.run(12, [&](int64_t i) {
        while (i == 0 && done < 11) std::this_thread::yield();
        ++done;
      });
      CHECK(done == 12);
    }
  }
}

TEST_CASE("thread_pool: ends while its threads sleep") {
  for (int i = 0; i < 50; ++i) {
    const ThreadPool pool(4);
    CHECK(pool.threads() == 4);
  }
}

}  // namespace ew
