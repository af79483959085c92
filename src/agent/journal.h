#pragma once
// What goes into a pipeline, as bytes: the journal of a durable app, and recordings. Both are
// durable logs (docs/formats/log.md); docs/formats/journal.md describes the records.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/bytes_io.h"
#include "agent/pipeline.h"
#include "agent/recent_requests.h"
#include "host/durable_log.h"

namespace ew::agent {

enum class JournalKind : uint8_t {
  kSources = 1,  ///< names of the sources, in the order of their numbers from here on
  kRecord = 2,
  kTick = 3,
  kSourceDrop = 4,
  kDropped = 5,  ///< outputs that a full queue gave up
  kFinish = 6,   ///< all sources have ended: windows close
  kShadow = 7,   ///< what was decided about a new model beside an old one
};

void encode_sources(ByteWriter& out, const App& app);
void encode_record(ByteWriter& out, size_t source, const RawRecord& record);
void encode_tick(ByteWriter& out, int64_t now_us);
void encode_source_drop(ByteWriter& out, size_t source, int64_t time_us, std::string_view key,
                        size_t bytes, DropReason reason);
void encode_dropped(ByteWriter& out, std::string_view sink, Priority lane, uint64_t first,
                    uint64_t last, DropReason reason);
void encode_finish(ByteWriter& out, int64_t now_us);
void encode_shadow(ByteWriter& out, std::string_view model, std::string_view new_version,
                   bool is_switched, std::string_view reason);

/// Outputs that were dropped from a queue before a restart.
struct DroppedRange {
  uint64_t first = 0;
  uint64_t last = 0;
  DropReason reason{};
};
using DroppedOutputs = std::map<std::pair<std::string, Priority>, std::vector<DroppedRange>>;

/// Applies records to a pipeline, in order.
class JournalPlayer {
 public:
  JournalPlayer(const App& app, Pipeline& pipeline, Ledger& ledger);
  /// Called before each record with its time; for pacing and virtual clocks.
  std::function<void(int64_t time_us)> before;

  /// Error kInvalidData for a damaged record; it is skipped.
  Status play(std::string_view bytes);
  /// Where a source goes on: behind its last record.
  const std::vector<uint64_t>& positions() const { return positions_; }
  std::vector<uint64_t>& positions() { return positions_; }
  const RecentRequests& requests(size_t source) const { return requests_[source]; }
  /// Sources by the numbers in use; kept in snapshots, because the journal's beginning goes away.
  void save(ByteWriter& out) const;
  bool load(ByteReader& in);

 private:
  void use_sources(std::vector<std::string> names);
  Status play_record(ByteReader& in);

  const App& app_;
  Pipeline& pipeline_;
  Ledger& ledger_;
  std::vector<std::string> names_;  ///< by the journal's numbers
  std::vector<int> numbers_;        ///< the app's number of each, or -1
  std::vector<uint64_t> positions_;
  std::vector<RecentRequests> requests_;
};

/// The dropped outputs that a journal notes from `from` on.
Status read_dropped(host::DurableLog& log, uint64_t from, DroppedOutputs& out);

}  // namespace ew::agent
