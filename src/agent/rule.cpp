#include "agent/rule.h"

#include <algorithm>

namespace ew::agent {

const char* to_string(Severity severity) {
  constexpr const char* kNames[] = {"info", "warning", "critical"};
  return kNames[static_cast<size_t>(severity)];
}

Rule::Rule(RulePlan plan, const FlowContext& context) : plan_(std::move(plan)), context_(context) {}

Rule::Alert& Rule::alert_of(uint32_t key) {
  if (key >= alerts_.size()) alerts_.resize(key + 1);
  alerts_[key].is_known = true;
  return alerts_[key];
}

bool Rule::is_active(uint32_t key) const {
  return key < alerts_.size() &&
         (alerts_[key].state == State::kActive || alerts_[key].state == State::kClearing);
}

size_t Rule::active_count() const {
  size_t count = 0;
  for (uint32_t key = 0; key < alerts_.size(); ++key) count += is_active(key) ? 1 : 0;
  return count;
}

void Rule::take(const Row& row, Fate& fate, size_t /*port*/) {
  // Whoever watches for silence hears the whole stream.
  if (!has_input_) {
    has_input_ = true;
    const uint32_t whole = context_.keys.intern("");
    if (row.key != whole && whole < alerts_.size() && alerts_[whole].is_absent) {
      Alert& alert = alerts_[whole];
      alert.state = State::kIdle;
      alert.is_absent = false;
      alert.cleared_us = row.time_us;
      emit(alert, whole, "cleared", row.time_us, std::nan(""), nullptr, fate);
      alert.is_known = false;  // from here on each key is watched by itself
    }
  }
  Alert& alert = alert_of(row.key);
  alert.seen_clock_us = context_.now_us;
  if (alert.is_absent) {
    alert.is_absent = false;
    alert.state = State::kIdle;
    alert.cleared_us = row.time_us;
    emit(alert, row.key, "cleared", row.time_us, std::nan(""), &row, fate);
  }
  if (!plan_.when.is_empty()) observe(alert, row, fate);
  arm(row.key);
  if (!fate.is_claimed) fate.reject(DropReason::kFiltered);
}

void Rule::observe(Alert& alert, const Row& row, Fate& fate) {
  if (plan_.cell_count > 0) {
    if (row.key >= cells_.size()) cells_.resize(row.key + 1);
    if (cells_[row.key].empty()) cells_[row.key].resize(plan_.cell_count);
  }
  const EvalContext eval{
      row.values,   {},
      row.key_text, row.topic,
      row.time_us,  plan_.cell_count > 0 ? std::span<Cell>(cells_[row.key]) : std::span<Cell>()};
  const Value matched = plan_.when.evaluate(eval);
  // Undefined neither raises nor clears: a sensor that sends NaN has not become well.
  if (matched.is_undefined() || matched.is_text()) return;
  const bool is_matching = matched.number != 0;
  const double value =
      plan_.value.is_empty() ? std::nan("") : plan_.value.evaluate(eval).as_number();
  if (plan_.is_event) {
    if (!is_matching) return;
    alert.severity = plan_.severity;
    alert.raised_us = row.time_us;
    emit(alert, row.key, "raised", row.time_us, value, &row, fate);
    return;
  }
  if (alert.state == State::kActive || alert.state == State::kClearing) {
    return observe_active(alert, row, fate, eval, is_matching, value);
  }
  if (!is_matching) {
    alert.state = State::kIdle;
    return;
  }
  std::string dedupe;
  if (!plan_.dedupe.is_empty()) append_json(dedupe, plan_.dedupe.evaluate(eval));
  if (alert.state == State::kIdle) {
    alert.state = State::kPending;
    alert.since_us = row.time_us;
  }
  if (row.time_us - alert.since_us < plan_.for_us) return;
  if (!may_raise(alert, row.key, row.time_us, dedupe)) return;
  alert.dedupe = std::move(dedupe);
  raise(alert, row.key, row.time_us, value);
  emit(alert, row.key, "raised", row.time_us, value, &row, fate);
}

void Rule::observe_active(Alert& alert, const Row& row, Fate& fate, const EvalContext& eval,
                          bool is_matching, double value) {
  bool is_clear = !is_matching;
  if (!plan_.clear.is_empty()) {
    const Value cleared = plan_.clear.evaluate(eval);
    is_clear = !cleared.is_undefined() && !cleared.is_text() && cleared.number != 0;
  }
  if (!is_clear) {
    alert.state = State::kActive;
    const bool is_due =
        plan_.update_every_us > 0 && row.time_us - alert.updated_us >= plan_.update_every_us;
    const bool has_moved = plan_.dead_band > 0 && std::abs(value - alert.value) > plan_.dead_band;
    if (is_due || has_moved) {
      alert.value = value;
      alert.updated_us = row.time_us;
      emit(alert, row.key, "updated", row.time_us, value, &row, fate);
    }
    return;
  }
  if (alert.state == State::kActive) {
    alert.state = State::kClearing;
    alert.since_us = row.time_us;
  }
  if (row.time_us - alert.since_us < plan_.clear_for_us) return;
  alert.state = State::kIdle;
  alert.cleared_us = row.time_us;
  emit(alert, row.key, "cleared", row.time_us, value, &row, fate);
}

bool Rule::may_raise(const Alert& alert, uint32_t key, int64_t time_us,
                     const std::string& dedupe) const {
  if (alert.cleared_us != kNoTime && time_us - alert.cleared_us < plan_.hold_off_us) return false;
  if (std::ranges::any_of(while_active, [&](const Rule* rule) { return !rule->is_active(key); })) {
    return false;
  }
  if (dedupe.empty()) return true;
  for (uint32_t other = 0; other < alerts_.size(); ++other) {
    if (other != key && is_active(other) && alerts_[other].dedupe == dedupe) return false;
  }
  return true;
}

void Rule::raise(Alert& alert, uint32_t /*key*/, int64_t time_us, double value) {
  alert.state = State::kActive;
  alert.is_acknowledged = false;
  alert.severity = plan_.severity;
  alert.raised_us = time_us;
  alert.raised_clock_us = context_.now_us;
  alert.updated_us = time_us;
  alert.value = value;
}

std::vector<DriftState> Rule::drifts() const {
  std::vector<DriftState> states;
  for (const Expression* one : {&plan_.when, &plan_.clear, &plan_.value, &plan_.dedupe}) {
    add_drift_states(*one, cells_, states);
  }
  return states;
}

std::vector<Rule::Active> Rule::active() const {
  std::vector<Active> out;
  for (uint32_t key = 0; key < alerts_.size(); ++key) {
    if (!is_active(key)) continue;
    const Alert& alert = alerts_[key];
    out.push_back({.key = context_.keys.text(key),
                   .is_acknowledged = alert.is_acknowledged,
                   .is_silenced = context_.now_us < alert.silenced_until_us,
                   .severity = alert.severity,
                   .raised_us = alert.raised_us,
                   .value = alert.value});
  }
  return out;
}

bool Rule::acknowledge(uint32_t key) {
  if (!is_active(key)) return false;
  alerts_[key].is_acknowledged = true;
  Fate nothing;
  emit(alerts_[key], key, "acknowledged", context_.now_us, alerts_[key].value, nullptr, nothing);
  return true;
}

void Rule::silence(uint32_t key, int64_t until_us) {
  Alert& alert = alert_of(key);
  Fate nothing;
  if (alert.seen_clock_us == 0) alert.seen_clock_us = context_.now_us;
  emit(alert, key, "silenced", context_.now_us, alert.value, nullptr, nothing);
  alert.silenced_until_us = until_us;
  arm(key);
}

void Rule::emit(Alert& alert, uint32_t key, const char* state, int64_t time_us, double value,
                const Row* evidence, Fate& fate) {
  if (context_.now_us < alert.silenced_until_us) return;
  ++event_count_;
  const std::string_view key_text = context_.keys.text(key);
  event_.clear();
  event_ += "{\"ts\":";
  append_json_number(event_, static_cast<double>(time_us));
  event_ += ",\"rule\":";
  append_json_text(event_, plan_.name);
  event_ += ",\"key\":";
  append_json_text(event_, key_text);
  event_ += ",\"state\":\"";
  event_ += state;
  event_ += "\",\"severity\":\"";
  event_ += to_string(alert.severity);
  event_ += "\",\"value\":";
  append_json_number(event_, value);
  event_ += ",\"model\":";
  if (evidence != nullptr && !evidence->model.empty()) {
    append_json_text(event_, evidence->model);
  } else {
    event_ += "null";
  }
  event_ += ",\"alert\":";
  append_json_text(event_, alert.dedupe.empty() ? plan_.name + "/" + std::string(key_text)
                                                : plan_.name + "/" + alert.dedupe);
  event_ += ",\"since\":";
  append_json_number(event_, static_cast<double>(alert.raised_us));
  if (alert.is_absent) event_ += ",\"absent\":true";
  if (evidence != nullptr && evidence->window_start_us != kNoTime) {
    event_ += ",\"window\":[";
    append_json_number(event_, static_cast<double>(evidence->window_start_us));
    event_ += ',';
    append_json_number(event_, static_cast<double>(evidence->time_us));
    event_ += ']';
  }
  if (!plan_.message.empty()) {
    event_ += ",\"message\":";
    append_json_text(event_, plan_.message);
  }
  if (evidence != nullptr && !plan_.evidence.empty()) {
    event_ += ",\"values\":{";
    bool is_first = true;
    for (const auto& [name, slot] : plan_.evidence) {
      if (evidence->values[slot].is_missing()) continue;
      if (!is_first) event_ += ',';
      is_first = false;
      append_json_text(event_, name);
      event_ += ':';
      append_json(event_, evidence->values[slot]);
    }
    event_ += '}';
  }
  event_ += '}';
  Row row;
  row.time_us = time_us;
  row.key = key;
  row.key_text = key_text;
  row.topic = evidence == nullptr ? std::string_view() : evidence->topic;
  row.raw = event_;
  send_on(consumers, row, fate);
}

void Rule::save(ByteWriter& out) const {
  out.put(started_us_);
  out.put(static_cast<uint8_t>(has_input_));
  out.put(event_count_);
  out.put(static_cast<uint32_t>(alerts_.size()));
  for (const Alert& a : alerts_) {
    out.put(static_cast<uint8_t>(a.is_known));
    if (!a.is_known) continue;
    out.put(static_cast<uint8_t>(a.state));
    out.put(static_cast<uint8_t>(a.is_acknowledged));
    out.put(static_cast<uint8_t>(a.is_absent));
    out.put(static_cast<uint8_t>(a.severity));
    for (const int64_t time : {a.since_us, a.raised_us, a.raised_clock_us, a.cleared_us,
                               a.updated_us, a.seen_clock_us, a.silenced_until_us}) {
      out.put(time);
    }
    out.put(a.value);
    out.put_text(a.dedupe);
  }
  out.put(static_cast<uint32_t>(cells_.size()));
  for (const auto& cells : cells_) {
    out.put(static_cast<uint8_t>(!cells.empty()));
    for (const Cell& cell : cells) cell.save(out);
  }
}

bool Rule::load(ByteReader& in) {
  started_us_ = in.get<int64_t>();
  has_input_ = in.get_flag();
  event_count_ = in.get<uint64_t>();
  alerts_.resize(in.get_count(1));
  for (Alert& a : alerts_) {
    a.is_known = in.get_flag();
    if (!a.is_known) continue;
    a.state = static_cast<State>(in.get<uint8_t>() & 3);
    a.is_acknowledged = in.get_flag();
    a.is_absent = in.get_flag();
    a.severity = static_cast<Severity>(std::min<uint8_t>(in.get<uint8_t>(), 2));
    for (int64_t* time : {&a.since_us, &a.raised_us, &a.raised_clock_us, &a.cleared_us,
                          &a.updated_us, &a.seen_clock_us, &a.silenced_until_us}) {
      *time = in.get<int64_t>();
    }
    a.value = in.get<double>();
    a.dedupe = std::string(in.get_text());
  }
  timers_.clear();
  for (uint32_t key = 0; key < alerts_.size(); ++key) {
    alerts_[key].timer_us = kNever;
    arm(key);
  }
  cells_.resize(in.get_count(1));
  for (auto& cells : cells_) {
    if (!in.get_flag()) continue;
    cells.resize(plan_.cell_count);
    for (Cell& cell : cells) cell.load(in);
    if (!in.ok()) return false;
  }
  return in.ok();
}

}  // namespace ew::agent
