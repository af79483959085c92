#include "agent/journal.h"

#include <algorithm>

namespace ew::agent {
namespace {

void put_kind(ByteWriter& out, JournalKind kind) { out.put(static_cast<uint8_t>(kind)); }

}  // namespace

void encode_sources(ByteWriter& out, const App& app) {
  put_kind(out, JournalKind::kSources);
  out.put(static_cast<uint32_t>(app.sources.size()));
  for (const SourcePlan& source : app.sources) out.put_text(source.name);
}

void encode_record(ByteWriter& out, size_t source, const RawRecord& record) {
  put_kind(out, JournalKind::kRecord);
  out.put(static_cast<uint16_t>(source));
  out.put(record.arrival_us);
  out.put(record.event_time_us);
  out.put(record.position);
  out.put_text(record.key);
  out.put_text(record.topic);
  out.put_text(record.payload);
  if (!record.request.empty()) out.put_text(record.request);
}

void encode_tick(ByteWriter& out, int64_t now_us) {
  put_kind(out, JournalKind::kTick);
  out.put(now_us);
}

void encode_finish(ByteWriter& out, int64_t now_us) {
  put_kind(out, JournalKind::kFinish);
  out.put(now_us);
}

void encode_shadow(ByteWriter& out, std::string_view model, std::string_view new_version,
                   bool is_switched, std::string_view reason) {
  put_kind(out, JournalKind::kShadow);
  out.put_text(model);
  out.put_text(new_version);
  out.put(static_cast<uint8_t>(is_switched));
  out.put_text(reason);
}

void encode_source_drop(ByteWriter& out, size_t source, int64_t time_us, std::string_view key,
                        size_t bytes, DropReason reason) {
  put_kind(out, JournalKind::kSourceDrop);
  out.put(static_cast<uint16_t>(source));
  out.put(time_us);
  out.put_text(key);
  out.put(static_cast<uint64_t>(bytes));
  out.put(static_cast<uint8_t>(reason));
}

void encode_dropped(ByteWriter& out, std::string_view sink, Priority lane, uint64_t first,
                    uint64_t last, DropReason reason) {
  put_kind(out, JournalKind::kDropped);
  out.put_text(sink);
  out.put(static_cast<uint8_t>(lane));
  out.put(first);
  out.put(last);
  out.put(static_cast<uint8_t>(reason));
}

JournalPlayer::JournalPlayer(const App& app, Pipeline& pipeline, Ledger& ledger)
    : app_(app),
      pipeline_(pipeline),
      ledger_(ledger),
      positions_(app.sources.size()),
      requests_(app.sources.size()) {
  std::vector<std::string> names;
  for (const SourcePlan& source : app.sources) names.push_back(source.name);
  use_sources(std::move(names));
}

void JournalPlayer::use_sources(std::vector<std::string> names) {
  names_ = std::move(names);
  numbers_.clear();
  for (const std::string& name : names_) {
    const auto found = std::ranges::find(app_.sources, name, &SourcePlan::name);
    numbers_.push_back(
        found == app_.sources.end() ? -1 : static_cast<int>(found - app_.sources.begin()));
  }
}

Status JournalPlayer::play(std::string_view bytes) {
  ByteReader in(bytes);
  switch (static_cast<JournalKind>(in.get<uint8_t>())) {
    case JournalKind::kSources: {
      std::vector<std::string> names(in.get_count(4));
      for (std::string& name : names) name = std::string(in.get_text());
      if (in.ok()) use_sources(std::move(names));
      break;
    }
    case JournalKind::kRecord:
      return play_record(in);
    case JournalKind::kTick:
    case JournalKind::kFinish: {
      const auto now = in.get<int64_t>();
      if (!in.ok()) break;
      if (before) before(now);
      pipeline_.tick(now);
      if (bytes[0] == static_cast<char>(JournalKind::kFinish)) pipeline_.finish();
      break;
    }
    case JournalKind::kSourceDrop: {
      const size_t source = in.get<uint16_t>();
      const auto time = in.get<int64_t>();
      const std::string_view key = in.get_text();
      const auto size = in.get<uint64_t>();
      const auto reason = in.get<uint8_t>();
      if (!in.ok() || source >= numbers_.size() || reason >= kDropReasonCount) break;
      if (numbers_[source] < 0) return {};
      pipeline_.drop(static_cast<size_t>(numbers_[source]), time, key, static_cast<size_t>(size),
                     static_cast<DropReason>(reason));
      return {};
    }
    case JournalKind::kShadow: {
      const std::string_view model = in.get_text();
      const std::string_view version = in.get_text();
      const bool is_switched = in.get_flag();
      const std::string_view reason = in.get_text();
      if (in.ok()) pipeline_.decide_shadow(model, version, is_switched, reason);
      break;
    }
    case JournalKind::kDropped:
      return {};  // read before anything is played
    default:
      in.fail();
  }
  if (!in.ok()) return invalid_data("journal: damaged record");
  return {};
}

Status JournalPlayer::play_record(ByteReader& in) {
  const size_t source = in.get<uint16_t>();
  RawRecord record;
  record.arrival_us = in.get<int64_t>();
  record.event_time_us = in.get<int64_t>();
  record.position = in.get<uint64_t>();
  record.key = in.get_text();
  record.topic = in.get_text();
  record.payload = in.get_text();
  if (!in.rest().empty()) record.request = in.get_text();
  if (!in.ok() || source >= numbers_.size()) return invalid_data("journal: damaged record");
  if (before) before(record.arrival_us);
  if (numbers_[source] < 0) {
    const uint32_t row = ledger_.row(LedgerKind::kInput, names_[source], "");
    ledger_.accept(row);
    ledger_.drop(row, 1, DropReason::kNoSource);
    return {};
  }
  const auto number = static_cast<size_t>(numbers_[source]);
  positions_[number] = std::max(positions_[number], record.position);
  if (!record.request.empty()) requests_[number].note_record(record.request);
  pipeline_.process(number, record);
  return {};
}

void JournalPlayer::save(ByteWriter& out) const {
  out.put(static_cast<uint32_t>(app_.sources.size()));
  for (size_t i = 0; i < app_.sources.size(); ++i) {
    out.put_text(app_.sources[i].name);
    out.put(positions_[i]);
    requests_[i].save(out);
  }
}

bool JournalPlayer::load(ByteReader& in) {
  std::vector<std::string> names(in.get_count(16));
  for (std::string& name : names) {
    name = std::string(in.get_text());
    const auto position = in.get<uint64_t>();
    RecentRequests requests;
    requests.load(in);
    for (size_t i = 0; i < app_.sources.size(); ++i) {
      if (app_.sources[i].name != name) continue;
      positions_[i] = position;
      requests_[i] = requests;
    }
  }
  if (in.ok()) use_sources(std::move(names));
  return in.ok();
}

Status read_dropped(host::DurableLog& log, uint64_t from, DroppedOutputs& out) {
  const auto read = log.read(from, [&](uint64_t, int64_t, host::Bytes bytes) {
    ByteReader in(host::as_text(bytes));
    if (static_cast<JournalKind>(in.get<uint8_t>()) != JournalKind::kDropped) return true;
    const std::string sink(in.get_text());
    const auto lane = static_cast<Priority>(in.get<uint8_t>() & 1);
    DroppedRange range{in.get<uint64_t>(), in.get<uint64_t>(), {}};
    const auto reason = in.get<uint8_t>();
    if (!in.ok() || reason >= kDropReasonCount) return true;
    range.reason = static_cast<DropReason>(reason);
    std::vector<DroppedRange>& ranges = out[{sink, lane}];
    if (!ranges.empty() && ranges.back().last + 1 == range.first &&
        ranges.back().reason == range.reason) {
      ranges.back().last = range.last;
    } else {
      ranges.push_back(range);
    }
    return true;
  });
  if (!read.ok()) return read.error();
  return {};
}

}  // namespace ew::agent
