#include "agent/outbox.h"

#include <algorithm>
#include <charconv>

namespace ew::agent {
namespace {

constexpr uint64_t kTelemetryBit = uint64_t{1} << 63;

uint64_t ticket_of(Priority lane, uint64_t number) {
  return number | (lane == Priority::kTelemetry ? kTelemetryBit : 0);
}

}  // namespace

Outbox::Outbox(const OutboxOptions& options, const FlowContext& context, Ledger& ledger)
    : options_(options),
      context_(context),
      ledger_(ledger),
      sink_row_(ledger.row(LedgerKind::kSink, options.name, "")),
      removed_row_(ledger.row(LedgerKind::kEgress, "(removed)", options.name)),
      id_(options.app + "/" + options.name + "/"),
      id_prefix_(id_.size()) {
  lanes_[0].priority = Priority::kAlert;
  lanes_[1].priority = Priority::kTelemetry;
}

size_t Outbox::add_route(Route route) {
  route.egress_row = ledger_.row(LedgerKind::kEgress, route.name, options_.name);
  routes_.push_back(std::move(route));
  return routes_.size() - 1;
}

void Outbox::attach_store(Priority lane, std::unique_ptr<LaneStore> store) {
  Lane& target = lanes_[static_cast<size_t>(lane)];
  target.store = std::move(store);
  target.resent_through = target.store->sent();
}

void Outbox::renumber_rows() {
  sink_row_ = ledger_.row(LedgerKind::kSink, options_.name, "");
  removed_row_ = ledger_.row(LedgerKind::kEgress, "(removed)", options_.name);
  for (Route& route : routes_) {
    route.egress_row = ledger_.row(LedgerKind::kEgress, route.name, options_.name);
  }
}

bool Outbox::can_spill() const { return lanes_[0].store != nullptr; }

void Outbox::count_delivered(const CoverSet& cover, uint32_t egress_row, size_t bytes) {
  ledger_.deliver(sink_row_, 1);
  ledger_.accept(egress_row);
  ledger_.deliver(egress_row, bytes);
  cover.for_each([&](const CoverSet::Item& item) { ledger_.deliver(item.row, item.count); });
}

void Outbox::count_dropped(const CoverSet& cover, DropReason reason) {
  ledger_.drop(sink_row_, 1, reason);
  context_.drop(cover, reason);
}

void Outbox::take(const Row& row, Fate& fate, size_t port) {
  const Route& route = routes_[port];
  Lane& lane = lanes_[static_cast<size_t>(route.priority)];
  const uint64_t number = lane.next_number++;
  ledger_.accept(sink_row_);
  const std::string_view payload = row.raw;
  CoverSet cover = fate.claim();
  if (is_replaying_ && lane.store != nullptr) {
    // The log has it, and is settled on its own.
    if (lane.store->was_logged(number)) {
      ledger_.take_back(sink_row_);
      return;
    }
    if (const auto reason = lane.store->dropped(number)) return count_dropped(cover, *reason);
    if (number <= lane.store->delivered()) {
      lane.settle_through(number);
      return count_delivered(cover, route.egress_row, payload.size());
    }
    // The log went on without it, so it was dropped; the note with the reason is lost.
    if (number <= lane.store->logged()) return count_dropped(cover, DropReason::kDisk);
  }
  if (on_queued && !is_replaying_) on_queued(ticket_of(lane.priority, number), route.name);
  const bool is_free = lanes_[0].entries.empty() && lanes_[1].entries.empty() &&
                       lanes_[0].waiting_in_log + lanes_[1].waiting_in_log == 0;
  if (is_free && !is_replaying_ && !is_held_ && sink_ != nullptr && !sink_->is_acknowledged() &&
      sink_->ready()) {
    if (offer_direct(lane, row, route, number) == SendResult::kDelivered) {
      lane.settle_through(number);
      if (lane.store) lane.store->set_delivered(number);
      if (on_delivered) on_delivered(ticket_of(lane.priority, number), context_.now_us);
      return count_delivered(cover, route.egress_row, payload.size());
    }
  }
  Entry entry{.number = number,
              .time_us = row.time_us,
              .queued_us = context_.now_us,
              .route = route.name,
              .egress_row = route.egress_row,
              .key = std::string(row.key_text),
              .topic = std::string(row.topic),
              .payload = std::string(payload),
              .cover = std::move(cover)};
  enqueue(lane, std::move(entry));
  if (!is_replaying_) pump();
}

SendResult Outbox::offer_direct(Lane& lane, const Row& row, const Route& route, uint64_t number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number);
  id_.resize(id_prefix_);
  id_ += lane.priority == Priority::kAlert ? "a" : "t";
  id_.append(digits, end.ptr);
  return sink_->send({.ticket = ticket_of(lane.priority, number),
                      .id = id_,
                      .rule = route.name,
                      .key = row.key_text,
                      .topic = row.topic,
                      .payload = row.raw,
                      .event_time_us = row.time_us,
                      .priority = lane.priority,
                      .trace_parent = trace_parent(ticket_of(lane.priority, number))});
}

