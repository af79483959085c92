#pragma once
// One opener per format of `--data`; open_dataset() picks among them and splits what they return.

#include "train/data/dataset.h"

namespace ew::train {

/// What a file or folder holds, before validation rows are taken from it.
struct Parts {
  SourcePtr train;       ///< everything, if `test` is null
  SourcePtr validation;  ///< null if there is none of its own
  SourcePtr test;        ///< null if there is none of its own
  /// Samples that near to each other share values (windows over one table), so that parts are cut
  /// in order, with so many samples left out between them; 0: samples stand for themselves.
  int64_t overlap = 0;
  std::vector<std::string> class_names;
  Config preprocessing = Config::map();
};

/// The options after '?'.
class SpecOptions {
 public:
  /// "key=value&key=value". Error kInvalidArgument: no value, or a key that stands twice.
  static Result<SpecOptions> parse(std::string_view text);
  /// Error kInvalidArgument if a key is not in `known`; names the nearest.
  Status allow(const std::vector<std::string>& known) const;
  /// The value, or null.
  const std::string* find(std::string_view key) const;

 private:
  std::vector<std::pair<std::string, std::string>> values_;
};

/// A whole decimal number in [low, high]. Error kInvalidArgument names `what`.
Result<int64_t> parse_option_int(std::string_view what, std::string_view text, int64_t low,
                                 int64_t high);

// Errors are those of open_dataset(). Each checks the keys of `spec` itself.
Result<Parts> open_npz(const std::string& path, const SpecOptions& spec,
                       const DatasetOptions& options);
Result<Parts> open_npy_pair(const std::string& x_path, const std::string& y_path,
                            const SpecOptions& spec, const DatasetOptions& options);
Result<Parts> open_idx_folder(const std::string& path, const SpecOptions& spec,
                              const DatasetOptions& options);
Result<Parts> open_csv(const std::string& path, const SpecOptions& spec,
                       const DatasetOptions& options);
Result<Parts> open_image_folder(const std::string& path, const SpecOptions& spec,
                                const DatasetOptions& options);
Result<Parts> open_wav_folder(const std::string& path, const SpecOptions& spec,
                              const DatasetOptions& options);

}  // namespace ew::train
