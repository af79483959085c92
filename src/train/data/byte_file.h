#pragma once
// Bytes for the readers: files read at any offset, and inflated files.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace ew::train {

/// A file read at any offset, without a cursor: safe from several threads. pread and not mmap, so
/// that a file cut short while we read is an error and no signal.
class ByteFile {
 public:
  /// Error kNotFound, kIo, or kInvalidArgument for a folder.
  static Result<ByteFile> open(const std::string& path);
  /// A file in memory; `path` is for messages.
  static ByteFile from_bytes(std::string path, std::vector<uint8_t> bytes);
  ByteFile(ByteFile&& other) noexcept;
  ByteFile& operator=(ByteFile&& other) noexcept;
  ~ByteFile();

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }
  /// Fills `out` from `offset`. Error kInvalidData if the file ends before.
  Status read(int64_t offset, std::span<uint8_t> out) const;

 private:
  ByteFile() = default;
  std::string path_;
  int fd_ = -1;  ///< -1: `bytes_` is the file
  int64_t size_ = 0;
  std::vector<uint8_t> bytes_;
};

bool is_gzip(std::span<const uint8_t> bytes);

/// The contents of a gzip file (one or more members), at most `max_bytes` of them.
/// Errors: kInvalidData if it is damaged or cut short; kResourceLimit. Messages begin with `path`.
Result<std::vector<uint8_t>> gunzip(const std::string& path, std::span<const uint8_t> bytes,
                                    int64_t max_bytes);

/// read_file(), inflated if it begins as gzip does.
Result<std::vector<uint8_t>> read_maybe_gzip(const std::string& path, int64_t max_bytes);

}  // namespace ew::train
