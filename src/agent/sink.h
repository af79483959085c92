#pragma once
// What takes messages out. Everything happens on the event loop's thread.
//
// The agent keeps every output until the sink says what became of it, so a sink has no queue and
// stores nothing: it is offered outputs while ready() is true and answers for each, at once or
// later.

#include <memory>
#include <span>
#include <string>

#include "agent/record.h"
#include "agent/settings.h"
#include "agent/source.h"
#include "base/result.h"

namespace ew::agent {

/// One output; views hold only during send().
struct Output {
  uint64_t ticket = 0;    ///< names it in the sink's answers
  std::string_view id;    ///< stable over restarts: "app/sink/number"
  std::string_view rule;  ///< the rule or stream that sends it
  std::string_view key;
  std::string_view topic;     ///< of the input it came from; may be empty
  std::string_view payload;   ///< the input's bytes where nothing changed them, else JSON
  int64_t event_time_us = 0;  ///< microseconds since 1970
  Priority priority = Priority::kTelemetry;
  bool is_resent = false;              ///< may have been sent before
  std::string_view trace_parent = {};  ///< W3C Trace Context, for who is sent one output at a time
};

enum class SendResult {
  kDelivered,  ///< done: written, or sent where nobody acknowledges
  kInFlight,   ///< answered later through Outlet
  kBusy,       ///< not taken; Outlet::ready() follows
};

/// Where a sink answers.
class Outlet {
 public:
  virtual ~Outlet() = default;
  /// The receiver has it.
  virtual void delivered(uint64_t ticket) = 0;
  /// The receiver refused it for good: dropped and counted.
  virtual void refused(uint64_t ticket, std::string_view why) = 0;
  /// The connection is lost: everything in flight will be offered again, marked as resent.
  virtual void reset() = 0;
  /// ready() has become true.
  virtual void ready() = 0;
  virtual void set_state(LinkState state, std::string_view detail) = 0;
};

struct SinkContext {
  host::EventLoop& loop;
  Outlet& outlet;
};

class Sink {
 public:
  virtual ~Sink() = default;
  /// Starts connecting. Errors only for what will never work.
  virtual Status start(const SinkContext& context) = 0;
  /// Whether send() may be called now: connected, and the window of unanswered outputs is open.
  virtual bool ready() const = 0;
  virtual SendResult send(const Output& output) = 0;
  /// Behind the last send() of a wake-up: whatever was buffered goes out in one write.
  virtual void flush() {}
  /// Nothing follows for a while: what waits for company leaves too.
  virtual void hurry() { flush(); }
  /// Unanswered outputs stay with the agent.
  virtual void stop() = 0;
  /// As Source::move_to(), when all that was sent is answered.
  virtual bool move_to([[maybe_unused]] host::EventLoop& loop) { return false; }
  /// Behind move_to(), in place of start().
  virtual void go_on([[maybe_unused]] const SinkContext& context) {}
  /// Whether the receiver acknowledges. Where not, handing over counts as delivery.
  virtual bool is_acknowledged() const { return false; }
};

struct SinkType {
  const char* name;
  const char* help;
  std::span<const WordDef> words;
  Result<std::unique_ptr<Sink>> (*create)(const Settings& settings, const std::string& name);
};

/// All kinds. A new one is a file and a line in sink_table.cpp.
std::span<const SinkType* const> sink_types();

}  // namespace ew::agent