SendResult Outbox::offer(Lane& lane, const Entry& entry) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, entry.number);
  id_.resize(id_prefix_);
  id_ += lane.priority == Priority::kAlert ? "a" : "t";
  id_.append(digits, end.ptr);
  return sink_->send({.ticket = ticket_of(lane.priority, entry.number),
                      .id = id_,
                      .rule = entry.route,
                      .key = entry.key,
                      .topic = entry.topic,
                      .payload = entry.payload,
                      .event_time_us = entry.time_us,
                      .priority = lane.priority,
                      .is_resent = entry.was_sent || entry.number <= lane.resent_through,
                      .trace_parent = trace_parent(ticket_of(lane.priority, entry.number))});
}

void Outbox::enqueue(Lane& lane, Entry entry) {
  const size_t bytes = entry.bytes();
  const bool is_spilling = lane.waiting_in_log > 0;
  const bool must_store = is_spilling || memory_bytes_ + bytes > options_.max_memory_bytes;
  if (lane.store && (must_store || is_stored_at_once())) {
    Status stored = is_spilling ? Status() : spill(lane);
    // Room comes back only behind the next snapshots; until then what is left must do.
    const bool may_drop = must_store && options_.policy != QueuePolicy::kReject && !is_replaying_;
    if (may_drop && !lane.is_trim_due && lane.store->is_nearly_full()) drop_from_log(lane);
    if (stored.ok()) {
      encode(entry);
      stored = lane.store->append(entry.number, encoded_.bytes());
    }
    if (stored.ok()) {
      ++lane.waiting_in_log;
      return note_logged(bytes);
    }
    if (must_store) {
      lane.store->note_dropped(entry.number, entry.number, DropReason::kQueueFull);
      return count_dropped(entry.cover, DropReason::kQueueFull);
    }
  }
  if (memory_bytes_ + bytes > options_.max_memory_bytes && !make_room(lane, bytes)) {
    return count_dropped(entry.cover, DropReason::kQueueFull);
  }
  memory_bytes_ += bytes;
  lane.entries.push_back(std::move(entry));
}

void Outbox::note_logged(size_t bytes) {
  untrimmed_bytes_ += bytes;
  if (untrimmed_bytes_ < options_.trim_every_bytes) return;
  untrimmed_bytes_ = 0;
  if (need_trim) need_trim();
}

bool Outbox::make_room(Lane& lane, size_t bytes) {
  if (options_.policy == QueuePolicy::kReject) return false;
  // Drop-lowest gives up telemetry first, and alerts only for alerts.
  const bool may_drop_alerts =
      options_.policy == QueuePolicy::kDropOldest || lane.priority == Priority::kAlert;
  for (Lane* victim : {&lanes_[1], &lanes_[0]}) {
    if (victim->priority == Priority::kAlert && !may_drop_alerts) break;
    while (victim->entries.size() > victim->in_flight &&
           memory_bytes_ + bytes > options_.max_memory_bytes) {
      drop_entry(*victim, victim->in_flight, DropReason::kQueueFull);
    }
  }
  return memory_bytes_ + bytes <= options_.max_memory_bytes;
}

void Outbox::drop_entry(Lane& lane, size_t index, DropReason reason) {
  const auto at = lane.entries.begin() + static_cast<std::ptrdiff_t>(index);
  const bool is_noted = lane.store && lane.store->note_dropped(at->number, at->number, reason);
  count_dropped(at->cover, reason);
  if (on_dropped) on_dropped(ticket_of(lane.priority, at->number));
  memory_bytes_ -= at->bytes();
  if (index == 0) {
    lane.settle_through(at->number);
    if (lane.store && !is_noted) lane.store->set_delivered(lane.settled);
  } else {
    lane.note_ahead(at->number, at->number);
  }
  lane.entries.erase(at);
}

