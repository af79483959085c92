#pragma once
// A durable log: records in order, each with a number that never comes again. What is committed
// survives the end of the process at any point, and a loss of power; damage is found, reported and
// contained. docs/formats/log.md specifies the files, docs/design/0021-host.md says why it is so.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "host/bytes.h"
#include "host/file_system.h"
#include "host/secret_key.h"

namespace ew::host {

/// Numbers first..last, both included.
struct SequenceRange {
  uint64_t first = 0;
  uint64_t last = 0;

  uint64_t count() const { return last - first + 1; }
  bool operator==(const SequenceRange&) const = default;
};

struct LogOptions {
  std::string directory{};
  /// On disk and in memory together; append() refuses beyond.
  uint64_t max_bytes = uint64_t{256} << 20;
  uint64_t segment_bytes = uint64_t{8} << 20;
  /// Waiting for the disk; also bounds one record. At most 48 MiB.
  size_t max_pending_bytes = size_t{8} << 20;
  /// zstd's level for each batch; 0 stores them plain.
  int compression_level = 0;
  std::optional<SecretKey> key{};
  /// Numbers begin at least here. Give the one behind the last that was committed, if that is known
  /// from elsewhere (a CursorFile): then not even a lost file makes a number come again, and damage
  /// at the end is told from a write that power cut short.
  uint64_t minimum_next_sequence = 1;
  /// Between attempts after the disk refused.
  std::chrono::milliseconds retry_delay{200};
  /// The system's clock; without one, the real one.
  std::function<int64_t()> system_clock_ms{};
  /// How callbacks reach the owner's thread (EventLoop::post). Without it they run on the log's
  /// own thread.
  std::function<void(std::function<void()>)> post{};
  /// All records up to this number are durable. Only the newest number is told.
  std::function<void(uint64_t sequence)> on_committed{};
  /// The disk refused; the log keeps trying while it lives.
  std::function<void(const Error&)> on_error{};
};

/// What open() found.
struct LogRecovery {
  /// Committed records that are damaged or gone.
  std::vector<SequenceRange> lost;
  /// Records of the last batch that are incomplete: by all likelihood power went before their
  /// commit, and nobody was told that they are safe.
  std::vector<SequenceRange> torn;
  uint64_t skipped_bytes = 0;
  /// One line for each finding, with file and offset.
  std::vector<std::string> findings;
};

struct LogStats {
  uint64_t first_sequence = 0;      ///< oldest record still kept; next_sequence if there is none
  uint64_t committed_sequence = 0;  ///< 0: none yet
  uint64_t next_sequence = 1;       ///< what append() gives next
  uint64_t bytes = 0;               ///< on disk and pending
  uint64_t pending_bytes = 0;
  int64_t oldest_time_ms = 0;  ///< of the oldest kept segment's first record; 0 if there is none
  size_t segments = 0;
  uint64_t commits = 0;
};

/// Where a reader stands; an empty one is always right, a kept one saves looking for the place.
struct LogPosition {
  uint64_t sequence = 0;
  uint64_t segment = 0;
  uint64_t offset = 0;
};

struct LogReadResult {
  uint64_t next_sequence = 0;  ///< where to go on
  uint64_t records = 0;
  std::vector<SequenceRange> lost;  ///< in the range that was passed over
};

/// append(), trim_before(), stats() and read() may be called from any thread.
class DurableLog {
 public:
  /// Opens or creates the log and repairs what a crash left. Errors: kIo, kResourceLimit (disk);
  /// kInvalidArgument for a wrong or missing key, or a folder in use; kInvalidData if the files
  /// belong to several logs.
  static Result<std::unique_ptr<DurableLog>> open(FileSystem& files, LogOptions options);
  /// Commits what is pending if the disk lets it.
  ~DurableLog();
  DurableLog(const DurableLog&) = delete;
  DurableLog& operator=(const DurableLog&) = delete;

  const LogRecovery& recovery() const;

  /// Copies the parts as one record into memory and returns its number; never waits for the disk.
  /// It is durable once on_committed says so; until then the number may come again after a crash,
  /// so nobody else may be told of it. Error kResourceLimit beyond max_bytes or max_pending_bytes:
  /// nothing was taken, and what to give up is the caller's choice.
  Result<uint64_t> append(std::span<const Bytes> parts);
  Result<uint64_t> append(Bytes record) { return append(std::span(&record, 1)); }

  /// Waits until all that was appended is committed. The error is the disk's last.
  Status flush();

  /// Calls visit(sequence, time_ms, record) for committed records from `from` on, until it returns
  /// false (that record counts as read) or `max_bytes` were read. time_ms is the batch's.
  using Visitor = std::function<bool(uint64_t sequence, int64_t time_ms, Bytes record)>;
  Result<LogReadResult> read(uint64_t from, const Visitor& visit, LogPosition* position = nullptr,
                             size_t max_bytes = SIZE_MAX) const;

  /// Gives up records before `sequence`. Space comes back by whole segments.
  void trim_before(uint64_t sequence);

  LogStats stats() const;

 private:
  struct State;
  explicit DurableLog(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ew::host
