// Arrays from .npz, from pairs of .npy, and from IDX folders.
#include <algorithm>

#include "base/file.h"
#include "base/npy.h"
#include "train/data/byte_file.h"
#include "train/data/formats.h"
#include "train/data/idx.h"
#include "train/data/npz.h"
#include "train/data/sources.h"

namespace ew::train {
namespace {

Config array_config(bool is_bytes) {
  Config config = Config::map();
  config.set("kind", "array");
  if (is_bytes) config.set("value_range", 255);
  return config;
}

// "x" + "_train" -> x_train, or x_train_0, x_train_1, ...; empty if there is none.
std::vector<std::string> member_names(const NpzFile& file, const std::string& name) {
  if (file.has(name)) return {name};
  std::vector<std::string> names;
  for (int i = 0; file.has(str(name, "_", i)); ++i) names.push_back(str(name, "_", i));
  return names;
}

// The part called `suffix` ("_train", "_val", "_test" or ""), or a null source if it has no x.
Result<SourcePtr> npz_part(const NpzFile& file, const std::string& suffix, bool needs_y,
                           int64_t max_bytes, bool& is_bytes) {
  Split split;
  for (const std::string& name : member_names(file, "x" + suffix)) {
    EW_TRY(Tensor x, file.read(name, max_bytes));
    split.x.push_back(std::move(x));
  }
  if (split.x.empty()) return SourcePtr();
  is_bytes = split.x[0].dtype() == DType::kU8;
  for (const std::string& name : member_names(file, "y" + suffix)) {
    EW_TRY(Tensor y, file.read(name, max_bytes));
    split.y.push_back(std::move(y));
  }
  if (split.y.empty() && needs_y) {
    return invalid_data("expected y", suffix, " beside x", suffix, ", found ",
                        join(file.names(), ", "));
  }
  if (file.has("w" + suffix)) {
    EW_TRY(split.weights, file.read("w" + suffix, max_bytes));
  }
  return array_source(std::move(split));
}

}  // namespace

Result<Parts> open_npz(const std::string& path, const SpecOptions& spec,
                       const DatasetOptions& options) {
  EW_TRY_VOID(spec.allow({}));
  EW_TRY(const std::unique_ptr<const NpzFile> npz, NpzFile::open(path));
  const NpzFile& file = *npz;
  const std::string train = member_names(file, "x_train").empty() ? "" : "_train";
  if (train.empty() && member_names(file, "x").empty()) {
    return invalid_data(path, ": expected arrays x_train, y_train, x_test, y_test or x, y; found ",
                        file.names().empty() ? "none" : join(file.names(), ", "));
  }
  Parts parts;
  bool is_bytes = false;
  bool ignored = false;
  const auto part = [&](const std::string& suffix, bool needs_y, bool& bytes) {
    auto source = npz_part(file, suffix, needs_y, options.max_bytes, bytes);
    return source.ok() || source.error().message.starts_with(path)
               ? source
               : Result<SourcePtr>(at(path, source.error()));
  };
  EW_TRY(parts.train, part(train, false, is_bytes));
  if (!train.empty()) {
    const bool has_y = !parts.train->y_types().empty();
    EW_TRY(parts.validation, part("_val", has_y, ignored));
    EW_TRY(parts.test, part("_test", has_y, ignored));
  }
  parts.preprocessing = array_config(is_bytes);
  return parts;
}

namespace {

// Rows of an .npy file on disk, with targets in memory.
class NpyRowsSource final : public DataSource {
 public:
  NpyRowsSource(ByteFile file, NpyHeader header, std::vector<Tensor> y)
      : file_(std::move(file)), header_(std::move(header)), y_(std::move(y)) {
    x_types_.push_back({DType::kF32, sample_shape(header_.shape), nullptr});
    for (const Tensor& t : y_) {
      y_types_.push_back({target_dtype(t.dtype()), sample_shape(t.shape()), nullptr});
    }
  }

  int64_t size() const override { return header_.shape[0]; }
  const std::vector<SampleType>& x_types() const override { return x_types_; }
  const std::vector<SampleType>& y_types() const override { return y_types_; }
  bool x_always_finite() const override { return !is_floating(header_.dtype); }

  Status read(std::span<const int64_t> rows, Split& out, bool targets_only) const override {
    EW_TRY_VOID(check_rows(rows, size()));
    out.weights = Tensor();
    read_targets(y_, rows, out);
    out.x.resize(targets_only ? 0 : 1);
    if (targets_only) return {};
    const Shape& sample = x_types_[0].shape;
    const int64_t elements = sample.num_elements();
    auto* to = static_cast<float*>(prepare_tensor(
        out.x[0], DType::kF32, batch_shape(static_cast<int64_t>(rows.size()), sample)));
    std::vector<uint8_t> stored(static_cast<size_t>(elements) * dtype_size(header_.dtype));
    const auto row_bytes = static_cast<int64_t>(stored.size());
    for (const int64_t row : rows) {
      EW_TRY_VOID(file_.read(static_cast<int64_t>(header_.data_offset) + row * row_bytes, stored));
      npy_to_native(header_, stored.data(), elements);
      convert_elements(header_.dtype, stored.data(), DType::kF32, to, elements);
      to += elements;
    }
    return {};
  }

