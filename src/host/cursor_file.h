#pragma once
// A few counters that survive the end of the process at any instant, updated without a system call.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace ew::host {

/// Counters in a small file that is mapped into memory. set() writes the older of two checksummed
/// copies, so kill -9 between any two instructions leaves one that is whole, and the page cache
/// keeps it. Power may take the newest values until sync() returned: never more than was set.
/// For one thread.
class CursorFile {
 public:
  /// At most this many counters.
  static constexpr size_t kMaxCounters = 60;

  /// Opens or creates the file with `count` counters, all 0 at first. A file with fewer counters is
  /// extended. Errors: kIo; kInvalidArgument for a count out of range; kInvalidData if no copy is
  /// whole: what it knew is lost, and the caller must go by its log; remove the file to go on.
  static Result<std::unique_ptr<CursorFile>> open(const std::string& path, size_t count);
  ~CursorFile();
  CursorFile(const CursorFile&) = delete;
  CursorFile& operator=(const CursorFile&) = delete;

  uint64_t get(size_t index) const { return values_[index]; }
  std::span<const uint64_t> values() const { return values_; }
  void set(size_t index, uint64_t value);
  /// All of them at once: after a crash either all or none are new.
  void set_all(std::span<const uint64_t> values);
  /// Waits until the disk has them.
  Status sync();

 private:
  CursorFile(std::string path, uint8_t* map, size_t count);
  void store();

  std::string path_;
  uint8_t* map_;
  uint64_t generation_ = 0;
  std::vector<uint64_t> values_;
};

}  // namespace ew::host
