#pragma once
// The durable side of one lane of a sink's queue, in files.

#include <functional>
#include <memory>
#include <string>

#include "agent/journal.h"
#include "agent/log_line.h"
#include "agent/outbox.h"
#include "host/cursor_file.h"
#include "host/durable_log.h"

namespace ew::agent {

struct LaneStoreOptions {
  std::string folder;  ///< of the state
  std::string sink;
  Priority lane = Priority::kTelemetry;
  uint64_t max_disk_bytes = uint64_t{256} << 20;
  std::optional<host::SecretKey> key;
  std::vector<DroppedRange> dropped;  ///< before the restart
  /// Writes a note that outputs were dropped to the journal; empty where there is none.
  std::function<void(uint64_t first, uint64_t last, DropReason reason)> note_dropped;
  LogTo log = read_by_nobody;  ///< takes what was found damaged
};

/// Opens what is there; the log itself is made when something must wait for the first time.
Result<std::unique_ptr<LaneStore>> open_lane_store(host::FileSystem& files,
                                                   LaneStoreOptions options);

}  // namespace ew::agent
