#pragma once
// Reads HDF5 files of any origin. libhdf5 does not withstand hostile files, so it runs in a child
// process with limits on memory and time and without files; the child sends the content over a
// pipe, and every length is checked again on this side. A child that crashes is an error.

#include <cstdint>
#include <span>
#include <string>

#include "formats/h5_tree.h"

namespace ew::formats {

struct H5ReadLimits {
  int64_t max_file_bytes = int64_t{1} << 32;
  /// Limit on everything decoded. A small file gets less: 64 MiB + 300 times its size, as filters
  /// can blow up a few bytes into anything.
  int64_t max_content_bytes = int64_t{1} << 32;
  int64_t max_objects = 1'000'000;  ///< groups, datasets, attributes and strings together
  int cpu_seconds = 30;             ///< of the child
  int wall_seconds = 300;           ///< from the start to the last byte
};

/// The whole content of a file. Read: superblocks 0 to 3; compact, contiguous and chunked datasets;
/// gzip, shuffle, fletcher32, szip and LZF; integers, float16/32/64, bfloat16 and h5py's bool in
/// either byte order; fixed- and variable-length strings. Attributes of other types are left out.
/// External files, external and soft links, and virtual datasets are refused. Thread-safe.
/// Errors: kNotFound, kIo; kInvalidData (no HDF5 file, or damaged), kUnsupported (a type or feature
/// that no model uses), kResourceLimit; all begin with the path.
Result<H5Group> read_h5(const std::string& path, const H5ReadLimits& limits = {});

/// The same from memory; `name` stands for the path in messages.
Result<H5Group> read_h5(std::span<const uint8_t> bytes, const std::string& name,
                        const H5ReadLimits& limits = {});

}  // namespace ew::formats
