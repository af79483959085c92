#include "agent/pipeline.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "agent/tensor_payload.h"

namespace ew::agent {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

/// The level of "a/b/c" with this number, or "".
std::string_view topic_level(std::string_view topic, int level) {
  for (; level > 0; --level) {
    const size_t slash = topic.find('/');
    if (slash == std::string_view::npos) return {};
    topic.remove_prefix(slash + 1);
  }
  return topic.substr(0, topic.find('/'));
}

Value number_or_text(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return Value::of(number);
  return text.empty() ? Value::undefined() : Value::of_text(text);
}

}  // namespace

Pipeline::Pipeline(const App& app, Ledger& ledger) : app_(app), ledger_(ledger) {
  for (const char* field : {"command", "rule", "key", "seconds"}) command_fields_.want(field);
  command_values_.resize(command_fields_.slot_count());
}

Pipeline::~Pipeline() = default;

void Pipeline::drop_cover(const CoverSet& cover, DropReason reason) {
  cover.for_each([&](const CoverSet::Item& item) { ledger_.drop(item.row, item.count, reason); });
}

uint32_t Pipeline::ledger_row(SourceState& source, std::string_view key, uint32_t& key_number) {
  key_number = keys_.find(key);
  const bool is_new = key_number == KeyTable::kNone || key_number >= source.rows.size() ||
                      source.rows[key_number] == KeyTable::kNone;
  if (!is_new) return source.rows[key_number];
  if (source.key_count >= source.decode.max_keys) {
    key_number = KeyTable::kNone;
    return ledger_.row(LedgerKind::kInput, source.name, "(other)");
  }
  ++source.key_count;
  key_number = keys_.intern(key);
  if (key_number >= source.rows.size()) source.rows.resize(key_number + 1, KeyTable::kNone);
  source.rows[key_number] = ledger_.row(LedgerKind::kInput, source.name, key);
  return source.rows[key_number];
}

/// kFiltered stands for "no fault". `payload` becomes what goes on.
DropReason Pipeline::decode(SourceState& source, std::string_view topic,
                            std::string_view& payload) {
  if (source.decoder) {
    decoded_.clear();
    if (!source.decoder->decode(topic, payload, decoded_).ok()) return DropReason::kMalformed;
    payload = decoded_;
  }
  switch (source.decode.format) {
    case PayloadFormat::kJson:
    case PayloadFormat::kCbor:
    case PayloadFormat::kSparkplug:
    case PayloadFormat::kBinary: {
      const JsonScan scan = scan_json(payload, fields_, values_, scratch_);
      if (scan.fault == JsonFault::kDuplicate) return DropReason::kDuplicateKey;
      return scan.fault == JsonFault::kNone ? DropReason::kFiltered : DropReason::kMalformed;
    }
    case PayloadFormat::kCsv:
      decode_csv(source, payload);
      break;
    case PayloadFormat::kText:
      std::ranges::fill(values_, Value());
      if (!source.column_slots.empty()) values_[source.column_slots[0]] = number_or_text(payload);
      break;
    case PayloadFormat::kRaw:
      std::ranges::fill(values_, Value());
      break;
    case PayloadFormat::kTensor: {
      const std::optional<TensorPayload> tensor = split_tensor(payload);
      if (!tensor) return DropReason::kMalformed;
      const JsonScan scan = scan_json(tensor->json, fields_, values_, scratch_);
      if (scan.fault != JsonFault::kNone) return DropReason::kMalformed;
      values_[source.tensor_slot] = Value::of_text(tensor->field);
      payload = tensor->json;
      break;
    }
  }
  return DropReason::kFiltered;
}

void Pipeline::decode_csv(SourceState& source, std::string_view line) {
  std::ranges::fill(values_, Value());
  size_t at = 0;
  for (const size_t slot : source.column_slots) {
    if (at > line.size()) break;
    if (at < line.size() && line[at] == '"') {
      // Quotes as RFC 4180 has them; a doubled quote inside stays doubled, as views cannot change.
      const size_t end = std::min(line.find('"', at + 1), line.size());
      values_[slot] = Value::of_text(line.substr(at + 1, end - at - 1));
      at = std::min(line.find(source.decode.separator, end), line.size()) + 1;
      continue;
    }
    const size_t end = std::min(line.find(source.decode.separator, at), line.size());
    values_[slot] = number_or_text(line.substr(at, end - at));
    at = end + 1;
  }
}

int64_t Pipeline::event_time(const SourceState& source, const RawRecord& record) const {
  int64_t time = record.event_time_us == kNoTime ? now_us_ : record.event_time_us;
  if (source.time_slot != SIZE_MAX) {
    const Value& value = values_[source.time_slot];
    if (value.is_text()) {
      const Result<int64_t> parsed = parse_iso_time_us(value.text);
      if (parsed.ok()) time = *parsed;
    } else if (!value.is_undefined()) {
      const double us = value.number * source.decode.time_unit_us;
      if (std::abs(us) < 9e18) time = static_cast<int64_t>(us);
    }
    if (time > now_us_ && time - now_us_ > source.decode.max_ahead_us) time = now_us_;
  }
  return time;
}

