#include "train/data/folder_source.h"

#include <algorithm>
#include <mutex>

#include "base/file.h"
#include "base/rng.h"
#include "train/data/sources.h"

namespace ew::train {
namespace {

constexpr uint64_t kFileStream = 0x66696c6573;  // "files"

bool has_suffix(const std::string& name, std::initializer_list<std::string_view> suffixes) {
  const std::string suffix = file_suffix(name);
  return std::find(suffixes.begin(), suffixes.end(), suffix) != suffixes.end();
}

Result<std::vector<std::string>> list_folders(const std::string& path) {
  EW_TRY(std::vector<std::string> names, list_directory(path));
  std::erase_if(names, [&](const std::string& name) {
    return name.starts_with('.') || !is_directory(str(path, "/", name));
  });
  return names;
}

std::string first_of(const std::vector<std::string>& names,
                     std::initializer_list<std::string_view> wanted) {
  for (const std::string_view word : wanted) {
    if (std::find(names.begin(), names.end(), word) != names.end()) return std::string(word);
  }
  return "";
}

// Files of one part; classes that are not yet in `names` are added or refused.
Result<std::vector<ClassFile>> list_part(const std::string& path,
                                         const std::vector<std::string>& suffixes, uint64_t seed,
                                         bool adds_classes, std::vector<std::string>& names) {
  EW_TRY(const auto folders, list_folders(path));
  if (adds_classes) names = folders;
  std::vector<ClassFile> files;
  for (const std::string& folder : folders) {
    const auto found = std::find(names.begin(), names.end(), folder);
    if (found == names.end()) {
      return invalid_data(path, "/", folder, ": class '", folder, "' is not in the train part (",
                          join(names, ", "), ")");
    }
    EW_TRY(const auto entries, list_directory(str(path, "/", folder)));
    for (const std::string& entry : entries) {
      if (entry.starts_with('.')) continue;
      if (std::find(suffixes.begin(), suffixes.end(), file_suffix(entry)) == suffixes.end()) {
        continue;
      }
      files.push_back(
          {str(path, "/", folder, "/", entry), static_cast<int32_t>(found - names.begin())});
    }
  }
  const auto order =
      Rng(counter_hash(seed, kFileStream, 0)).permutation(static_cast<int64_t>(files.size()));
  std::vector<ClassFile> shuffled;
  shuffled.reserve(files.size());
  for (const int64_t i : order) shuffled.push_back(std::move(files[static_cast<size_t>(i)]));
  return shuffled;
}

class FolderSource final : public DataSource {
 public:
  FolderSource(std::vector<ClassFile> files, FileDecoder decoder, bool keep)
      : files_(std::move(files)), decoder_(std::move(decoder)), kept_(keep ? files_.size() : 0) {
    x_types_.push_back({DType::kF32, decoder_.sample, nullptr});
    y_types_.push_back({DType::kI32, Shape{}, nullptr});
    elements_ = decoder_.sample.num_elements();
  }

  int64_t size() const override { return static_cast<int64_t>(files_.size()); }
  const std::vector<SampleType>& x_types() const override { return x_types_; }
  const std::vector<SampleType>& y_types() const override { return y_types_; }
  bool x_always_finite() const override { return true; }

  Status read(std::span<const int64_t> rows, Split& out, bool targets_only) const override {
    EW_TRY_VOID(check_rows(rows, size()));
    const auto count = static_cast<int64_t>(rows.size());
    out.weights = Tensor();
    out.y.resize(1);
    auto* labels = static_cast<int32_t*>(prepare_tensor(out.y[0], DType::kI32, Shape{count}));
    for (const int64_t row : rows) *labels++ = files_[static_cast<size_t>(row)].label;
    out.x.resize(targets_only ? 0 : 1);
    if (targets_only) return {};
    auto* to = static_cast<float*>(
        prepare_tensor(out.x[0], DType::kF32, batch_shape(count, decoder_.sample)));
    std::vector<uint8_t> stored;
    for (const int64_t row : rows) {
      EW_TRY_VOID(load(static_cast<size_t>(row), stored));
      convert_elements(decoder_.stored, stored.data(), DType::kF32, to, elements_);
      to += elements_;
    }
    return {};
  }

