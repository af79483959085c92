#pragma once
// The queue in front of one sink: order by key, alerts before telemetry, bounded, spilling to disk
// where the app has a state folder.

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/flow.h"
#include "agent/ledger.h"
#include "agent/sink.h"
#include "agent/stream.h"

namespace ew::agent {

enum class QueuePolicy { kReject, kDropOldest, kDropLowest };

struct OutboxOptions {
  std::string app;
  std::string name;
  size_t max_memory_bytes = size_t{4} << 20;
  int64_t max_age_us = 0;  ///< 0: no limit
  QueuePolicy policy = QueuePolicy::kReject;
  /// After so many bytes written to the logs their settled beginning should be given up.
  uint64_t trim_every_bytes = uint64_t{32} << 20;
};

/// The durable side of one lane: what has been delivered, and a log of outputs that wait.
class LaneStore {
 public:
  virtual ~LaneStore() = default;
  virtual uint64_t delivered() const = 0;  ///< all numbers up to this one are settled
  virtual uint64_t sent() const = 0;       ///< numbers up to this one may have been sent
  virtual void set_delivered(uint64_t number) = 0;
  virtual void set_sent(uint64_t number) = 0;
  /// The greatest number in the log; 0 if it is empty.
  virtual uint64_t logged() const = 0;
  /// Whether the number was written to the log, readable or not; false for those between that were
  /// settled without it.
  virtual bool was_logged(uint64_t number) const = 0;
  /// Error kResourceLimit if the log is full.
  virtual Status append(uint64_t number, std::string_view bytes) = 0;
  /// Whether less than an eighth of the log's room is left.
  virtual bool is_nearly_full() const = 0;
  virtual Status flush() = 0;
  /// Calls visit for logged outputs with numbers above `after`, in order, until it returns false.
  virtual Status read(
      uint64_t after,
      const std::function<bool(uint64_t number, std::string_view bytes)>& visit) = 0;
  /// Numbers up to this one are not needed any more.
  virtual void trim(uint64_t through) = 0;
  /// Notes, durably before anything behind it, that outputs were dropped; see dropped(). False
  /// where there is no journal: then only set_delivered() keeps them from coming again.
  virtual bool note_dropped(uint64_t first, uint64_t last, DropReason reason) = 0;
  /// The reason noted for this number before the restart, if any.
  virtual std::optional<DropReason> dropped(uint64_t number) const = 0;
};

class Outbox final : public Consumer, public Outlet {
 public:
  struct Route {
    std::string name;  ///< of the stream or rule
    Priority priority = Priority::kTelemetry;
    uint32_t egress_row = 0;
  };

  Outbox(const OutboxOptions& options, const FlowContext& context, Ledger& ledger);

  /// Finds its ledger rows again, behind Ledger::load().
  void renumber_rows();
  /// The port for take().
  size_t add_route(Route route);
  void attach(Sink* sink) { sink_ = sink; }
  void attach_store(Priority lane, std::unique_ptr<LaneStore> store);

  void take(const Row& row, Fate& fate, size_t port) override;

  void delivered(uint64_t ticket) override;
  void refused(uint64_t ticket, std::string_view why) override;
  void reset() override;
  void ready() override { pump(); }
  void set_state(LinkState state, std::string_view detail) override;

  /// For apps that store no input: while the sink is away, outputs go to the log at once.
  void store_while_away(bool is_wanted) { stores_while_away_ = is_wanted; }
  /// While what was stored before is processed again nothing is sent.
  void set_replaying(bool is_replaying) { is_replaying_ = is_replaying; }
  /// Behind load() and before the replay.
  Status prepare_replay();
  /// Behind the replay: settles what the log knows to have been delivered, and tells the covers of
  /// what still waits. Without `is_counting` the ledger has counted everything already.
  Status recover(bool is_counting, const std::function<void(const CoverSet&)>& held);
  /// Outputs that are counted as waiting, but are nowhere, are dropped with this reason.
  void settle_unheld(DropReason reason);
  /// Sends what the sink takes now.
  void pump();
  void flush() {
    if (sink_ != nullptr) sink_->flush();
  }
  void hurry() {
    if (sink_ != nullptr) sink_->hurry();
  }
  /// From here on nothing more is handed to the sink.
  void hold() { is_held_ = true; }
  /// Outputs whose answer the sink owes.
  size_t in_flight() const { return lanes_[0].in_flight + lanes_[1].in_flight; }
  /// Drops what is too old.
  void expire();
  /// Writes everything that waits to the log. Error: as LaneStore::append.
  Status store_all();
  /// Behind a snapshot: of the log is given up what was settled at the snapshot before.
  void trim();
  /// Without snapshots: what is settled is given up.
  void trim_settled();

