#pragma once
// Folders with one file per row, one folder per class.

#include <functional>

#include "train/data/formats.h"

namespace ew::train {

enum class FolderKind { kNone, kImages, kSounds };
/// By the suffix of the first file in a folder of a folder that is an image or a sound.
Result<FolderKind> find_folder_kind(const std::string& path);

struct ClassFile {
  std::string path;
  int32_t label = 0;
};

struct ClassFolders {
  std::vector<std::string> class_names;
  /// Shuffled by the seed, because validation rows are taken from the end.
  std::vector<ClassFile> train;  ///< all files, if there is no folder test/
  std::vector<ClassFile> validation;
  std::vector<ClassFile> test;
  bool has_validation = false;
  bool has_test = false;

  std::vector<const ClassFile*> all() const;
};

/// Files whose lower-case suffix is one of `suffixes`, by class; names that begin with '.' and
/// files with other suffixes are passed over. Errors: kNotFound; kInvalidData: no class, no file,
/// or a class of test/ that train/ does not have.
Result<ClassFolders> list_class_folders(const std::string& path,
                                        const std::vector<std::string>& suffixes, uint64_t seed);

/// How a file becomes a row.
struct FileDecoder {
  Shape sample;
  DType stored = DType::kF32;  ///< u8 for pixels, f32 else: what is kept in memory
  /// Fills `out` (sample.num_elements() elements of `stored`). Called from several threads.
  std::function<Status(const std::string& path, void* out)> decode;
};

/// Sources that read files when their rows are asked for, and keep them decoded if all fit in
/// `memory_bytes`.
Parts folder_parts(ClassFolders folders, const FileDecoder& decoder, int64_t memory_bytes);

}  // namespace ew::train
