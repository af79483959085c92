#pragma once
// The segments of an open log: which files there are, where batches stand in them, and how they
// are found again after a crash.

#include <memory>
#include <string>
#include <vector>

#include "host/durable_log.h"
#include "host/log_format.h"

namespace ew::host {

/// Distance between entries of a segment's index. A reader walks at most this far.
constexpr uint64_t kIndexStepBytes = 64 << 10;

struct IndexEntry {
  uint64_t sequence = 0;
  uint64_t offset = 0;
};

/// One file. `file` is shared with readers, who may still hold it when it is removed.
struct Segment {
  std::string path;
  std::shared_ptr<File> file;
  SegmentHeader header;
  uint64_t end_offset = 0;    ///< behind the last committed batch
  uint64_t end_sequence = 0;  ///< behind the last committed record
  int64_t first_time_ms = 0;
  std::vector<IndexEntry> index;

  /// Notes a committed batch at the end.
  void add_batch(const BatchHeader& batch, uint64_t offset);
};

/// "DIRECTORY/00000000000000000001.log"
std::string segment_path(const std::string& directory, uint64_t first_sequence);

struct RecoveredLog {
  std::vector<Segment> segments;
  StreamId stream{};
  uint64_t next_sequence = 1;
  LogRecovery report;
};

/// Reads all segments of the folder, cuts off a torn end, and syncs what is left. Errors: see
/// DurableLog::open.
Result<RecoveredLog> recover_log(FileSystem& files, const LogOptions& options);

}  // namespace ew::host
