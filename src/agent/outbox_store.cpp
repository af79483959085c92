// The durable half of the queue: spilling, refilling, recovery.
#include <algorithm>
#include <utility>

#include "agent/outbox.h"

namespace ew::agent {

void Outbox::encode(const Entry& entry) {
  encoded_.clear();
  encoded_.put(entry.time_us);
  encoded_.put(entry.queued_us);
  encoded_.put(static_cast<uint8_t>(entry.was_sent));
  encoded_.put_text(entry.route);
  encoded_.put_text(entry.key);
  encoded_.put_text(entry.topic);
  encoded_.put_text(entry.payload);
  entry.cover.save(encoded_);
}

bool Outbox::decode(std::string_view bytes, Entry& entry) {
  ByteReader in(bytes);
  entry.time_us = in.get<int64_t>();
  entry.queued_us = in.get<int64_t>();
  entry.was_sent = in.get_flag();
  entry.route = std::string(in.get_text());
  entry.key = std::string(in.get_text());
  entry.topic = std::string(in.get_text());
  entry.payload = std::string(in.get_text());
  entry.cover.load(in);
  // What a route sent that the app file no longer has still counts.
  entry.egress_row = removed_row_;
  for (const Route& route : routes_) {
    if (route.name == entry.route) entry.egress_row = route.egress_row;
  }
  return in.ok();
}

bool Outbox::Lane::is_ahead(uint64_t number) const {
  return std::ranges::any_of(
      ahead, [&](const Range& range) { return number >= range.first && number <= range.last; });
}

void Outbox::Lane::note_ahead(uint64_t first, uint64_t last) {
  if (!ahead.empty() && ahead.back().last + 1 == first) {
    ahead.back().last = last;
  } else {
    ahead.push_back({first, last});
  }
}

void Outbox::Lane::settle_through(uint64_t number) {
  settled = number;
  if (ahead.empty()) return;
  std::erase_if(ahead, [&](const Range& range) { return range.last <= settled; });
}

/// Those that are done go to the log too, so that what it leaves out is settled in order.
Status Outbox::spill(Lane& lane) {
  const uint64_t logged = lane.store->logged();
  for (const Entry& entry : lane.entries) {
    if (entry.number <= logged) continue;
    encode(entry);
    EW_TRY_VOID(lane.store->append(entry.number, encoded_.bytes()));
  }
  return {};
}

Status Outbox::store_all() {
  for (Lane& lane : lanes_) {
    if (!lane.store) continue;
    // With outputs that are in the log only, those in memory are in it already.
    if (lane.waiting_in_log == 0) EW_TRY_VOID(spill(lane));
    if (lane.store->logged() > 0) EW_TRY_VOID(lane.store->flush());
  }
  return {};
}

void Outbox::trim() {
  for (Lane& lane : lanes_) {
    if (!lane.store) continue;
    lane.store->trim(std::exchange(lane.trim_through, lane.settled));
    lane.is_trim_due = lane.is_trim_due && lane.trim_through < lane.dropped_through;
  }
}

void Outbox::trim_settled() {
  for (Lane& lane : lanes_) {
    if (lane.store) lane.store->trim(lane.settled);
    lane.is_trim_due = false;
  }
}

void Outbox::refill(Lane& lane) {
  const uint64_t after = std::max(lane.dropped_through,
                                  lane.entries.empty() ? lane.settled : lane.entries.back().number);
  const size_t limit = options_.max_memory_bytes / 2;
  const Status read = lane.store->read(after, [&](uint64_t number, std::string_view bytes) {
    Entry entry{.number = number};
    if (lane.is_ahead(number) || lane.store->dropped(number) || !decode(bytes, entry)) return true;
    --lane.waiting_in_log;
    memory_bytes_ += entry.bytes();
    lane.entries.push_back(std::move(entry));
    return memory_bytes_ < limit && lane.waiting_in_log > 0;
  });
  // What cannot be read any more is damaged; the log has counted it.
  if (!read.ok() || (lane.in_flight == lane.entries.size() && lane.waiting_in_log > 0)) {
    ledger_.drop(sink_row_, lane.waiting_in_log, DropReason::kDisk);
    lane.waiting_in_log = 0;
  }
}

/// An eighth at a time, because each time snapshots must be written before room comes back.
void Outbox::drop_from_log(Lane& lane) {
  const uint64_t wanted = std::max<uint64_t>(1, (lane.entries.size() + lane.waiting_in_log) / 8);
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t dropped = 0;
  while (dropped < wanted) {
    if (lane.in_flight == lane.entries.size()) refill(lane);
    if (lane.in_flight == lane.entries.size()) break;
    const auto at = lane.entries.begin() + static_cast<std::ptrdiff_t>(lane.in_flight);
    if (first == 0) first = at->number;
    last = lane.dropped_through = at->number;  // where the next refill goes on
    count_dropped(at->cover, DropReason::kQueueFull);
    memory_bytes_ -= at->bytes();
    lane.entries.erase(at);
    ++dropped;
  }
  if (dropped == 0) return;
  lane.is_trim_due = true;
  const bool is_noted = lane.store->note_dropped(first, last, DropReason::kQueueFull);
  if (lane.in_flight == 0) {
    lane.settle_through(last);
    // A note may be lost in a crash, and then they are none that were delivered.
    if (!is_noted) lane.store->set_delivered(last);
  } else {
    lane.note_ahead(first, last);
  }
  if (need_trim) need_trim();
}

Status Outbox::prepare_replay() {
  for (Lane& lane : lanes_) {
    if (!lane.store) continue;
    lane.snapshot_settled = lane.trim_through = lane.settled;
    lane.snapshot_next = lane.next_number;
    lane.logged_before = lane.store->logged();
    const uint64_t after = std::max(lane.settled, lane.store->delivered());
    EW_TRY_VOID(lane.store->read(after, [&](uint64_t number, std::string_view) {
      if (!lane.is_ahead(number) && !lane.store->dropped(number)) ++lane.waiting_in_log;
      return true;
    }));
  }
  return {};
}

Status Outbox::recover(bool is_counting, const std::function<void(const CoverSet&)>& held) {
  for (Lane& lane : lanes_) {
    if (!lane.store) continue;
    EW_TRY_VOID(
        lane.store->read(lane.snapshot_settled, [&](uint64_t number, std::string_view bytes) {
          Entry entry{.number = number};
          if (lane.is_ahead(number) || !decode(bytes, entry)) return true;
          // Outputs made behind the snapshot were not counted by the replay, unless it wrote them.
          const bool is_new = number >= lane.snapshot_next && number <= lane.logged_before;
          if (is_counting && is_new) ledger_.accept(sink_row_);
          if (const auto reason = lane.store->dropped(number)) {
            count_dropped(entry.cover, *reason);
          } else if (number <= lane.store->delivered()) {
            if (is_counting) settle(lane, entry);
          } else if (lane.entries.empty() || number < lane.entries.front().number ||
                     number > lane.entries.back().number) {
            held(entry.cover);
          }
          return true;
        }));
    lane.settle_through(std::max(lane.settled, lane.store->delivered()));
    // Numbers never come twice, also where the journal lost records or there is none.
    lane.next_number = std::max({lane.next_number, lane.store->delivered() + 1,
                                 lane.store->sent() + 1, lane.store->logged() + 1});
    for (const Entry& entry : lane.entries) held(entry.cover);
  }
  return {};
}

void Outbox::settle_unheld(DropReason reason) {
  const LedgerRow& row = ledger_.at(sink_row_);
  if (row.queued() > queued()) ledger_.drop(sink_row_, row.queued() - queued(), reason);
}

void Outbox::save(ByteWriter& out) const {
  for (const Lane& lane : lanes_) {
    out.put(lane.next_number);
    out.put(lane.settled);
    out.put(static_cast<uint32_t>(lane.ahead.size()));
    for (const Range& range : lane.ahead) {
      out.put(range.first);
      out.put(range.last);
    }
  }
}

bool Outbox::load(ByteReader& in) {
  for (Lane& lane : lanes_) {
    lane.next_number = in.get<uint64_t>();
    lane.settled = in.get<uint64_t>();
    lane.ahead.resize(in.get_count(16));
    for (Range& range : lane.ahead) {
      range.first = in.get<uint64_t>();
      range.last = in.get<uint64_t>();
    }
  }
  return in.ok();
}

}  // namespace ew::agent
