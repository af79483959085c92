// Finds out what a specification names, and takes validation and test rows where there are none.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "base/file.h"
#include "base/rng.h"
#include "train/data/folder_source.h"
#include "train/data/formats.h"

namespace ew::train {

Result<SpecOptions> SpecOptions::parse(std::string_view text) {
  SpecOptions options;
  if (text.empty()) return options;
  for (const std::string& item : split(text, '&')) {
    const size_t equals = item.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == item.size()) {
      return invalid_argument("data option '", item, "': expected key=value");
    }
    const std::string key = item.substr(0, equals);
    if (options.find(key) != nullptr) {
      return invalid_argument("data option '", key, "' is given twice");
    }
    options.values_.emplace_back(key, item.substr(equals + 1));
  }
  return options;
}

Status SpecOptions::allow(const std::vector<std::string>& known) const {
  std::vector<std::string> all = known;
  all.emplace_back("target");
  for (const auto& [key, value] : values_) {
    if (std::find(all.begin(), all.end(), key) != all.end()) continue;
    const std::string near = nearest_word(key, all);
    return invalid_argument(
        "data option '", key, "' is unknown here",
        near.empty() ? str("; known: ", join(all, ", ")) : str("; did you mean '", near, "'?"));
  }
  return {};
}

const std::string* SpecOptions::find(std::string_view key) const {
  for (const auto& [name, value] : values_) {
    if (name == key) return &value;
  }
  return nullptr;
}

Result<int64_t> parse_option_int(std::string_view what, std::string_view text, int64_t low,
                                 int64_t high) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < low || value > high) {
    return invalid_argument(what, ": expected a whole number from ", low, " to ", high, ", found '",
                            text, "'");
  }
  return value;
}

namespace {

constexpr uint64_t kSplitStream = 0x73706c6974;  // "split"

// x is also y; for autoencoders.
class InputAsTargetSource final : public DataSource {
 public:
  explicit InputAsTargetSource(SourcePtr source) : source_(std::move(source)) {}
  int64_t size() const override { return source_->size(); }
  const std::vector<SampleType>& x_types() const override { return source_->x_types(); }
  const std::vector<SampleType>& y_types() const override { return source_->x_types(); }
  bool has_weights() const override { return source_->has_weights(); }
  bool x_always_finite() const override { return source_->x_always_finite(); }
  Status read(std::span<const int64_t> rows, Split& out, bool targets_only) const override {
    out.y.clear();  // shares the storage of out.x, which must be free to be written again
    EW_TRY_VOID(source_->read(rows, out));
    out.y = out.x;
    if (targets_only) out.x.clear();
    return {};
  }