  bool is_behind() const { return memory_bytes_ > options_.max_memory_bytes / 2 && !can_spill(); }
  /// Outputs that wait, in memory and in the log.
  uint64_t queued() const;
  /// Age of the oldest waiting output in microseconds; 0 if none waits.
  int64_t oldest_age_us() const;
  LinkState state() const { return state_; }
  const std::string& state_detail() const { return state_detail_; }
  const OutboxOptions& options() const { return options_; }

  std::function<void(const Outbox&, LinkState, std::string_view)> on_state;
  std::function<void()> on_settled;  ///< room has become free
  // What becomes of single outputs; empty: nobody asks.
  std::function<void(uint64_t ticket, const std::string& route)> on_queued;
  /// The receiver has it; its input came at this time.
  std::function<void(uint64_t ticket, int64_t queued_us)> on_delivered;
  std::function<void(uint64_t ticket)> on_dropped;  ///< while it was in memory
  /// Valid until the next call.
  std::function<std::string_view(uint64_t ticket)> trace_parent_of;
  std::function<void()> need_trim;  ///< the log should give up what is settled: see trim()

  void save(ByteWriter& out) const;
  bool load(ByteReader& in);

 private:
  struct Entry {
    uint64_t number = 0;
    int64_t time_us = 0;
    int64_t queued_us = 0;
    std::string route = {};
    uint32_t egress_row = 0;
    std::string key = {};
    std::string topic = {};
    std::string payload = {};
    CoverSet cover = {};
    bool is_done = false;
    bool is_noted = false;  ///< the journal says that it was dropped
    bool was_sent = false;

    size_t bytes() const { return sizeof(Entry) + key.size() + topic.size() + payload.size(); }
  };
  struct Range {
    uint64_t first = 0;
    uint64_t last = 0;
  };
  struct Lane {
    Priority priority = Priority::kTelemetry;
    uint64_t next_number = 1;
    uint64_t settled = 0;          ///< greatest number settled in order
    std::vector<Range> ahead;      ///< settled and counted too, behind one that is not
    uint64_t resent_through = 0;   ///< numbers that may have been sent before the restart
    std::deque<Entry> entries;     ///< a beginning of what waits
    size_t in_flight = 0;          ///< the first entries, handed to the sink
    uint64_t waiting_in_log = 0;   ///< outputs that are in the log only
    uint64_t dropped_through = 0;  ///< of the log: given up since the start
    bool is_trim_due = false;      ///< for what was given up
    uint64_t trim_through = 0;     ///< settled at the last snapshot
    uint64_t snapshot_settled = 0;
    uint64_t snapshot_next = 1;
    uint64_t logged_before = 0;  ///< greatest number in the log before the replay
    std::unique_ptr<LaneStore> store;

    bool is_ahead(uint64_t number) const;
    void note_ahead(uint64_t first, uint64_t last);
    void settle_through(uint64_t number);
  };

  bool can_spill() const;
  bool is_stored_at_once() const {
    if (!stores_while_away_ || is_replaying_) return false;
    // Some sinks say that they are connected once they have sent something.
    if (state_ == LinkState::kConnecting) return sink_ == nullptr || !sink_->ready();
    return state_ != LinkState::kConnected;
  }
  std::string_view trace_parent(uint64_t ticket) const {
    return trace_parent_of ? trace_parent_of(ticket) : std::string_view();
  }
  Lane& lane_of(uint64_t ticket) { return lanes_[ticket >> 63]; }
  SendResult offer(Lane& lane, const Entry& entry);
  SendResult offer_direct(Lane& lane, const Row& row, const Route& route, uint64_t number);
  void enqueue(Lane& lane, Entry entry);
  /// So many bytes more are in the logs.
  void note_logged(size_t bytes);
  bool make_room(Lane& lane, size_t bytes);
  void drop_entry(Lane& lane, size_t index, DropReason reason);
  void settle(const Lane& lane, const Entry& entry);
  void count_delivered(const CoverSet& cover, uint32_t egress_row, size_t bytes);
  void count_dropped(const CoverSet& cover, DropReason reason);
  void pop_done(Lane& lane);
  void finish(Lane& lane, Entry& entry);
  void refill(Lane& lane);
  Status spill(Lane& lane);
  void drop_from_log(Lane& lane);
  void encode(const Entry& entry);
  bool decode(std::string_view bytes, Entry& entry);

  OutboxOptions options_;
  FlowContext context_;
  Ledger& ledger_;
  uint32_t sink_row_;
  uint32_t removed_row_;
  Sink* sink_ = nullptr;
  std::vector<Route> routes_;
  std::array<Lane, kPriorityCount> lanes_;
  size_t memory_bytes_ = 0;
  uint64_t untrimmed_bytes_ = 0;  ///< written to the logs since need_trim()
  bool is_replaying_ = false;
  bool is_pumping_ = false;
  bool is_held_ = false;
  bool stores_while_away_ = false;
  LinkState state_ = LinkState::kConnecting;
  std::string state_detail_;
  std::string id_;
  size_t id_prefix_;
  ByteWriter encoded_;
};

}  // namespace ew::agent