 private:
  ByteFile file_;
  NpyHeader header_;
  std::vector<Tensor> y_;
  std::vector<SampleType> x_types_;
  std::vector<SampleType> y_types_;
};

Result<NpyHeader> read_npy_header(const ByteFile& file) {
  std::vector<uint8_t> head(
      static_cast<size_t>(std::min<int64_t>(file.size(), static_cast<int64_t>(kNpyMaxHeader))));
  EW_TRY_VOID(file.read(0, head));
  auto header = parse_npy_header(head);
  if (!header.ok()) return at(file.path(), header.error());
  const int64_t available = file.size() - static_cast<int64_t>(header->data_offset);
  if (header->data_bytes > available) {
    return invalid_data(file.path(), ": shape ", header->shape, " of ", dtype_name(header->dtype),
                        " needs ", header->data_bytes, " bytes, the file has ", available);
  }
  if (header->shape.rank() == 0) {
    return invalid_data(file.path(), ": expected an array with rows, found a single number");
  }
  return header;
}

Result<Tensor> load_npy(const ByteFile& file, int64_t max_bytes) {
  if (file.size() > max_bytes) {
    return make_error(ErrorCode::kResourceLimit, file.path(), ": ", file.size(),
                      " bytes, above the limit of ", max_bytes);
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(file.size()));
  EW_TRY_VOID(file.read(0, bytes));
  auto array = parse_npy(bytes);
  if (!array.ok()) return at(file.path(), array.error());
  Tensor tensor(array->dtype, array->shape);
  std::copy(array->bytes.begin(), array->bytes.end(), static_cast<uint8_t*>(tensor.mutable_data()));
  return tensor;
}

}  // namespace

Result<Parts> open_npy_pair(const std::string& x_path, const std::string& y_path,
                            const SpecOptions& spec, const DatasetOptions& options) {
  EW_TRY_VOID(spec.allow({}));
  EW_TRY(ByteFile x_file, ByteFile::open(x_path));
  EW_TRY(NpyHeader header, read_npy_header(x_file));
  Split split;
  if (!y_path.empty()) {
    EW_TRY(const ByteFile y_file, ByteFile::open(y_path));
    EW_TRY(const NpyHeader y_header, read_npy_header(y_file));
    if (y_header.shape[0] != header.shape[0]) {
      return invalid_data(y_path, ": has ", y_header.shape[0], " rows, ", x_path, " has ",
                          header.shape[0]);
    }
    EW_TRY(Tensor y, load_npy(y_file, options.max_bytes));
    split.y.push_back(std::move(y));
  }
  Parts parts;
  parts.preprocessing = array_config(header.dtype == DType::kU8);
  const bool by_column = header.fortran_order && header.shape.rank() > 1;
  if (header.data_bytes <= options.memory_bytes || by_column) {
    auto x = load_npy(x_file, options.max_bytes);
    if (!x.ok() && by_column && x.error().code == ErrorCode::kResourceLimit) {
      return at(str(x_path,
                    ": is in Fortran order and cannot be read by rows; save it with "
                    "numpy.ascontiguousarray"),
                x.error());
    }
    if (!x.ok()) return x.error();
    split.x.push_back(std::move(*x));
    EW_TRY(parts.train, array_source(std::move(split)));
    return parts;
  }
  if (auto status = check_shape(sample_shape(header.shape)); !status.ok()) {
    return at(x_path, status.error());
  }
  parts.train =
      std::make_shared<NpyRowsSource>(std::move(x_file), std::move(header), std::move(split.y));
  return parts;
}

namespace {

// The path of the file whose name holds one of `words`, plain before gzip; "" if there is none.
std::string find_file(const std::string& folder, const std::vector<std::string>& names,
                      std::initializer_list<std::string_view> words) {
  for (const bool gzip : {false, true}) {
    for (const std::string& name : names) {
      if (name.ends_with(".gz") != gzip) continue;
      for (const std::string_view word : words) {
        if (name.find(word) != std::string::npos) return str(folder, "/", name);
      }
    }
  }
  return "";
}

Result<SourcePtr> idx_part(const std::string& images, const std::string& labels,
                           const std::string& folder, const char* what, int64_t max_bytes) {
  if (images.empty() || labels.empty()) {
    return invalid_data(folder, ": expected IDX files *", what, "-images* and *", what,
                        "-labels*; ", images.empty() ? "the images are" : "the labels are",
                        " missing");
  }
  Split split;
  EW_TRY(Tensor x, read_idx(images, max_bytes));
  EW_TRY(Tensor y, read_idx(labels, max_bytes));
  split.x.push_back(std::move(x));
  split.y.push_back(std::move(y));
  auto source = array_source(std::move(split));
  if (!source.ok()) return at(str(images, " and ", labels), source.error());
  return source;
}

}  // namespace

Result<Parts> open_idx_folder(const std::string& path, const SpecOptions& spec,
                              const DatasetOptions& options) {
  EW_TRY_VOID(spec.allow({}));
  EW_TRY(const auto names, list_directory(path));
  const auto find = [&](std::initializer_list<std::string_view> words) {
    return find_file(path, names, words);
  };
  Parts parts;
  EW_TRY(parts.train, idx_part(find({"train-images"}), find({"train-labels"}), path, "train",
                               options.max_bytes));
  const std::string images = find({"t10k-images", "test-images"});
  const std::string labels = find({"t10k-labels", "test-labels"});
  if (!images.empty() || !labels.empty()) {
    EW_TRY(parts.test, idx_part(images, labels, path, "t10k", options.max_bytes));
  }
  parts.preprocessing = array_config(parts.train->x_always_finite());
  return parts;
}

}  // namespace ew::train