void Pipeline::process(size_t index, const RawRecord& record) {
  SourceState& source = sources_[index];
  if (record.arrival_us < now_us_) ++clock_steps_back_;
  now_us_ = std::max(now_us_, record.arrival_us);
  ledger_.accept(source.source_row);
  ledger_.deliver(source.source_row, record.payload.size());

  std::string_view key = record.key;
  if (key.empty() && source.decode.key_level >= 0) {
    key = topic_level(record.topic, source.decode.key_level);
  }
  std::optional<DropReason> fault;
  std::string_view payload = record.payload;
  if (record.payload.size() > static_cast<size_t>(source.decode.max_payload)) {
    fault = DropReason::kTooLarge;
  } else if (!source.is_commands) {
    const DropReason reason = decode(source, record.topic, payload);
    if (reason != DropReason::kFiltered) fault = reason;
  }
  std::string key_text;
  if (!fault && source.key_slot != SIZE_MAX && record.key.empty()) {
    const Value& value = values_[source.key_slot];
    key = value.text;
    if (value.kind == Value::Kind::kNumber || value.kind == Value::Kind::kFlag) {
      append_json(key_text, value);
      key = key_text;
    }
  }
  uint32_t key_number = 0;
  const uint32_t row_number = ledger_row(source, key, key_number);
  ledger_.accept(row_number);
  if (!fault && key_number == KeyTable::kNone) fault = DropReason::kKeyLimit;
  if (!fault && source.is_commands) {
    // A command ends here: it has arrived, or it is none.
    if (run_command(source, record.payload)) {
      ledger_.deliver(row_number, 1);
      return;
    }
    fault = DropReason::kMalformed;
  }
  if (fault) return ledger_.drop(row_number, 1, *fault);

  const Row row{.values = values_,
                .time_us = event_time(source, record),
                .key = key_number,
                .key_text = keys_.text(key_number),
                .topic = record.topic,
                .raw = payload};
  Fate fate{.cover = CoverSet(row_number, 1)};
  send_on(source.consumers, row, fate);
  if (!fate.is_claimed) {
    ledger_.drop(row_number, 1, fate.reason.value_or(DropReason::kFiltered));
  }
}

void Pipeline::drop(size_t index, int64_t time_us, std::string_view key, size_t bytes,
                    DropReason reason) {
  SourceState& source = sources_[index];
  now_us_ = std::max(now_us_, time_us);
  ledger_.accept(source.source_row);
  ledger_.deliver(source.source_row, bytes);
  uint32_t key_number = 0;
  const uint32_t row = ledger_row(source, key, key_number);
  ledger_.accept(row);
  ledger_.drop(row, 1, reason);
}

bool Pipeline::run_command(const SourceState& /*source*/, std::string_view payload) {
  std::string scratch;
  if (scan_json(payload, command_fields_, command_values_, scratch).fault != JsonFault::kNone) {
    return false;
  }
  const std::string_view command = command_values_[0].text;
  const uint32_t key = keys_.intern(command_values_[2].text);
  for (const auto& rule : rules_) {
    if (rule->plan().name != command_values_[1].text) continue;
    if (command == "acknowledge") return rule->acknowledge(key);
    if (command == "silence") {
      const double seconds = command_values_[3].as_number();
      if (!(seconds >= 0 && seconds < 3.2e9)) return false;
      rule->silence(key, now_us_ + static_cast<int64_t>(seconds * 1e6));
      return true;
    }
  }
  return false;
}

void Pipeline::tick(int64_t now_us) {
  if (now_us < now_us_) ++clock_steps_back_;
  now_us_ = std::max(now_us_, now_us);
  for (const auto& stream : streams_) stream->tick();
  for (const auto& rule : rules_) rule->tick();
}

int64_t Pipeline::next_deadline_us() const {
  int64_t deadline = kNever;
  for (const auto& stream : streams_) deadline = std::min(deadline, stream->next_deadline_us());
  for (const auto& rule : rules_) deadline = std::min(deadline, rule->next_deadline_us());
  return deadline;
}

void Pipeline::finish() {
  for (const auto& stream : streams_) stream->finish();
}

void Pipeline::decide_shadow(std::string_view name, std::string_view new_version, bool is_switched,
                             std::string_view reason) {
  for (size_t i = 0; i < shadows_.size(); ++i) {
    ShadowRunner* shadow = shadows_[i];
    if (shadow == nullptr || app_.models[i].name != name) continue;
    if (shadow->new_version() == new_version) shadow->decide(is_switched, reason);
  }
  for (const auto& stream : streams_) stream->refresh_model();
}

