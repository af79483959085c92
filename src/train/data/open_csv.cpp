// Tables. The file is read once when it is opened: every row is checked then, so that a damaged
// line is named at once and not after an epoch.
#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "train/data/csv.h"
#include "train/data/formats.h"
#include "train/data/sources.h"

namespace ew::train {
namespace {

constexpr size_t kMaxColumns = 1 << 20;
constexpr size_t kMaxClasses = 65536;

struct Layout {
  char separator = ',';
  std::vector<std::string> columns;
  std::optional<size_t> label;  ///< none: a table without targets
  std::vector<bool> is_feature;
  int64_t window = 0;  ///< rows of one sample; 0: each row is one
  int64_t step = 1;    ///< rows between the starts of two windows

  size_t features() const {
    return static_cast<size_t>(std::count(is_feature.begin(), is_feature.end(), true));
  }
};

// The features of one record; `line` is for messages.
Status parse_features(const Layout& layout, const std::vector<std::string>& fields, int64_t line,
                      const std::string& path, float* out) {
  if (fields.size() != layout.columns.size()) {
    return invalid_data(path, ":", line, ": expected ", layout.columns.size(), " fields, found ",
                        fields.size());
  }
  for (size_t i = 0; i < fields.size(); ++i) {
    if (!layout.is_feature[i]) continue;
    double value = 0;
    if (!parse_csv_number(fields[i], value) || std::abs(value) > 3.4028234e38) {
      return invalid_data(
          path, ":", line, ": column '", layout.columns[i], "': expected a number, found '",
          fields[i].substr(0, 40),
          fields[i].empty() ? "'; fill in the missing value or remove the row" : "'");
    }
    *out++ = static_cast<float>(value);
  }
  return {};
}

// Rows of a table that is larger than the memory it may have.
class CsvRowsSource final : public DataSource {
 public:
  struct Place {
    int64_t offset;
    int64_t bytes;
  };
  CsvRowsSource(ByteFile file, Layout layout, std::vector<Place> places, std::vector<Tensor> y)
      : file_(std::move(file)),
        layout_(std::move(layout)),
        places_(std::move(places)),
        y_(std::move(y)) {
    x_types_.push_back({DType::kF32, Shape{static_cast<int64_t>(layout_.features())}, nullptr});
    for (const Tensor& t : y_) y_types_.push_back({t.dtype(), Shape{}, nullptr});
  }

  int64_t size() const override { return static_cast<int64_t>(places_.size()); }
  const std::vector<SampleType>& x_types() const override { return x_types_; }
  const std::vector<SampleType>& y_types() const override { return y_types_; }
  bool x_always_finite() const override { return true; }

  Status read(std::span<const int64_t> rows, Split& out, bool targets_only) const override {
    EW_TRY_VOID(check_rows(rows, size()));
    out.weights = Tensor();
    read_targets(y_, rows, out);
    out.x.resize(targets_only ? 0 : 1);
    if (targets_only) return {};
    auto* to = static_cast<float*>(prepare_tensor(
        out.x[0], DType::kF32, batch_shape(static_cast<int64_t>(rows.size()), x_types_[0].shape)));
    std::vector<uint8_t> bytes;
    std::vector<std::string> fields;
    for (const int64_t row : rows) {
      const Place place = places_[static_cast<size_t>(row)];
      bytes.resize(static_cast<size_t>(place.bytes));
      EW_TRY_VOID(file_.read(place.offset, bytes));
      const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      auto status = parse_csv_record(text, layout_.separator, fields);
      if (!status.ok()) return at(str(file_.path(), ": row ", row), status.error());
      EW_TRY_VOID(parse_features(layout_, fields, row, file_.path(), to));
      to += layout_.features();
    }
    return {};
  }

 private:
  ByteFile file_;
  Layout layout_;
  std::vector<Place> places_;
  std::vector<Tensor> y_;
  std::vector<SampleType> x_types_;
  std::vector<SampleType> y_types_;
};

// Labels of all rows: numbers until a word is met, then words from the beginning.
class Labels {
 public:
  explicit Labels(bool are_words) : are_words_(are_words) {}

  /// False if a word stands where numbers were expected.
  Result<bool> add(const std::string& text) {
    if (!are_words_) {
      double value = 0;
      if (!parse_csv_number(text, value)) return false;
      numbers_.push_back(value);
      return true;
    }
    if (text.empty()) return invalid_data("the label is empty");
    const auto [entry, is_new] = ids_.try_emplace(text, static_cast<int32_t>(ids_.size()));
    if (ids_.size() > kMaxClasses) {
      return invalid_data("more than ", kMaxClasses, " different words: not a label");
    }
    words_.push_back(entry->second);
    return true;
  }

  /// i32 labels or f32 values, and the names of classes if they are words.
  Tensor finish(std::vector<std::string>& class_names) const {
    if (are_words_) return finish_words(class_names);
    const auto is_label = [](double v) { return v == std::floor(v) && std::abs(v) < 0x1p31; };
    const auto count = static_cast<int64_t>(numbers_.size());
    const bool are_labels = std::all_of(numbers_.begin(), numbers_.end(), is_label);
    Tensor out(are_labels ? DType::kI32 : DType::kF32, Shape{count});
    convert_elements(DType::kF64, numbers_.data(), out.dtype(), out.mutable_data(), count);
    return out;
  }