 private:
  SourcePtr source_;
};

Result<Parts> open_folder(const std::string& path, const SpecOptions& spec,
                          const DatasetOptions& options) {
  EW_TRY(const auto names, list_directory(path));
  if (std::any_of(names.begin(), names.end(),
                  [](const auto& n) { return n.find("train-images") != std::string::npos; })) {
    return open_idx_folder(path, spec, options);
  }
  EW_TRY(const FolderKind kind, find_folder_kind(path));
  if (kind == FolderKind::kImages) return open_image_folder(path, spec, options);
  if (kind == FolderKind::kSounds) return open_wav_folder(path, spec, options);
  return invalid_data(path,
                      ": expected IDX files (train-images-...), or one folder per class with JPEG, "
                      "PNG or WAV files; found none of them");
}

Result<Parts> open_parts(const std::string& path, const SpecOptions& spec,
                         const DatasetOptions& options) {
  if (const size_t comma = path.find(','); comma != std::string::npos && !file_exists(path)) {
    const std::string x = path.substr(0, comma);
    const std::string y = path.substr(comma + 1);
    if (file_suffix(x) != ".npy" || file_suffix(y) != ".npy") {
      return invalid_argument(path, ": expected a pair X.npy,Y.npy");
    }
    return open_npy_pair(x, y, spec, options);
  }
  if (is_directory(path)) return open_folder(path, spec, options);
  const std::string suffix = file_suffix(path);
  if (suffix == ".npz") return open_npz(path, spec, options);
  if (suffix == ".npy") return open_npy_pair(path, "", spec, options);
  if (suffix == ".csv" ||
      (suffix == ".gz" && file_suffix(path.substr(0, path.size() - 3)) == ".csv"))
    return open_csv(path, spec, options);
  if (!file_exists(path)) return make_error(ErrorCode::kNotFound, path, ": no such file or folder");
  return unsupported(path,
                     ": expected .npz, .npy, .csv, .csv.gz, a folder of IDX files, or a folder of "
                     "images or WAV files by class");
}

std::vector<int64_t> range(int64_t begin, int64_t end) {
  std::vector<int64_t> rows(static_cast<size_t>(end - begin));
  std::iota(rows.begin(), rows.end(), begin);
  return rows;
}

SourcePtr take(const SourcePtr& source, const std::vector<int64_t>& order, int64_t begin,
               int64_t end) {
  return subset(source, {order.begin() + begin, order.begin() + end});
}

// The last rows of train, in the order of the file (Keras' validation_split).
Status split_validation(Parts& parts, double fraction) {
  const int64_t n = parts.train->size();
  const auto kept = static_cast<int64_t>(std::floor(static_cast<double>(n) * (1 - fraction)));
  if (kept < 1) {
    return invalid_argument("validation split ", fraction, " of ", n,
                            " rows leaves none for training");
  }
  const SourcePtr all = parts.train;
  parts.train = subset(all, range(0, kept));
  parts.validation = subset(all, range(kept, n));
  return {};
}

// The last tenth is the test part, and the validation part stands before it; shuffled, unless
// samples share values.
Status split_all(Parts& parts, double fraction, uint64_t seed) {
  const SourcePtr all = parts.train;
  const int64_t n = all->size();
  const int64_t test = n / 10;
  const int64_t validation =
      parts.validation ? 0 : static_cast<int64_t>(std::floor(static_cast<double>(n) * fraction));
  const int64_t train = n - test - validation;
  if (train < 1) {
    return invalid_argument("validation split ", fraction, " and a test part of ", test, " of ", n,
                            " rows leave none for training");
  }
  const int64_t gap = parts.overlap;
  if (train <= gap || (validation > 0 && validation <= gap) || (test == 0 && gap > 0)) {
    return invalid_argument(n,
                            " windows are too few for three parts that share no row; expected "
                            "more than ",
                            10 * gap);
  }
  const auto order =
      gap > 0 ? range(0, n) : Rng(counter_hash(seed, kSplitStream, 0)).permutation(n);
  parts.train = take(all, order, 0, train - gap);
  if (!parts.validation) {
    parts.validation = take(all, order, train, train + std::max<int64_t>(validation - gap, 0));
  }
  parts.test = take(all, order, train + validation, n);
  return {};
}

Status check_alike(const DataSource& train, const DataSource& other, const char* name) {
  if (other.x_types() != train.x_types()) {
    return invalid_data("inputs of the ", name, " part are ", other.x_types(), ", of train ",
                        train.x_types());
  }
  if (other.y_types() != train.y_types()) {
    return invalid_data("targets of the ", name, " part are ", other.y_types(), ", of train ",
                        train.y_types());
  }
  return {};
}

Result<Parts> open_and_split(const std::string& path, const SpecOptions& spec,
                             const DatasetOptions& options) {
  EW_TRY(Parts parts, open_parts(path, spec, options));
  const auto fail = [&](const Status& status) { return at(path, status.error()); };
  if (parts.train->size() == 0) return invalid_data(path, ": the data set has no rows");
  if (const std::string* target = spec.find("target")) {
    if (*target != "input") {
      return invalid_argument("data option target: expected 'input', found '", *target, "'");
    }
    for (SourcePtr* part : {&parts.train, &parts.validation, &parts.test}) {
      if (*part) *part = std::make_shared<InputAsTargetSource>(*part);
    }
    parts.class_names.clear();
  }
  const double fraction = options.validation_split;
  if (!parts.test) {
    if (auto s = split_all(parts, fraction, options.seed); !s.ok()) return fail(s);
  } else if (!parts.validation) {
    if (auto s = split_validation(parts, fraction); !s.ok()) return fail(s);
  }
  if (auto s = check_alike(*parts.train, *parts.validation, "validation"); !s.ok()) return fail(s);
  if (auto s = check_alike(*parts.train, *parts.test, "test"); !s.ok()) return fail(s);
  return parts;
}

}  // namespace

Result<Dataset> open_dataset(const std::string& spec, const DatasetOptions& options) {
  if (!(options.validation_split >= 0 && options.validation_split < 1)) {
    return invalid_argument("validation split: expected a number in [0, 1), found ",
                            options.validation_split);
  }
  if (!std::isfinite(options.scale) || options.scale == 0) {
    return invalid_argument("scale: expected a number other than 0, found ", options.scale);
  }
  const size_t mark = file_exists(spec) ? std::string::npos : spec.rfind('?');
  const std::string path = spec.substr(0, mark);
  EW_TRY(const SpecOptions spec_options,
         SpecOptions::parse(mark == std::string::npos ? "" : spec.substr(mark + 1)));
  EW_TRY(Parts parts, open_and_split(path, spec_options, options));
  if (options.scale != 1) parts.preprocessing.set("scale", options.scale);
  return Dataset{std::move(parts.train), std::move(parts.validation), std::move(parts.test),
                 std::move(parts.class_names), std::move(parts.preprocessing)};
}

}  // namespace ew::train
