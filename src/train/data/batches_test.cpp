#include "train/data/batches.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "train/data/test_files.h"

namespace ew::train {
namespace {

using namespace test;

SourcePtr counted(int64_t rows) {
  Split split;
  split.x.push_back(iota<float>(Shape{rows, 2, 2, 1}));
  split.y.push_back(iota<int32_t>(Shape{rows}));
  return array_source(std::move(split)).value();
}

// Labels of an epoch, one list per batch.
std::vector<std::vector<int32_t>> labels(Batches& batches, int64_t epoch) {
  std::vector<std::vector<int32_t>> out;
  batches.begin_epoch(epoch);
  Split batch;
  while (true) {
    const auto more = batches.next(batch);
    REQUIRE_MESSAGE(more.ok(), message(more));
    if (!*more) return out;
    const auto y = batch.y[0].values<int32_t>();
    out.emplace_back(y.begin(), y.end());
    for (size_t i = 0; i < y.size(); ++i) {
      CHECK(batch.x[0].values<float>()[4 * i] == static_cast<float>(4 * y[i]));
    }
  }
}

// Fails for one row, as a damaged file would.
class FailingSource final : public DataSource {
 public:
  int64_t size() const override { return 10; }
  const std::vector<SampleType>& x_types() const override { return inner_->x_types(); }
  const std::vector<SampleType>& y_types() const override { return inner_->y_types(); }
  Status read(std::span<const int64_t> rows, Split& out, bool targets_only) const override {
    if (std::count(rows.begin(), rows.end(), 5) > 0) return invalid_data("row 5 is damaged");
    return inner_->read(rows, out, targets_only);
  }

 private:
  SourcePtr inner_ = counted(10);
};

// Stops in its second read until it is let go on; remembers whether its rows changed meanwhile.
class GatedSource final : public DataSource {
 public:
  int64_t size() const override { return 10; }
  const std::vector<SampleType>& x_types() const override { return inner_->x_types(); }
  const std::vector<SampleType>& y_types() const override { return inner_->y_types(); }
  Status read(std::span<const int64_t> rows, Split& out, bool targets_only) const override {
    if (++reads == 2) {
      const std::vector<int64_t> before(rows.begin(), rows.end());
      while (!is_open) std::this_thread::yield();
      rows_changed = !std::equal(before.begin(), before.end(), rows.begin(), rows.end());
    }
    return inner_->read(rows, out, targets_only);
  }
  mutable std::atomic<int> reads = 0;
  mutable std::atomic<bool> is_open = false;
  mutable std::atomic<bool> rows_changed = false;

