#pragma once
// Data sets to train on and to measure with.

#include <memory>
#include <string>
#include <vector>

#include "edgewise/array.h"

namespace ew {

struct DataOptions {
  uint64_t seed = 0;              ///< of the split where the data has no test part of its own
  double validation_split = 0.1;  ///< the last rows of the training part
  double scale = 1;               ///< factor for the inputs, saved in the model as Rescaling
};

/// Three parts: train, validation and test. Cheap to copy; the rows are shared and never change.
class Data {
 public:
  /// Opens what `--data` names: .npz, .npy pairs, .csv, IDX folders, folders of images or WAV files
  /// by class (docs/guide/data.md). Errors: kNotFound, kInvalidArgument, kInvalidData (with file
  /// and line or row), kUnsupported, kResourceLimit.
  static Result<Data> open(const std::string& spec, const DataOptions& options = {});

  /// Rows in memory as the training part: one array per model input and per output. `weights` (f32,
  /// one per row) may be empty. The last `validation_split` of the rows become the validation part.
  static Result<Data> from_arrays(std::vector<Array> x, std::vector<Array> y, Array weights = {},
                                  double validation_split = 0);

  /// The same data with these rows as its validation or test part.
  Result<Data> with_validation(std::vector<Array> x, std::vector<Array> y,
                               Array weights = {}) const;
  Result<Data> with_test(std::vector<Array> x, std::vector<Array> y) const;

  int64_t train_size() const;
  int64_t validation_size() const;
  int64_t test_size() const;
  /// Names of classes 0, 1, ...; empty if the data set does not name them.
  const std::vector<std::string>& class_names() const;

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

}  // namespace ew
