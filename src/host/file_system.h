#pragma once
// Files as an argument, so that tests can make them fail, tear and forget.

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "host/bytes.h"

namespace ew::host {

/// An open file. append, truncate and sync_data are for one thread at a time; pread is for any.
/// Errors: kIo with the path and the system's reason (kResourceLimit where the disk is full).
class File {
 public:
  virtual ~File() = default;
  /// Writes the parts behind each other at the end. After an error any prefix may be there.
  virtual Status append(std::span<const Bytes> parts) = 0;
  /// Reads at `offset`; fewer bytes than asked for only at the end of the file.
  virtual Result<size_t> pread(uint64_t offset, MutableBytes out) const = 0;
  /// Makes content and size survive a loss of power (fdatasync).
  virtual Status sync_data() = 0;
  virtual Status truncate(uint64_t size) = 0;
  virtual Result<uint64_t> size() const = 0;
};

/// Held while it lives; given up by the system when the process ends, however it ends.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class OpenMode {
  kRead,       ///< must exist
  kReadWrite,  ///< must exist
  kCreate,     ///< created, or emptied if it exists; needs sync_directory to survive
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  /// Errors: kNotFound, kIo, kResourceLimit.
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  /// Not an error if there is no such file.
  virtual Status remove(const std::string& path) = 0;
  /// The file or folder with all that is in it; links are removed, not followed. Not an error if
  /// there is none. After an error a part may be gone.
  virtual Status remove_tree(const std::string& path) = 0;
  /// Makes created, renamed and removed names survive a loss of power.
  virtual Status sync_directory(const std::string& path) = 0;
  /// With missing parents; not an error if it exists.
  virtual Status make_directory(const std::string& path) = 0;
  /// Names (not paths), sorted.
  virtual Result<std::vector<std::string>> list(const std::string& path) = 0;
  /// Error kIo if another process, or another part of this one, holds the lock on `path`.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
};

/// The system's own files.
FileSystem& real_file_system();

/// Writes aside, syncs, renames and syncs the folder: after a crash the old or the new content is
/// there, never a mixture.
Status replace_file(FileSystem& files, const std::string& path, Bytes content);

/// All bytes of a file. Errors: kNotFound; kIo; kResourceLimit above `max_bytes`.
Result<std::vector<uint8_t>> read_whole_file(FileSystem& files, const std::string& path,
                                             uint64_t max_bytes);

}  // namespace ew::host