void Pipeline::save(ByteWriter& out) const {
  out.put(now_us_);
  out.put(clock_steps_back_);
  keys_.save(out);
  ledger_.save(out);
  // Each part behind its name and signature, so that another version of the app finds what it can
  // take over.
  const auto part = [&](const std::string& name, const std::string& signature, const auto& save) {
    ByteWriter inner;
    save(inner);
    out.put_text(name);
    out.put_text(signature);
    out.put_text(inner.bytes());
  };
  const auto shadows = static_cast<size_t>(
      std::ranges::count_if(shadows_, [](const ShadowRunner* s) { return s != nullptr; }));
  out.put(static_cast<uint32_t>(sources_.size() + shadows + streams_.size() + rules_.size() +
                                outboxes_.size()));
  for (size_t i = 0; i < shadows_.size(); ++i) {
    if (shadows_[i] == nullptr) continue;
    part("shadow:" + app_.models[i].name, shadows_[i]->signature(),
         [&](ByteWriter& w) { shadows_[i]->save(w); });
  }
  for (const SourceState& s : sources_) {
    part("source:" + s.name, std::to_string(static_cast<int>(s.decode.format)), [&](ByteWriter& w) {
      if (s.decoder) s.decoder->save(w);
    });
  }
  for (const auto& s : streams_) {
    part("stream:" + s->plan().name, s->plan().signature, [&](ByteWriter& w) { s->save(w); });
  }
  for (const auto& r : rules_) {
    part("rule:" + r->plan().name, r->plan().signature, [&](ByteWriter& w) { r->save(w); });
  }
  for (const auto& o : outboxes_) {
    part("sink:" + o->options().name, "", [&](ByteWriter& w) { o->save(w); });
  }
}

void Pipeline::visit_held(const std::function<void(const CoverSet&)>& visit) const {
  for (const auto& stream : streams_) stream->visit_held(visit);
}

void Pipeline::refresh_ledger() {
  for (const auto& stream : streams_) {
    for (const Redaction& redaction : stream->plan().redactions) {
      if (redaction.applied == 0) continue;
      const uint32_t row =
          ledger_.row(LedgerKind::kRedaction, stream->plan().name, redaction.field);
      ledger_.set_accepted(row, redaction.applied);
    }
    if (stream->hidden_count() == 0) continue;
    const uint32_t row =
        ledger_.row(LedgerKind::kRedaction, stream->plan().name, stream->plan().picture->output);
    ledger_.set_accepted(row, stream->hidden_count());
  }
}

Status Pipeline::load(std::string_view bytes, bool with_ledger) {
  ByteReader in(bytes);
  now_us_ = in.get<int64_t>();
  clock_steps_back_ = in.get<uint64_t>();
  bool is_whole = keys_.load(in);
  if (with_ledger) {
    is_whole = is_whole && ledger_.load(in);
  } else {
    EW_TRY(const auto old, Ledger::open(""));
    is_whole = is_whole && old->load(in);
  }
  if (!is_whole) return invalid_data("snapshot: damaged");
  // Rows that this version of the app adds come behind those that were there.
  for (SourceState& source : sources_) {
    source.source_row = ledger_.row(LedgerKind::kSource, source.name, "");
    source.rows.assign(keys_.size(), KeyTable::kNone);
    source.key_count = 0;
  }
  for (uint32_t row = 0; row < ledger_.size(); ++row) {
    if (ledger_.at(row).kind != LedgerKind::kInput) continue;
    const LedgerRow named = ledger_.named(row);
    for (SourceState& source : sources_) {
      const uint32_t key = keys_.find(named.second());
      if (source.name != named.first() || key == KeyTable::kNone) continue;
      source.rows[key] = row;
      ++source.key_count;
    }
  }
  for (const auto& outbox : outboxes_) outbox->renumber_rows();
  const auto count = in.get<uint32_t>();
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    const std::string_view name = in.get_text();
    const std::string_view signature = in.get_text();
    ByteReader part(in.get_text());
    bool ok = true;
    for (const SourceState& s : sources_) {
      const bool is_same = name == "source:" + s.name &&
                           signature == std::to_string(static_cast<int>(s.decode.format));
      if (is_same && s.decoder) ok = s.decoder->load(part);
    }
    for (size_t m = 0; m < shadows_.size(); ++m) {
      if (shadows_[m] == nullptr || name != "shadow:" + app_.models[m].name ||
          signature != shadows_[m]->signature()) {
        continue;
      }
      ok = shadows_[m]->load(part);
      for (const auto& s : streams_) s->refresh_model();
    }
    for (const auto& s : streams_) {
      if (name != "stream:" + s->plan().name || signature != s->plan().signature) continue;
      ok = s->load(part);
    }
    for (const auto& r : rules_) {
      if (name == "rule:" + r->plan().name && signature == r->plan().signature) ok = r->load(part);
    }
    for (const auto& o : outboxes_) {
      if (name == "sink:" + o->options().name) ok = o->load(part);
    }
    if (!ok) return invalid_data("snapshot: part '", name, "' is damaged");
  }
  if (!in.ok()) return invalid_data("snapshot: damaged");
  return {};
}

}  // namespace ew::agent