 private:
  Tensor finish_words(std::vector<std::string>& class_names) const {
    class_names.clear();
    for (const auto& [word, id] : ids_) class_names.push_back(word);
    std::sort(class_names.begin(), class_names.end());
    std::vector<int32_t> rank(ids_.size());
    for (size_t i = 0; i < class_names.size(); ++i) {
      rank[static_cast<size_t>(ids_.at(class_names[i]))] = static_cast<int32_t>(i);
    }
    std::vector<int32_t> labels;
    for (const int32_t id : words_) labels.push_back(rank[static_cast<size_t>(id)]);
    return Tensor::from<int32_t>(labels, Shape{static_cast<int64_t>(labels.size())});
  }

  bool are_words_;
  std::vector<double> numbers_;
  std::vector<int32_t> words_;
  std::unordered_map<std::string, int32_t> ids_;
};

struct Scan {
  std::vector<float> features;  ///< of all rows, unless `is_large`
  bool is_large = false;
  std::vector<CsvRowsSource::Place> places;
  Labels labels;
  bool found_word = false;  ///< stopped: scan again with words
};

Result<Scan> scan_rows(const ByteFile& file, const Layout& layout, bool words,
                       int64_t memory_bytes) {
  Scan scan{{}, false, {}, Labels(words), false};
  CsvReader reader(file, layout.separator);
  CsvRecord record;
  std::vector<float> row(layout.features());
  EW_TRY(bool more, reader.next(record));  // the header
  while (true) {
    EW_TRY(more, reader.next(record));
    if (!more) break;
    EW_TRY_VOID(parse_features(layout, record.fields, record.line, file.path(), row.data()));
    if (layout.label) {
      auto added = scan.labels.add(record.fields[*layout.label]);
      if (!added.ok()) {
        return at(
            str(file.path(), ":", record.line, ": column '", layout.columns[*layout.label], "'"),
            added.error());
      }
      scan.found_word = !*added;
      if (scan.found_word) return scan;
    }
    scan.places.push_back({record.offset, record.bytes});
    if (scan.is_large) continue;
    scan.features.insert(scan.features.end(), row.begin(), row.end());
    if (static_cast<int64_t>(scan.features.size() * sizeof(float)) > memory_bytes) {
      scan.is_large = true;
      scan.features = {};
    }
  }
  return scan;
}

// Which columns are features: `columns=a,b`, or all but the label.
Status choose_columns(const std::string& path, const SpecOptions& spec, Layout& layout) {
  layout.is_feature.assign(layout.columns.size(), true);
  if (const std::string* wanted = spec.find("columns")) {
    layout.is_feature.assign(layout.columns.size(), false);
    for (const std::string& name : split(*wanted, ',')) {
      const auto found = std::find(layout.columns.begin(), layout.columns.end(), name);
      if (found == layout.columns.end()) {
        const std::string near = nearest_word(name, layout.columns);
        return invalid_argument(path, ": no column '", name, "'",
                                near.empty() ? str("; columns: ", join(layout.columns, ", "))
                                             : str("; did you mean '", near, "'?"));
      }
      layout.is_feature[static_cast<size_t>(found - layout.columns.begin())] = true;
    }
  }
  if (layout.label) layout.is_feature[*layout.label] = false;
  return {};
}

Status read_window(const SpecOptions& spec, Layout& layout) {
  constexpr int64_t kMaxWindow = 1 << 24;
  if (const std::string* text = spec.find("window")) {
    EW_TRY(layout.window, parse_option_int("data option window", *text, 1, kMaxWindow));
  }
  if (const std::string* text = spec.find("step")) {
    if (layout.window == 0) return invalid_argument("data option step: expected window=ROWS too");
    EW_TRY(layout.step, parse_option_int("data option step", *text, 1, kMaxWindow));
  }
  return {};
}

Result<Layout> read_layout(const ByteFile& file, const SpecOptions& spec) {
  EW_TRY_VOID(spec.allow({"label", "separator", "columns", "window", "step"}));
  Layout layout;
  if (const std::string* text = spec.find("separator")) {
    if (*text == "tab") {
      layout.separator = '\t';
    } else if (text->size() == 1 && *text != "\"" && *text != "\n") {
      layout.separator = (*text)[0];
    } else {
      return invalid_argument("data option separator: expected one character or 'tab', found '",
                              *text, "'");
    }
  }
  CsvRecord header;
  CsvReader reader(file, layout.separator);
  EW_TRY(const bool has_header, reader.next(header));
  if (!has_header) return invalid_data(file.path(), ": is empty, expected a line of column names");
  layout.columns = header.fields;
  double ignored = 0;
  if (std::all_of(layout.columns.begin(), layout.columns.end(),
                  [&](const auto& c) { return parse_csv_number(c, ignored); })) {
    return invalid_data(file.path(), ":", header.line,
                        ": expected a line of column names, found numbers only; add the names");
  }
  if (layout.columns.size() > kMaxColumns) {
    return make_error(ErrorCode::kResourceLimit, file.path(), ": ", layout.columns.size(),
                      " columns, above the limit of ", kMaxColumns);
  }
  layout.label = layout.columns.size() - 1;
  const std::string* wanted = spec.find("label");
  if (wanted != nullptr) {
    const auto found = std::find(layout.columns.begin(), layout.columns.end(), *wanted);
    if (found != layout.columns.end()) {
      layout.label = static_cast<size_t>(found - layout.columns.begin());
    } else if (*wanted == "none") {
      layout.label.reset();
    } else {
      const std::string near = nearest_word(*wanted, layout.columns);
      return invalid_argument(file.path(), ": no column '", *wanted, "'",
                              near.empty() ? str("; columns: ", join(layout.columns, ", "))
                                           : str("; did you mean '", near, "'?"));
    }
  }
  EW_TRY_VOID(choose_columns(file.path(), spec, layout));
  EW_TRY_VOID(read_window(spec, layout));
  if (layout.features() == 0) {
    return invalid_data(file.path(),
                        ": expected columns beside the label; is the separator right? "
                        "(?separator=; or ?separator=tab)");
  }
  return layout;
}

Result<ByteFile> open_maybe_gzip(const std::string& path, int64_t max_bytes) {
  EW_TRY(ByteFile file, ByteFile::open(path));
  uint8_t magic[2] = {};
  if (file.size() >= 2) EW_TRY_VOID(file.read(0, magic));
  if (!is_gzip(magic)) return file;
  EW_TRY(std::vector<uint8_t> bytes, read_maybe_gzip(path, max_bytes));
  return ByteFile::from_bytes(path, std::move(bytes));
}

// Rows [i * step, i * step + window) of the table as samples of [window], or [window, features] for
// several features; a window's label is that of its last row.
Status cut_windows(const Layout& layout, Split& table) {
  const int64_t rows = table.x[0].shape()[0];
  const auto width = static_cast<int64_t>(layout.features());
  if (rows < layout.window) {
    return invalid_data("expected ", layout.window, " rows for one window, found ", rows);
  }
  const int64_t count = (rows - layout.window) / layout.step + 1;
  Shape shape{count, layout.window};
  if (width > 1) shape = Shape{count, layout.window, width};
  const auto sample = static_cast<size_t>(layout.window * width);
  if (sample * static_cast<size_t>(count) > size_t{1} << 30) {
    return make_error(ErrorCode::kResourceLimit, count, " windows of ", sample,
                      " values are above the limit of 2^30 values; raise step");
  }
  Tensor windows(DType::kF32, shape);
  const std::span<const float> from = table.x[0].values<float>();
  auto* to = static_cast<float*>(windows.mutable_data());
  std::vector<int64_t> last(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const auto begin = static_cast<size_t>(i * layout.step * width);
    to = std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(begin), sample, to);
    last[static_cast<size_t>(i)] = i * layout.step + layout.window - 1;
  }
  table.x[0] = std::move(windows);
  const std::vector<Tensor> labels = std::move(table.y);
  read_targets(labels, last, table);
  return {};
}

}  // namespace

