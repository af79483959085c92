#include "agent/tracer.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "agent/http_target.h"
#include "agent/value.h"
#include "base/str.h"

namespace ew::agent {
namespace {

constexpr size_t kBatch = 256;
constexpr size_t kMaxSpans = 4096;
constexpr size_t kMaxWaiting = 4096;
// Between two attempts.
constexpr int64_t kFirstPauseUs = 250'000;
constexpr int64_t kLongestPauseUs = 60'000'000;

// SpanKind of opentelemetry/proto/trace/v1/trace.proto.
enum class SpanKind { kInternal = 1, kProducer = 4, kConsumer = 5 };

void append_hex(std::string& out, uint64_t id) {
  char text[24];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(id));
  out += text;
}

bool read_hex(std::string_view text, uint64_t& value) {
  const bool is_hex = text.find_first_not_of("0123456789abcdef") == text.npos;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return is_hex && end.ptr == text.data() + text.size();
}

void append_attribute(std::string& out, std::string_view key, std::string_view value) {
  if (out.ends_with('}')) out += ',';
  out += "{\"key\":";
  append_json_text(out, key);
  out += ",\"value\":{\"stringValue\":";
  append_json_text(out, value);
  out += "}}";
}

void append_attribute(std::string& out, std::string_view key, uint64_t value) {
  if (out.ends_with('}')) out += ',';
  out += "{\"key\":";
  append_json_text(out, key);
  out += str(",\"value\":{\"intValue\":\"", value, "\"}}");
}

}  // namespace

std::optional<TraceParent> parse_trace_parent(std::string_view text) {
  // VERSION-TRACE-PARENT-FLAGS, of 2, 32, 16 and 2 lower-case hexadecimal digits (3.2.2).
  constexpr size_t kSize = 55;
  if (text.size() < kSize || text[2] != '-' || text[35] != '-' || text[52] != '-') return {};
  uint64_t version = 0;
  uint64_t flags = 0;
  TraceParent parent;
  if (!read_hex(text.substr(0, 2), version) ||
      !read_hex(text.substr(3, 16), parent.context.trace[0]) ||
      !read_hex(text.substr(19, 16), parent.context.trace[1]) ||
      !read_hex(text.substr(36, 16), parent.context.span) || !read_hex(text.substr(53, 2), flags)) {
    return {};
  }
  const bool is_longer = text.size() > kSize;
  if (version == 0xff || (version == 0 && is_longer) || (is_longer && text[kSize] != '-'))
    return {};
  const auto& [high, low] = parent.context.trace;
  if ((high == 0 && low == 0) || parent.context.span == 0) return {};
  parent.is_sampled = (flags & 1) != 0;
  return parent;
}

struct Tracer::Span {
  TraceContext context;
  uint64_t parent = 0;  ///< 0: a root
  std::string name;
  SpanKind kind = SpanKind::kInternal;
  int64_t begin_us = 0;
  int64_t end_us = 0;
  std::string attributes = {};  ///< a list in JSON, without its brackets
  const char* fault = nullptr;
};

struct Tracer::Waiting {
  TraceContext context;
  uint64_t parent = 0;
  int64_t begin_us = 0;
  std::string rule;
};

Result<std::unique_ptr<Tracer>> Tracer::create(const App& app) {
  if (!app.agent.has("traces")) return std::unique_ptr<Tracer>();
  const Settings settings = app.agent.map("traces");
  EW_TRY(HttpTarget target, read_http_target(settings));
  return std::unique_ptr<Tracer>(new Tracer(app, settings, std::move(target)));
}

Tracer::Tracer(const App& app, const Settings& settings, HttpTarget target)
    : url_(settings.text("url")),
      target_(std::move(target)),
      share_(settings.number("sample")),
      every_us_(settings.duration_us("every")),
      random_(std::random_device{}()),
      back_off_(kFirstPauseUs, kLongestPauseUs) {
  target_.headers.add("Content-Type", "application/json");
  head_ = "{\"resourceSpans\":[{\"resource\":{\"attributes\":[";
  append_attribute(head_, "service.name",
                   settings.has("service") ? settings.text("service") : app.name);
  head_ += "]},\"scopeSpans\":[{\"scope\":{\"name\":\"edgewise\"},\"spans\":[";
}

