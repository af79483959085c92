#pragma once
// Read-only bytes of a file that are mapped, not read: pages that nobody looks at cost no memory.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace ew {

/// The mapping lives as long as the object. A file that is written to or cut while it is mapped
/// changes under its readers (or ends the process), so files are replaced by renaming, as
/// write_file_atomic() does. Thread-safe.
class MappedFile {
 public:
  /// Bytes [offset, offset + length) of a file, to its end without a length. Bytes that would not
  /// lie at a multiple of 64 are read instead. Errors: kNotFound, kIo; kInvalidArgument for a
  /// folder or a part outside the file.
  static Result<std::shared_ptr<const MappedFile>> open(
      const std::string& path, uint64_t offset = 0, std::optional<uint64_t> length = std::nullopt);
  /// A copy of bytes in memory.
  static std::shared_ptr<const MappedFile> copy_of(std::span<const uint8_t> bytes);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  /// Aligned to 64.
  std::span<const uint8_t> bytes() const { return bytes_; }

  /// CRC-32C of a part inside bytes(), which is read piece by piece, so that none of its pages
  /// becomes resident. Error kIo.
  Result<uint32_t> checksum(uint64_t begin, uint64_t length) const;

 private:
  MappedFile() = default;

  std::span<const uint8_t> bytes_;
  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  std::vector<uint8_t> copy_;
  int descriptor_ = -1;
  uint64_t offset_ = 0;
};

}  // namespace ew