 private:
  Status load(size_t row, std::vector<uint8_t>& stored) const {
    if (!kept_.empty()) {
      const std::lock_guard lock(mutex_);
      stored = kept_[row];
      if (!stored.empty()) return {};
    }
    stored.resize(static_cast<size_t>(elements_) * dtype_size(decoder_.stored));
    EW_TRY_VOID(decoder_.decode(files_[row].path, stored.data()));
    if (!kept_.empty()) {
      const std::lock_guard lock(mutex_);
      kept_[row] = stored;
    }
    return {};
  }

  std::vector<ClassFile> files_;
  FileDecoder decoder_;
  int64_t elements_ = 0;
  std::vector<SampleType> x_types_;
  std::vector<SampleType> y_types_;
  mutable std::mutex mutex_;
  mutable std::vector<std::vector<uint8_t>> kept_;  // empty: not decoded yet; guarded by mutex_
};

}  // namespace

Result<FolderKind> find_folder_kind(const std::string& path) {
  EW_TRY(auto folders, list_folders(path));
  const std::string train = first_of(folders, {"train"});
  std::string base = path;
  if (!train.empty()) {
    base = str(path, "/", train);
    EW_TRY(folders, list_folders(base));
  }
  for (const std::string& folder : folders) {
    EW_TRY(const auto names, list_directory(str(base, "/", folder)));
    for (const std::string& name : names) {
      if (has_suffix(name, {".jpg", ".jpeg", ".png"})) return FolderKind::kImages;
      if (has_suffix(name, {".wav"})) return FolderKind::kSounds;
    }
  }
  return FolderKind::kNone;
}

std::vector<const ClassFile*> ClassFolders::all() const {
  std::vector<const ClassFile*> out;
  for (const auto* part : {&train, &validation, &test}) {
    for (const ClassFile& file : *part) out.push_back(&file);
  }
  return out;
}

Result<ClassFolders> list_class_folders(const std::string& path,
                                        const std::vector<std::string>& suffixes, uint64_t seed) {
  EW_TRY(const auto folders, list_folders(path));
  ClassFolders out;
  const bool in_parts = first_of(folders, {"train"}) == "train";
  const std::string base = in_parts ? str(path, "/train") : path;
  EW_TRY(out.train, list_part(base, suffixes, seed, true, out.class_names));
  if (in_parts) {
    const std::string validation = first_of(folders, {"validation", "val"});
    const std::string test = first_of(folders, {"test"});
    out.has_validation = !validation.empty();
    out.has_test = !test.empty();
    if (out.has_validation) {
      EW_TRY(out.validation,
             list_part(str(path, "/", validation), suffixes, seed, false, out.class_names));
    }
    if (out.has_test) {
      EW_TRY(out.test, list_part(str(path, "/", test), suffixes, seed, false, out.class_names));
    }
  }
  if (out.train.empty()) {
    return invalid_data(base, ": no files ending in ", join(suffixes, ", "),
                        " in any of its folders");
  }
  return out;
}

Parts folder_parts(ClassFolders folders, const FileDecoder& decoder, int64_t memory_bytes) {
  const int64_t file_bytes =
      decoder.sample.num_elements() * static_cast<int64_t>(dtype_size(decoder.stored));
  const bool keep = file_bytes <= memory_bytes / static_cast<int64_t>(folders.all().size());
  const auto source = [&](std::vector<ClassFile>& files) {
    return std::make_shared<FolderSource>(std::move(files), decoder, keep);
  };
  Parts parts;
  parts.train = source(folders.train);
  if (folders.has_validation) parts.validation = source(folders.validation);
  if (folders.has_test) parts.test = source(folders.test);
  parts.class_names = std::move(folders.class_names);
  return parts;
}

}  // namespace ew::train
