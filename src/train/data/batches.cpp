#include "train/data/batches.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>

#include "base/rng.h"

namespace ew::train {
namespace {

constexpr uint64_t kShuffleStream = 0x73687566666c65;  // "shuffle"

}  // namespace

std::vector<int64_t> epoch_order(int64_t rows, uint64_t seed, int64_t epoch) {
  return Rng(counter_hash(seed, kShuffleStream, static_cast<uint64_t>(epoch))).permutation(rows);
}

struct Batches::State {
  SourcePtr source;
  BatchOptions options;
  std::vector<int64_t> order;
  int64_t epoch = 0;
  int64_t next_step = 0;

  // With prefetch: one job at a time. While a job is set and not done, the worker owns `ahead` and
  // reads `order` and `epoch`; otherwise the caller does.
  std::thread worker;
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<int64_t> job;  // guarded by mutex, as the next two
  bool is_done = false;
  bool stops = false;
  Split ahead;
  Status ahead_status;

  ~State() {
    if (!worker.joinable()) return;
    {
      const std::lock_guard lock(mutex);
      stops = true;
    }
    changed.notify_all();
    worker.join();
  }

  int64_t steps() const { return (source->size() + options.batch_size - 1) / options.batch_size; }

  Status produce(int64_t step, Split& out) const {
    const int64_t begin = step * options.batch_size;
    const int64_t count = std::min(options.batch_size, source->size() - begin);
    const auto rows =
        std::span(order).subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
    EW_TRY_VOID(source->read(rows, out));
    if (options.augment.any()) {
      apply_augment(options.augment, options.seed, epoch, rows, out.x[0]);
    }
    return {};
  }

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return stops || (job && !is_done); });
      if (stops) return;
      const int64_t step = *job;
      lock.unlock();
      ahead_status = produce(step, ahead);
      lock.lock();
      is_done = true;
      changed.notify_all();
    }
  }

  void post(int64_t step) {
    if (step >= steps()) return;
    {
      const std::lock_guard lock(mutex);
      job = step;
      is_done = false;
    }
    changed.notify_all();
  }

  // Waits for the job, if there is one, and takes it off; whether it was `step`.
  bool collect(int64_t step) {
    std::unique_lock lock(mutex);
    if (!job) return false;
    changed.wait(lock, [&] { return is_done; });
    const bool is_it = *job == step;
    job.reset();
    return is_it;
  }
};

Batches::Batches(std::unique_ptr<State> state) : state_(std::move(state)) {}
Batches::Batches(Batches&&) noexcept = default;
Batches& Batches::operator=(Batches&&) noexcept = default;
Batches::~Batches() = default;

Result<Batches> Batches::create(SourcePtr source, BatchOptions options) {
  if (options.batch_size < 1) {
    return invalid_argument("batch size: expected at least 1, found ", options.batch_size);
  }
  if (source->size() == 0) return invalid_argument("the data set has no rows");
  if (options.augment.any()) {
    EW_TRY_VOID(check_augment(options.augment, source->x_types()[0].shape));
  }
  // A larger batch is one short batch; this keeps sums of steps and batches from overflowing.
  options.batch_size = std::min(options.batch_size, source->size());
  auto state = std::make_unique<State>();
  state->source = std::move(source);
  state->options = options;
  if (options.prefetch) state->worker = std::thread([s = state.get()] { s->work(); });
  Batches batches(std::move(state));
  batches.begin_epoch(0);
  return batches;
}

int64_t Batches::steps() const { return state_->steps(); }

void Batches::begin_epoch(int64_t epoch) {
  State& state = *state_;
  state.collect(-1);
  state.epoch = epoch;
  state.next_step = 0;
  const int64_t n = state.source->size();
  if (state.options.shuffle) {
    state.order = epoch_order(n, state.options.seed, epoch);
  } else if (state.order.empty()) {
    state.order.resize(static_cast<size_t>(n));
    std::iota(state.order.begin(), state.order.end(), int64_t{0});
  }
  if (state.options.prefetch) state.post(0);
}

Result<bool> Batches::next(Split& batch) {
  State& state = *state_;
  if (state.next_step >= state.steps()) return false;
  const int64_t step = state.next_step++;
  Status status;
  if (state.collect(step)) {
    status = std::move(state.ahead_status);
    std::swap(batch, state.ahead);
    if (status.ok()) state.post(state.next_step);
  } else {
    status = state.produce(step, batch);
  }
  if (status.ok()) return true;
  state.next_step = state.steps();
  return status.error();
}

}  // namespace ew::train
