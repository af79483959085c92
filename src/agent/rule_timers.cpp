// What rules do by the clock: absence and escalation. Each key has at most one timer, set for the
// earliest time at which something could be due; records that move that time do not touch it.
#include <algorithm>

#include "agent/rule.h"

namespace ew::agent {
namespace {

constexpr int64_t kRetryUs = 100'000;  // of what other rules hold back

}  // namespace

/// Processing time at which the clock does something for the key, or kNever.
int64_t Rule::due_us(uint32_t key) const {
  const Alert& alert = alerts_[key];
  if (!alert.is_known) return kNever;
  if (plan_.absent_us > 0 && !alert.is_absent && alert.state == State::kIdle) {
    return alert.seen_clock_us + plan_.absent_us;
  }
  const bool is_waiting = plan_.escalate_after_us > 0 && is_active(key) && !alert.is_acknowledged &&
                          alert.severity < plan_.escalate_to;
  return is_waiting ? alert.raised_clock_us + plan_.escalate_after_us : kNever;
}

/// Brings the key's timer forward where it must fire earlier than it would.
void Rule::arm(uint32_t key) {
  if (plan_.absent_us == 0 && plan_.escalate_after_us == 0) return;
  Alert& alert = alerts_[key];
  const int64_t due = due_us(key);
  if (due >= alert.timer_us) return;
  disarm(key);
  timers_.emplace(due, key);
  alert.timer_us = due;
}

void Rule::disarm(uint32_t key) {
  timers_.erase({alerts_[key].timer_us, key});
  alerts_[key].timer_us = kNever;
}

void Rule::tick() {
  const int64_t now = context_.now_us;
  if (started_us_ == kNoTime) started_us_ = now;
  if (plan_.absent_us > 0 && !has_input_ && now - started_us_ >= plan_.absent_us) {
    // Nothing at all has come: the stream itself is silent.
    const uint32_t key = context_.keys.intern("");
    Alert& whole = alert_of(key);
    if (!whole.is_absent) whole.seen_clock_us = started_us_;
    arm(key);
  }
  std::vector<uint32_t> held_back;
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const uint32_t key = timers_.begin()->second;
    disarm(key);
    if (due_us(key) <= now) {
      fire(key);
      if (due_us(key) <= now) {
        held_back.push_back(key);
        continue;
      }
    }
    arm(key);
  }
  for (const uint32_t key : held_back) {
    alerts_[key].timer_us = now + kRetryUs;
    timers_.emplace(now + kRetryUs, key);
  }
}

/// Something is due for the key. What may not be raised now stays due, and is tried again.
void Rule::fire(uint32_t key) {
  const int64_t now = context_.now_us;
  Alert& alert = alerts_[key];
  Fate nothing;
  if (alert.state != State::kIdle) {
    alert.severity = plan_.escalate_to;
    return emit(alert, key, "escalated", now, alert.value, nullptr, nothing);
  }
  if (!may_raise(alert, key, now, {})) return;
  raise(alert, key, now, std::nan(""));
  alert.is_absent = true;
  emit(alert, key, "raised", now, std::nan(""), nullptr, nothing);
}

int64_t Rule::next_deadline_us() {
  int64_t deadline = kNever;
  if (plan_.absent_us > 0 && !has_input_ && started_us_ != kNoTime) {
    const bool is_raised = std::ranges::any_of(alerts_, &Alert::is_absent);
    if (!is_raised) deadline = started_us_ + plan_.absent_us;
  }
  while (!timers_.empty()) {
    const auto [time, key] = *timers_.begin();
    if (due_us(key) <= time) return std::min(deadline, time);
    disarm(key);
    arm(key);
  }
  return deadline;
}

}  // namespace ew::agent
