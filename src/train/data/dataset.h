#pragma once
// Data sets: rows of inputs and targets, in memory or read from disk row by row.
//
// A model sees the same thing either way: `read(rows)` fills one tensor per model input and one per
// output. Sources are immutable, so that views of one file (train, validation, test) share it.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "ir/tensor.h"

namespace ew::train {

using ir::Tensor;

/// Some rows, or all: axis 0 of every tensor is the row.
struct Split {
  std::vector<Tensor> x;  ///< one per model input, f32 [N, ...]
  std::vector<Tensor> y;  ///< one per model output: i32 (labels) or f32 (values) [N, ...]
  Tensor weights;         ///< f32 [N] sample weights, or empty

  /// N, or 0 without tensors.
  int64_t size() const;
};

/// Type of one row's part: f32 or i32, and the shape without the row axis.
using SampleType = ir::TensorType;

/// Rows that can be read in any order. Thread rule: const means callable from several threads.
class DataSource {
 public:
  virtual ~DataSource() = default;

  virtual int64_t size() const = 0;
  /// One per model input; always f32 (pixels are 0..255, audio is -1..1, nothing is scaled).
  virtual const std::vector<SampleType>& x_types() const = 0;
  /// One per model output: i32 if stored as integers or class names, else f32. May be empty.
  virtual const std::vector<SampleType>& y_types() const = 0;
  virtual bool has_weights() const { return false; }
  /// Whether x cannot hold NaN or Inf because of how it is stored (pixels, integers).
  virtual bool x_always_finite() const { return false; }

  /// Fills `out` with the given rows (each in [0, size()), repeats allowed), reusing its storage
  /// where the size fits. With `targets_only`, out.x is cleared and nothing is decoded for it.
  /// Errors: kInvalidData with file and row if a file is damaged; kIo; kNotFound.
  virtual Status read(std::span<const int64_t> rows, Split& out,
                      bool targets_only = false) const = 0;
};

using SourcePtr = std::shared_ptr<const DataSource>;

/// The rows of `tensors` (axis 0; all of the same length), in memory. Integers stay as stored and
/// are converted when read. Errors: kInvalidArgument if lengths differ or a tensor is a scalar.
Result<SourcePtr> array_source(Split tensors);
/// Rows rows[0], rows[1], ... of `source`.
SourcePtr subset(SourcePtr source, std::vector<int64_t> rows);
/// Every row, in order. For evaluation of small sets and tests.
Result<Split> read_all(const DataSource& source);

struct Dataset {
  SourcePtr train;       ///< never null
  SourcePtr validation;  ///< never null; may have no rows
  SourcePtr test;        ///< never null; may have no rows
  /// Names of labels 0, 1, ...: folder names or CSV words, sorted. Empty if labels are numbers.
  std::vector<std::string> class_names;
  /// What a model needs to know of the data; keys are there only where they apply:
  ///   kind         "array", "table", "image" or "audio"
  ///   value_range  255 for pixels stored as bytes (what augmentation takes as the range)
  ///   scale        DatasetOptions::scale, to be saved in the model as a Rescaling layer: recorded
  ///                here and not applied to the data
  ///   size, channels, sample_rate, columns (CSV features in order)
  Config preprocessing = {};
};

struct DatasetOptions {
  uint64_t seed = 0;              ///< of the split where the data has no test part of its own
  double validation_split = 0.1;  ///< [0, 1): the last rows of train (Keras: floor(n * (1 - v)))
  double scale = 1;
  /// Arrays and tables up to this size, and decoded images and sounds, are kept in memory; larger
  /// .npy and .csv files are read row by row, larger folders decoded again every epoch.
  int64_t memory_bytes = int64_t{1} << 30;
  /// No single array, image or decompressed file may be larger (damaged or hostile sizes).
  int64_t max_bytes = int64_t{1} << 32;
};

/// Opens what `--data` names. Options follow a '?' and are joined by '&'.
///
///   D.npz             x_train, y_train [, x_val, y_val], x_test, y_test; or x, y (split). Several
///                     inputs or outputs: x_train_0, x_train_1, ... Sample weights: w_train or w.
///                     Without y the data set has no targets.
///   X.npy,Y.npy       a pair of arrays (split); rows are read from disk if they are large
///   folder/           IDX files, plain or .gz: *train-images*, *train-labels*, *t10k-* (test)
///   D.csv[?label=C]   header line, quoted fields, numeric columns (empty, NA and ? are errors);
///                     label C (default: last column): whole numbers are labels, other numbers are
///                     values, words are class names. Also D.csv.gz. Options: label, separator.
///   folder/           JPEG and PNG files in one folder per class. All of the same size and number
///                     of channels, or ?size=HxW (bilinear, as Keras) and ?channels=1|3.
///   folder/           WAV files in one folder per class: mono mix, padded with zeros or cropped to
///                     the longest, or to ?seconds=S. All of the same sample rate.
///
/// Folders by class may stand inside train/, test/ and val/ or validation/. ?target=input makes the
/// inputs their own targets (autoencoders). "split": rows are shuffled by the seed; the last tenth
/// is the test part, `validation_split` of all before it the validation part (80/10/10).
///
/// Errors: kNotFound; kInvalidArgument (unknown option, names the nearest; no such column);
/// kInvalidData (damaged, with file and line or row); kUnsupported; kResourceLimit.
Result<Dataset> open_dataset(const std::string& spec, const DatasetOptions& options = {});

}  // namespace ew::train