 private:
  SourcePtr inner_ = counted(10);
};

}  // namespace

TEST_CASE("batches: in order without shuffling, the last one short") {
  auto batches = Batches::create(counted(5), {.batch_size = 2, .shuffle = false});
  REQUIRE(batches.ok());
  CHECK(batches->steps() == 3);
  const std::vector<std::vector<int32_t>> expected{{0, 1}, {2, 3}, {4}};
  CHECK(labels(*batches, 0) == expected);
  CHECK(labels(*batches, 1) == expected);
}

TEST_CASE("batches: the order depends on seed and epoch alone") {
  for (const bool prefetch : {false, true}) {
    auto a = Batches::create(counted(100), {.batch_size = 7, .seed = 1, .prefetch = prefetch});
    auto b = Batches::create(counted(100), {.batch_size = 7, .seed = 1});
    auto c = Batches::create(counted(100), {.batch_size = 7, .seed = 2});
    const auto first = labels(*a, 0);
    CHECK(labels(*b, 3) == labels(*a, 3));  // b never saw epoch 0
    CHECK(labels(*b, 0) == first);
    CHECK(labels(*c, 0) != first);
    CHECK(labels(*a, 1) != first);
    std::vector<int32_t> all;
    for (const auto& batch : first) all.insert(all.end(), batch.begin(), batch.end());
    std::sort(all.begin(), all.end());
    for (int32_t i = 0; i < 100; ++i) CHECK(all[static_cast<size_t>(i)] == i);
  }
}

TEST_CASE("batches: a batch larger than the set is one batch of all rows") {
  auto batches = Batches::create(counted(3), {.batch_size = INT64_MAX});
  REQUIRE(batches.ok());
  CHECK(batches->steps() == 1);
  CHECK(labels(*batches, 0)[0].size() == 3);
}

TEST_CASE("batches: an epoch may be left in its middle") {
  for (const bool prefetch : {false, true}) {
    auto batches = Batches::create(counted(20), {.batch_size = 3, .prefetch = prefetch});
    const auto whole = labels(*batches, 1);
    Split batch;
    batches->begin_epoch(0);
    for (int i = 0; i < 3; ++i) REQUIRE(batches->next(batch).ok());
    CHECK(labels(*batches, 1) == whole);
    batches->begin_epoch(2);  // and left by the destructor
    REQUIRE(batches->next(batch).ok());
  }
}

TEST_CASE("batches: a row that cannot be read ends the epoch with its error") {
  for (const bool prefetch : {false, true}) {
    auto batches = Batches::create(std::make_shared<FailingSource>(),
                                   {.batch_size = 2, .shuffle = false, .prefetch = prefetch});
    REQUIRE(batches.ok());
    Split batch;
    CHECK(batches->next(batch).value());
    CHECK(batches->next(batch).value());
    CHECK(has(message(batches->next(batch)), "row 5 is damaged"));
    CHECK_FALSE(batches->next(batch).value());
    batches->begin_epoch(1);
    CHECK(batches->next(batch).value());
  }
}

TEST_CASE("batches: a new epoch waits for the batch that is being read ahead") {
  const auto source = std::make_shared<GatedSource>();
  auto batches = Batches::create(source, {.batch_size = 2, .prefetch = true});
  REQUIRE(batches.ok());
  Split batch;
  REQUIRE(batches->next(batch).value());
  while (source->reads < 2) std::this_thread::yield();
  std::atomic<bool> began = false;
  std::thread caller([&] {
    batches->begin_epoch(1);
    began = true;
  });
  for (int i = 0; i < 10000 && !began; ++i) std::this_thread::yield();
  CHECK_FALSE(began);
  source->is_open = true;
  caller.join();
  CHECK_FALSE(source->rows_changed);
  const auto order = epoch_order(10, 0, 1);
  REQUIRE(batches->next(batch).value());
  CHECK(batch.y[0].values<int32_t>()[0] == order[0]);
}

TEST_CASE("batches: what the caller keeps is not written to by the next batch") {
  auto batches = Batches::create(counted(4), {.batch_size = 2, .shuffle = false});
  Split batch;
  REQUIRE(batches->next(batch).ok());
  const Tensor kept = batch.x[0];
  REQUIRE(batches->next(batch).ok());
  CHECK(kept.values<float>()[0] == 0);
  CHECK(batch.x[0].values<float>()[0] == 8);
}

TEST_CASE("batches: refuses empty sets, empty batches and augmentation that does not fit") {
  CHECK(has(message(Batches::create(counted(0), {})), "no rows"));
  CHECK(has(message(Batches::create(counted(2), {.batch_size = 0})), "at least 1"));
  Augment augment;
  augment.time_shift = 0.1f;
  CHECK(has(message(Batches::create(counted(2), {.augment = augment})), "timeshift needs signals"));
}

TEST_CASE("sources: several threads may read at once") {
  const SourcePtr source = counted(64);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Split out;
      for (int64_t i = 0; i < 50; ++i) {
        const int64_t rows[] = {(i + t) % 64};
        const bool ok = source->read(rows, out).ok() && out.y[0].values<int32_t>()[0] == rows[0];
        if (!ok) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

}  // namespace ew::train
