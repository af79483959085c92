#pragma once
// Rules: conditions over a stream that raise alerts, and the alerts' life.

#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/stream.h"

namespace ew::agent {

enum class Severity : uint8_t { kInfo, kWarning, kCritical };
const char* to_string(Severity severity);

struct RulePlan {
  std::string name;
  std::string signature;
  std::vector<std::pair<std::string, size_t>> evidence;  ///< fields that go into events, with slots
  Expression when;    ///< raises; empty for a rule of absence only
  Expression clear;   ///< clears; empty: when `when` is false
  Expression value;   ///< the event's value; empty: the first field of `when`
  Expression dedupe;  ///< alerts with the same text are one
  size_t cell_count = 0;
  bool is_event = false;  ///< every match is an event of its own, without a life
  int64_t for_us = 0;     ///< the condition must hold that long, by event time
  int64_t clear_for_us = 0;
  int64_t hold_off_us = 0;  ///< after clearing, not raised again for so long
  int64_t update_every_us = 0;
  double dead_band = 0;           ///< a change of the value by more than this is an update; 0: none
  int64_t absent_us = 0;          ///< a key that is silent so long raises, by the clock
  int64_t escalate_after_us = 0;  ///< if not acknowledged, by the clock
  Severity severity = Severity::kWarning;
  Severity escalate_to = Severity::kCritical;
  std::string message;
};

/// One rule of an app. Events are JSON objects, sent on as rows whose `raw` is the event:
/// {"ts","rule","key","state","severity","value","model","alert","since","from","message","values"};
/// times in microseconds since 1970.
class Rule final : public Consumer {
 public:
  Rule(RulePlan plan, const FlowContext& context);

  void take(const Row& row, Fate& fate, size_t port) override;
  void tick();
  /// Processing time at which tick() has something to do, or the greatest int64.
  int64_t next_deadline_us();
  bool is_active(uint32_t key) const;

  /// What an operator says: false if there is no such active alert.
  bool acknowledge(uint32_t key);
  void silence(uint32_t key, int64_t until_us);

  std::vector<Edge> consumers;
  std::vector<const Rule*> while_active;  ///< raises only while these are active for the key

  const RulePlan& plan() const { return plan_; }
  uint64_t event_count() const { return event_count_; }
  std::vector<DriftState> drifts() const;
  size_t active_count() const;
  struct Active {
    std::string_view key;
    bool is_acknowledged = false;
    bool is_silenced = false;
    Severity severity = Severity::kInfo;
    int64_t raised_us = 0;
    double value = 0;
  };
  /// The alerts that are raised now.
  std::vector<Active> active() const;

  void save(ByteWriter& out) const;
  bool load(ByteReader& in);

 private:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  enum class State : uint8_t { kIdle, kPending, kActive, kClearing };
  struct Alert {
    bool is_known = false;
    State state = State::kIdle;
    bool is_acknowledged = false;
    bool is_absent = false;  ///< raised by silence
    Severity severity = Severity::kInfo;
    int64_t since_us = 0;   ///< of pending or clearing, event time
    int64_t raised_us = 0;  ///< event time
    int64_t raised_clock_us = 0;
    int64_t cleared_us = kNoTime;
    int64_t updated_us = 0;
    int64_t seen_clock_us = 0;
    int64_t silenced_until_us = 0;
    int64_t timer_us = kNever;  ///< where the key stands in timers_; not saved
    double value = 0;
    std::string dedupe;
  };

  Alert& alert_of(uint32_t key);
  int64_t due_us(uint32_t key) const;
  void arm(uint32_t key);
  void disarm(uint32_t key);
  void fire(uint32_t key);
  void observe(Alert& alert, const Row& row, Fate& fate);
  void observe_active(Alert& alert, const Row& row, Fate& fate, const EvalContext& eval,
                      bool is_matching, double value);
  bool may_raise(const Alert& alert, uint32_t key, int64_t time_us,
                 const std::string& dedupe) const;
  void raise(Alert& alert, uint32_t key, int64_t time_us, double value);
  void emit(Alert& alert, uint32_t key, const char* state, int64_t time_us, double value,
            const Row* evidence, Fate& fate);

  RulePlan plan_;
  FlowContext context_;
  std::vector<Alert> alerts_;                      // by key number
  std::set<std::pair<int64_t, uint32_t>> timers_;  // of keys, by time
  std::vector<std::vector<Cell>> cells_;           // by key number
  int64_t started_us_ = kNoTime;
  bool has_input_ = false;
  uint64_t event_count_ = 0;
  std::string event_;
};

}  // namespace ew::agent
