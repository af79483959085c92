#pragma once
// Writes HDF5 files the way h5py with libver='earliest' does: superblock 0, old-style groups,
// contiguous datasets, variable-length UTF-8 strings, no time stamps (equal trees, equal bytes).

#include <cstdint>
#include <string>
#include <vector>

#include "formats/h5_tree.h"

namespace ew::formats {

struct H5WriteOptions {
  /// 1 to 9: store datasets shuffled and deflated (as one chunk) where that makes the file smaller;
  /// 0: store all as they are. Keras and h5py read either.
  int gzip_level = 0;
  /// Datasets below this many bytes are never compressed.
  int64_t min_compress_bytes = 4096;
};

/// Builds the file in memory (twice its size for a moment), writes aside, syncs and renames.
/// Errors: kInvalidArgument for a tree that HDF5 cannot hold (names that are empty, "." or contain
/// '/'; the same name twice; bytes that do not fit the shape; an attribute above 64 KB: Keras
/// splits such lists, see its layer_names0, layer_names1, …); kIo. Thread-safe.
Status write_h5(const std::string& path, const H5Group& root, const H5WriteOptions& options = {});

/// The file's bytes.
Result<std::vector<uint8_t>> write_h5_bytes(const H5Group& root,
                                            const H5WriteOptions& options = {});

}  // namespace ew::formats