Tracer::~Tracer() {
  if (loop_ != nullptr) loop_->cancel(timer_);
}

void Tracer::start(host::EventLoop& loop, std::function<int64_t()> now_us, LogTo log) {
  loop_ = &loop;
  now_us_ = std::move(now_us);
  log_ = std::move(log);
  client_ = std::make_unique<host::HttpClient>(loop, target_.client);
}

/// Ids of zeros are none.
uint64_t Tracer::new_id() {
  uint64_t id = 0;
  while (id == 0) id = random_();
  return id;
}

std::unique_ptr<TracedInput> Tracer::begin(const std::string& source, const RawRecord& record) {
  auto input = std::make_unique<TracedInput>();
  if (const auto sender = parse_trace_parent(record.trace_parent)) {
    if (!sender->is_sampled) return nullptr;
    input->context = sender->context;
    input->parent = sender->context.span;
  } else {
    if (std::uniform_real_distribution<double>()(random_) >= share_) return nullptr;
    for (uint64_t& half : input->context.trace) half = new_id();
  }
  input->context.span = new_id();
  input->source = source;
  input->arrival_us = record.arrival_us;
  input->bytes = record.payload.size();
  return input;
}

void Tracer::enter(TracedInput& input) {
  input.begin_us = now_us_();
  current_ = &input;
}

void Tracer::leave(const TracedInput& input) {
  current_ = nullptr;
  const int64_t now = now_us_();
  if (input.stored_us != 0) {
    add({.context = {{input.context.trace[0], input.context.trace[1]}, new_id()},
         .parent = input.context.span,
         .name = "store",
         .begin_us = input.arrival_us,
         .end_us = input.stored_us});
  }
  add({.context = {{input.context.trace[0], input.context.trace[1]}, new_id()},
       .parent = input.context.span,
       .name = "process",
       .begin_us = input.begin_us,
       .end_us = now});
  Span root{.context = input.context,
            .parent = input.parent,
            .name = "receive " + input.source,
            .kind = SpanKind::kConsumer,
            .begin_us = input.arrival_us,
            .end_us = now};
  append_attribute(root.attributes, "edgewise.source", input.source);
  append_attribute(root.attributes, "messaging.message.body.size", uint64_t{input.bytes});
  add(root);
}

void Tracer::queued(const std::string& sink, uint64_t ticket, const std::string& rule) {
  if (current_ == nullptr) return;
  if (waiting_.size() >= kMaxWaiting) {
    const auto begin = [](const auto& entry) { return entry.second.begin_us; };
    waiting_.erase(std::ranges::min_element(waiting_, {}, begin));
    ++counts_.dropped;
  }
  TraceContext context = current_->context;
  context.span = new_id();
  waiting_.insert_or_assign({sink, ticket},
                            Waiting{context, current_->context.span, now_us_(), rule});
}

std::string_view Tracer::trace_parent(const std::string& sink, uint64_t ticket) {
  if (waiting_.empty()) return "";
  const auto at = waiting_.find({sink, ticket});
  if (at == waiting_.end()) return "";
  trace_parent_ = "00-";
  append_hex(trace_parent_, at->second.context.trace[0]);
  append_hex(trace_parent_, at->second.context.trace[1]);
  trace_parent_ += '-';
  append_hex(trace_parent_, at->second.context.span);
  trace_parent_ += "-01";
  return trace_parent_;
}

void Tracer::settled(const std::string& sink, uint64_t ticket, bool is_delivered) {
  if (waiting_.empty()) return;
  const auto at = waiting_.find({sink, ticket});
  if (at == waiting_.end()) return;
  const Waiting& output = at->second;
  Span span{.context = output.context,
            .parent = output.parent,
            .name = "send " + sink,
            .kind = SpanKind::kProducer,
            .begin_us = output.begin_us,
            .end_us = now_us_()};
  append_attribute(span.attributes, "edgewise.sink", sink);
  append_attribute(span.attributes, "edgewise.rule", output.rule);
  if (!is_delivered) span.fault = "dropped";
  add(span);
  waiting_.erase(at);
}

