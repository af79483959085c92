#pragma once
// Runs a function in a forked child with limits, for libraries that hostile input can crash.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/result.h"

namespace ew::formats {

struct ChildLimits {
  int64_t memory_bytes;  ///< of address space, beyond what the parent has
  int cpu_seconds;
  int wall_seconds;  ///< until the last byte is received
};

/// A child whose only way out is a pipe to its parent: it has no files, no descriptors but the
/// pipe, and cannot open any, fork, write files or dump core. (Builds with AddressSanitizer cannot
/// limit memory.) The destructor ends it.
class LimitedChild {
 public:
  /// What the child does: `descriptor` is the pipe. Must not return to the caller's state: when it
  /// returns, the child exits. Locks held by other threads of the parent stay held in the child, so
  /// it may use only what no other thread can be using.
  using Body = std::function<void(int descriptor)>;

  /// Errors: kIo if the system refuses a pipe or a process.
  static Result<LimitedChild> start(const ChildLimits& limits, const Body& body);

  LimitedChild(LimitedChild&& other) noexcept;
  LimitedChild& operator=(LimitedChild&&) = delete;
  ~LimitedChild();

  /// Receives exactly target.size() bytes. Errors: kIo when the child has closed the pipe,
  /// kResourceLimit when the time is over.
  Status receive(std::span<uint8_t> target);
  /// Ends the child. "" if it had closed the pipe and exited with status 0, else how it stopped:
  /// "stopped by signal 11 (Segmentation fault)".
  std::string finish();

 private:
  LimitedChild(pid_t pid, int pipe, int wall_seconds);

  pid_t pid_;
  int pipe_;
  int wall_seconds_;
  int64_t deadline_ms_;
  std::string buffer_;
  size_t used_ = 0;      // of the buffer
  bool closed_ = false;  // by the child
};

}  // namespace ew::formats
