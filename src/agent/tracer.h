#pragma once
// Traces of single inputs for OpenTelemetry: when one came, when it was stored and processed, and
// when each output that it led to was delivered. Sent to a collector as OTLP/HTTP with JSON
// (OpenTelemetry Protocol 1.3). Exists only where the app file has `traces:`.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "agent/app.h"
#include "agent/background.h"
#include "agent/http_target.h"
#include "agent/log_line.h"
#include "agent/record.h"
#include "host/event_loop.h"
#include "host/http_client.h"

namespace ew::agent {

inline constexpr WordDef kOwnTraceWords[] = {
    {.name = "sample",
     .kind = WordKind::kNumber,
     .help = "share of the inputs that are traced",
     .fallback = "0.01",
     .min = 0,
     .max = 1},
    {.name = "every",
     .kind = WordKind::kDuration,
     .help = "how long spans wait for company",
     .fallback = "5s",
     .min = 0.01,
     .max = 3600},
    {.name = "service", .help = "service.name of the resource; without it the app's name"}};
inline constexpr auto kTraceWords = with_http_target(kOwnTraceWords);

/// Trace Context (W3C), 3.2.2: which trace something belongs to, and the span that it comes from.
struct TraceContext {
  uint64_t trace[2] = {};
  uint64_t span = 0;
};

/// What a traceparent says (version 00, or a later one that begins as it does).
struct TraceParent {
  TraceContext context;
  bool is_sampled = false;
};
std::optional<TraceParent> parse_trace_parent(std::string_view text);

/// An input that is traced, until it is processed.
struct TracedInput {
  TraceContext context;
  uint64_t parent = 0;  ///< the sender's span; 0: the trace begins here
  std::string source;
  int64_t arrival_us = 0;
  int64_t stored_us = 0;  ///< 0: it was not stored
  int64_t begin_us = 0;   ///< of its processing
  size_t bytes = 0;
};

/// Everything happens on the loop's thread. Spans that the collector does not take wait, up to a
/// bound; tracing never holds up what is traced.
class Tracer {
 public:
  struct Counts {
    uint64_t sent = 0;     ///< spans that a collector has taken
    uint64_t dropped = 0;  ///< spans that were given up
  };

  /// Null if the app file has no `traces:`. Error kInvalidData for settings that cannot be.
  static Result<std::unique_ptr<Tracer>> create(const App& app);
  ~Tracer();
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  /// Before all else. `now_us` is the app's clock.
  void start(host::EventLoop& loop, std::function<int64_t()> now_us, LogTo log);
  /// Null for an input that is not traced. Who sent it decides, if its traceparent says so; else
  /// the share does.
  std::unique_ptr<TracedInput> begin(const std::string& source, const RawRecord& record);
  void stored(TracedInput& input) const { input.stored_us = now_us_(); }
  /// Outputs queued between the two belong to the input.
  void enter(TracedInput& input);
  void leave(const TracedInput& input);

  void queued(const std::string& sink, uint64_t ticket, const std::string& rule);
  /// Of an output that was queued within a trace; else "". Valid until the next call.
  std::string_view trace_parent(const std::string& sink, uint64_t ticket);
  void settled(const std::string& sink, uint64_t ticket, bool is_delivered);

  /// Sends what waits; whether an answer is awaited.
  bool hurry();

  const Counts& counts() const { return counts_; }

 private:
  struct Span;
  struct Waiting;  ///< an output on its way

  Tracer(const App& app, const Settings& settings, HttpTarget target);
  uint64_t new_id();
  void add(const Span& span);
  void send();
  void answered(const Result<host::HttpResponse>& answer);
  void call_later(int64_t us);

  host::EventLoop* loop_ = nullptr;
  std::function<int64_t()> now_us_;
  LogTo log_;
  std::string url_;
  HttpTarget target_;
  std::string head_;  ///< of a body, up to the list of spans
  double share_;
  int64_t every_us_;
  std::mt19937_64 random_;
  const TracedInput* current_ = nullptr;
  std::string trace_parent_;
  std::map<std::pair<std::string, uint64_t>, Waiting> waiting_;  ///< by sink and ticket
  std::vector<std::string> spans_;                               ///< to be sent, as JSON
  size_t in_flight_ = 0;                                         ///< the first spans
  bool is_failing_ = false;
  BackOff back_off_;
  Counts counts_;
  host::EventLoop::TimerId timer_;
  bool is_timer_set_ = false;
  std::unique_ptr<host::HttpClient> client_;
};

}  // namespace ew::agent
