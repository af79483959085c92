#pragma once
// A message as it came in.

#include <cstdint>
#include <limits>
#include <string_view>

namespace ew::agent {

/// "No such time": the transport does not know when the message was made.
constexpr int64_t kNoTime = std::numeric_limits<int64_t>::min();

/// One message as a source received it. Views hold only during the call that passes the record:
/// whoever keeps it copies it. Times are microseconds since 1970 (system clock).
struct RawRecord {
  int64_t arrival_us = 0;
  int64_t event_time_us = kNoTime;  ///< by the transport or the file; the app file may name a field
  std::string_view topic = {};      ///< MQTT topic, file name or HTTP path; may be empty
  std::string_view key = {};        ///< by the transport; empty: the app file's `key:` decides
  std::string_view payload = {};
  /// Names the request that brought it, if its sender may repeat it; else empty.
  std::string_view request = {};
  std::string_view trace_parent = {};  ///< the sender's `traceparent` (W3C Trace Context), if any
  uint64_t ack_token = 0;  ///< given back to Source::acknowledge once stored; 0: nothing to do
  uint64_t position = 0;   ///< where a source that can seek goes on behind this record (> 0)
};

/// Why an input or an output did not get through. The names stand in the ledger and in metrics.
enum class DropReason : uint8_t {
  kFiltered,      ///< no stream or rule sends it on
  kMalformed,     ///< the payload is not what `format:` says
  kDuplicateKey,  ///< a name that is used stands twice in one JSON object
  kTooLarge,      ///< above the source's `max_payload`
  kKeyLimit,      ///< more keys than `max_keys`
  kUndefined,     ///< a filter's value is missing or not a number
  kLate,          ///< its window has been closed
  kDuplicate,     ///< the same record came before
  kQueueFull,     ///< a bounded queue was full
  kExpired,       ///< older than the queue's `max_age`
  kOverload,      ///< came faster than it can be processed
  kRefused,       ///< the receiver refused it for good
  kDisk,          ///< it could not be stored
  kReconfigured,  ///< waited in a stream that the app file no longer has
  kCrash,         ///< was in memory only when the process was killed
  kNoSource,      ///< recorded from a source that the app file no longer has
};
constexpr size_t kDropReasonCount = 16;
const char* to_string(DropReason reason);

/// Which outputs go first while a sink catches up.
enum class Priority : uint8_t { kAlert = 0, kTelemetry = 1 };
constexpr size_t kPriorityCount = 2;

}  // namespace ew::agent