void Tracer::add(const Span& span) {
  if (spans_.size() >= kMaxSpans) {
    ++counts_.dropped;
    return;
  }
  std::string out = "{\"traceId\":\"";
  append_hex(out, span.context.trace[0]);
  append_hex(out, span.context.trace[1]);
  out += "\",\"spanId\":\"";
  append_hex(out, span.context.span);
  if (span.parent != 0) {
    out += "\",\"parentSpanId\":\"";
    append_hex(out, span.parent);
  }
  out += "\",\"name\":";
  append_json_text(out, span.name);
  out += str(",\"kind\":", static_cast<int>(span.kind), ",\"startTimeUnixNano\":\"", span.begin_us,
             "000\",\"endTimeUnixNano\":\"", span.end_us, "000\"");
  if (!span.attributes.empty()) out += str(",\"attributes\":[", span.attributes, "]");
  if (span.fault != nullptr)
    out += str(",\"status\":{\"code\":2,\"message\":\"", span.fault, "\"}");
  spans_.push_back(out + "}");
  if (spans_.size() - in_flight_ >= kBatch && in_flight_ == 0 && !is_failing_) {
    loop_->cancel(timer_);
    is_timer_set_ = false;
    send();
  } else if (!is_timer_set_ && in_flight_ == 0) {
    call_later(every_us_);
  }
}

bool Tracer::hurry() {
  if (in_flight_ > 0 || is_failing_) return in_flight_ > 0;
  loop_->cancel(timer_);
  is_timer_set_ = false;
  send();
  return in_flight_ > 0;
}

void Tracer::call_later(int64_t us) {
  is_timer_set_ = true;
  timer_ = loop_->call_after(us, [this] {
    is_timer_set_ = false;
    send();
  });
}

void Tracer::send() {
  in_flight_ = std::min(spans_.size(), kBatch);
  if (in_flight_ == 0) return;
  host::HttpRequest request;
  request.method = "POST";
  request.path = target_.path;
  request.headers = target_.headers;
  request.body = head_;
  for (size_t i = 0; i < in_flight_; ++i) request.body += (i > 0 ? "," : "") + spans_[i];
  request.body += "]}]}]}";
  const Status status = client_->send(
      std::move(request), [this](Result<host::HttpResponse> answer) { answered(answer); });
  if (!status.ok()) answered(status.error());
}

void Tracer::answered(const Result<host::HttpResponse>& answer) {
  // OTLP 1.3, "Failures": which answers ask for another try.
  const bool is_taken = answer.ok() && answer->status >= 200 && answer->status < 300;
  const bool comes_again = !answer.ok() || answer->status == 429 || answer->status == 502 ||
                           answer->status == 503 || answer->status == 504;
  if (is_taken) counts_.sent += in_flight_;
  if (!is_taken && !comes_again) counts_.dropped += in_flight_;
  if (!comes_again) {
    spans_.erase(spans_.begin(), spans_.begin() + static_cast<std::ptrdiff_t>(in_flight_));
  }
  in_flight_ = 0;
  if (is_taken == is_failing_) {
    is_failing_ = !is_taken;
    log_({is_taken ? LogLevel::kInfo : LogLevel::kWarning, "traces", "",
          is_taken ? str(url_, ": connected")
                   : str(url_, ": ",
                         answer.ok() ? str("the server answered ", answer->status, " ",
                                           host::http_status_text(answer->status))
                                     : answer.error().message)});
  }
  if (is_taken) back_off_.reset();
  if (spans_.empty()) return;
  if (is_taken) return call_later(spans_.size() >= kBatch ? 0 : every_us_);
  const auto asked = answer.ok() ? host::retry_after_us(*answer, loop_->system_us()) : std::nullopt;
  call_later(asked ? std::clamp<int64_t>(*asked, 0, kMaxRetryAfterUs) : back_off_.next());
}

}  // namespace ew::agent