Result<Parts> open_csv(const std::string& path, const SpecOptions& spec,
                       const DatasetOptions& options) {
  EW_TRY(ByteFile file, open_maybe_gzip(path, options.max_bytes));
  EW_TRY(Layout layout, read_layout(file, spec));
  EW_TRY(Scan scan, scan_rows(file, layout, false, options.memory_bytes));
  if (scan.found_word) {
    EW_TRY(scan, scan_rows(file, layout, true, options.memory_bytes));
  }
  Parts parts;
  std::vector<Tensor> y;
  if (layout.label) y.push_back(scan.labels.finish(parts.class_names));
  Config columns = Config::list();
  for (size_t i = 0; i < layout.columns.size(); ++i) {
    if (layout.is_feature[i]) columns.push_back(layout.columns[i]);
  }
  parts.preprocessing.set("kind", "table");
  parts.preprocessing.set("columns", std::move(columns));
  if (scan.is_large && layout.window > 0) {
    return make_error(ErrorCode::kResourceLimit, path, ": windows need the table in memory, ",
                      options.memory_bytes, " bytes; cut the file into parts");
  }
  if (scan.is_large) {
    parts.train = std::make_shared<CsvRowsSource>(std::move(file), std::move(layout),
                                                  std::move(scan.places), std::move(y));
    return parts;
  }
  Split split;
  split.x.push_back(Tensor::from<float>(
      scan.features,
      Shape{static_cast<int64_t>(scan.places.size()), static_cast<int64_t>(layout.features())}));
  split.y = std::move(y);
  if (layout.window > 0) {
    if (const Status status = cut_windows(layout, split); !status.ok()) {
      return at(path, status.error());
    }
    parts.overlap = (layout.window - 1) / layout.step;
    parts.preprocessing.set("window", layout.window);
  }
  EW_TRY(parts.train, array_source(std::move(split)));
  return parts;
}

}  // namespace ew::train
