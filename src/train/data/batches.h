#pragma once
// Epochs and batches over a data source.

#include <memory>

#include "train/data/augment.h"
#include "train/data/dataset.h"

namespace ew::train {

struct BatchOptions {
  int64_t batch_size = 32;  ///< larger than the set: one short batch of all rows
  bool shuffle = true;
  uint64_t seed = 0;
  /// Reads (and augments) the next batch on a thread of its own while the caller works.
  bool prefetch = false;
  Augment augment = {};  ///< applied to x[0]; none by default
};

/// The batches of one epoch after another. The order, and what augmentation draws, depend on
/// (seed, epoch, row) alone: the same at any thread count, and the same after a resume at that
/// epoch. The last batch is short if rows remain (as Keras). Not for several threads at once.
class Batches {
 public:
  /// Errors kInvalidArgument: batch_size < 1, no rows, augmentation that does not fit x[0].
  static Result<Batches> create(SourcePtr source, BatchOptions options);
  Batches(Batches&&) noexcept;
  Batches& operator=(Batches&&) noexcept;
  ~Batches();

  /// Batches in an epoch.
  int64_t steps() const;
  /// Begins epoch 0, 1, ...; any order and repeats are fine. Leaves an unfinished epoch.
  void begin_epoch(int64_t epoch);
  /// Fills `batch` with the next one; false at the end of the epoch. The storage that `batch`
  /// brings is used again. Errors: those of DataSource::read(); the epoch ends.
  Result<bool> next(Split& batch);

 private:
  struct State;
  explicit Batches(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Row order of an epoch: 0..n-1 shuffled by (seed, epoch).
std::vector<int64_t> epoch_order(int64_t rows, uint64_t seed, int64_t epoch);

}  // namespace ew::train