void Outbox::pump() {
  if (is_replaying_ || is_held_ || is_pumping_ || sink_ == nullptr) return;
  is_pumping_ = true;
  for (Lane& lane : lanes_) {
    while (sink_->ready()) {
      if (lane.in_flight == lane.entries.size()) {
        if (lane.waiting_in_log == 0) break;
        refill(lane);
        if (lane.in_flight == lane.entries.size()) break;
      }
      Entry& entry = lane.entries[lane.in_flight];
      const SendResult result = offer(lane, entry);
      if (result == SendResult::kBusy) break;
      entry.was_sent = true;
      ++lane.in_flight;
      if (lane.store) lane.store->set_sent(entry.number);
      if (result == SendResult::kDelivered) {
        settle(lane, entry);
        finish(lane, entry);
      }
    }
  }
  is_pumping_ = false;
}

void Outbox::settle(const Lane& lane, const Entry& entry) {
  count_delivered(entry.cover, entry.egress_row, entry.payload.size());
  if (on_delivered) on_delivered(ticket_of(lane.priority, entry.number), entry.queued_us);
}

void Outbox::pop_done(Lane& lane) {
  bool has_popped = false;
  uint64_t delivered = 0;
  while (!lane.entries.empty() && lane.entries.front().is_done) {
    // A note may be lost in a crash, and then it is none that was delivered.
    if (!lane.entries.front().is_noted) delivered = lane.entries.front().number;
    memory_bytes_ -= lane.entries.front().bytes();
    lane.settle_through(lane.entries.front().number);
    lane.entries.pop_front();
    --lane.in_flight;
    has_popped = true;
  }
  if (delivered > 0 && lane.store) lane.store->set_delivered(delivered);
  if (lane.is_trim_due && lane.settled >= lane.dropped_through && need_trim) need_trim();
  if (has_popped && on_settled) on_settled();
}

/// The entry has been counted.
void Outbox::finish(Lane& lane, Entry& entry) {
  entry.is_done = true;
  if (entry.number != lane.entries.front().number) lane.note_ahead(entry.number, entry.number);
  pop_done(lane);
}

void Outbox::delivered(uint64_t ticket) {
  Lane& lane = lane_of(ticket);
  const uint64_t number = ticket & ~kTelemetryBit;
  // Answers mostly come in order.
  const bool is_first = !lane.entries.empty() && lane.entries.front().number == number;
  const auto entry = is_first ? lane.entries.begin()
                              : std::ranges::lower_bound(lane.entries, number, {}, &Entry::number);
  if (entry == lane.entries.end() || entry->number != number || entry->is_done) return;
  settle(lane, *entry);
  finish(lane, *entry);
}

void Outbox::refused(uint64_t ticket, std::string_view /*why*/) {
  Lane& lane = lane_of(ticket);
  const uint64_t number = ticket & ~kTelemetryBit;
  const auto entry = std::ranges::lower_bound(lane.entries, number, {}, &Entry::number);
  if (entry == lane.entries.end() || entry->number != number || entry->is_done) return;
  entry->is_noted = lane.store && lane.store->note_dropped(number, number, DropReason::kRefused);
  count_dropped(entry->cover, DropReason::kRefused);
  if (on_dropped) on_dropped(ticket);
  finish(lane, *entry);
}

void Outbox::reset() {
  for (Lane& lane : lanes_) lane.in_flight = 0;
  for (Lane& lane : lanes_) {
    // Acknowledged ones behind a gap need not go again.
    std::erase_if(lane.entries, [&](const Entry& entry) {
      if (entry.is_done) memory_bytes_ -= entry.bytes();
      return entry.is_done;
    });
  }
}

void Outbox::set_state(LinkState state, std::string_view detail) {
  state_ = state;
  state_detail_ = std::string(detail);
  for (Lane& lane : lanes_) {
    // What does not fit stays in memory.
    if (!lane.store || lane.waiting_in_log > 0 || !is_stored_at_once()) continue;
    [[maybe_unused]] const Status stored = spill(lane);
    note_logged(memory_bytes_);
  }
  if (on_state) on_state(*this, state, detail);
}

void Outbox::expire() {
  if (options_.max_age_us <= 0 || is_replaying_) return;
  for (Lane& lane : lanes_) {
    while (lane.entries.size() > lane.in_flight &&
           context_.now_us - lane.entries[lane.in_flight].queued_us > options_.max_age_us) {
      drop_entry(lane, lane.in_flight, DropReason::kExpired);
    }
  }
}

uint64_t Outbox::queued() const {
  uint64_t count = 0;
  for (const Lane& lane : lanes_) count += lane.entries.size() + lane.waiting_in_log;
  return count;
}

int64_t Outbox::oldest_age_us() const {
  int64_t age = 0;
  for (const Lane& lane : lanes_) {
    if (!lane.entries.empty()) {
      age = std::max(age, context_.now_us - lane.entries.front().queued_us);
    }
  }
  return age;
}

}  // namespace ew::agent
