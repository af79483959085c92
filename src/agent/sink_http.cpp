// `type: http` posts batches of outputs, `type: webhook` one output a request. A request counts
// once the server has answered 2xx; what it may have seen before says so and has the same id.
#include <algorithm>
#include <optional>

#include "agent/background.h"
#include "agent/batch_body.h"
#include "agent/http_target.h"
#include "agent/sink.h"
#include "host/event_loop.h"

namespace ew::agent {
namespace {

constexpr WordDef kOwnHookWords[] = {
    {.name = "retry_max",
     .kind = WordKind::kDuration,
     .help = "longest pause between attempts; they begin at 100 ms and double",
     .fallback = "30s",
     .min = 0.1,
     .max = 3600},
};
constexpr auto kHookWords = with_http_target(kOwnHookWords);

constexpr WordDef kOwnBatchWords[] = {
    kOwnHookWords[0],
    {.name = "format",
     .kind = WordKind::kChoice,
     .help = "of the body: one JSON list, or a JSON value a line",
     .fallback = "json",
     .choices = kBatchFormats},
    {.name = "max_batch",
     .kind = WordKind::kInteger,
     .help = "outputs in one request",
     .fallback = "100",
     .min = 1,
     .max = 10000},
    {.name = "max_wait",
     .kind = WordKind::kDuration,
     .help = "how long outputs wait for company",
     .fallback = "0",
     .min = 0,
     .max = 3600},
    {.name = "ids",
     .kind = WordKind::kFlag,
     .help = "outputs are {id, rule, key, time, resent, data}, else their payloads only",
     .fallback = "true"},
};

constexpr auto kBatchWords = with_http_target(kOwnBatchWords);

struct Options {
  HttpTarget target;
  int64_t retry_max_us = 0;
  BatchFormat format{.is_list = false, .has_ids = false};
  size_t max_batch = 1;
  int64_t max_wait_us = 0;
};

class HttpSink final : public Sink {
 public:
  explicit HttpSink(Options options)
      : options_(std::move(options)), back_off_(100'000, options_.retry_max_us) {}
  ~HttpSink() override { stop(); }

  Status start(const SinkContext& context) override {
    context_.emplace(context);
    client_ = std::make_unique<host::HttpClient>(context.loop, options_.target.client);
    context.outlet.set_state(LinkState::kConnecting, "");
    return {};
  }

  bool ready() const override { return client_ != nullptr && !is_waiting_ && !is_full(); }

  SendResult send(const Output& output) override {
    next_.tickets.push_back(output.ticket);
    next_.first_id = next_.tickets.size() == 1 ? std::string(output.id) : "";
    next_.is_resent = output.is_resent;
    next_.trace_parent = next_.tickets.size() == 1 ? std::string(output.trace_parent) : "";
    append(output);
    return SendResult::kInFlight;
  }

  // Requests leave from here and from the loop, never from send(): a failure takes back what is in
  // flight, which the caller of send() is about to count.
  void flush() override {
    if (next_.tickets.empty() || !sending_.tickets.empty() || is_waiting_) return;
    if (is_full() || options_.max_wait_us == 0 || is_due_) return post();
    if (is_timer_set_) return;
    is_timer_set_ = true;
    timer_ = context_->loop.call_after(options_.max_wait_us, [this] {
      is_timer_set_ = false;
      is_due_ = true;
      flush();
    });
  }

  void hurry() override {
    is_due_ = !next_.tickets.empty();
    flush();
  }

  void stop() override {
    if (context_) context_->loop.cancel(timer_);
    if (client_) client_->stop();
    client_.reset();
  }

  bool is_acknowledged() const override { return true; }

 private:
  struct Batch {
    std::vector<uint64_t> tickets;
    std::string body;
    std::string first_id;  // of the only one
    bool is_resent = false;
    std::string trace_parent;  // of the only one
  };

  size_t limit() const { return singles_ > 0 ? 1 : options_.max_batch; }
  bool is_full() const {
    return next_.tickets.size() >= limit() || next_.body.size() >= kMaxBatchBytes;
  }

  void append(const Output& output) {
    const BatchFormat& format = options_.format;
    // A single payload goes as it is, whatever it is.
    if (!format.has_ids && !format.is_list && options_.max_batch == 1) {
      next_.body += output.payload;
    } else {
      append_output(next_.body, output, format);
    }
  }

  void post() {
    if (is_timer_set_) context_->loop.cancel(timer_);
    is_timer_set_ = is_due_ = false;
    sending_ = std::exchange(next_, {});
    end_batch(sending_.body, options_.format);
    host::HttpRequest request;
    request.method = "POST";
    request.path = options_.target.path;
    request.headers = options_.target.headers;
    if (sending_.tickets.size() == 1) {
      request.headers.add("Idempotency-Key", sending_.first_id);
      if (sending_.is_resent) request.headers.add("X-Resent", "true");
      if (!sending_.trace_parent.empty()) {
        request.headers.add("traceparent", sending_.trace_parent);
      }
    }
    request.body = std::move(sending_.body);
    const Status status = client_->send(std::move(request), [this](Result<host::HttpResponse> r) {
      if (!r.ok()) return try_later(back_off_.next(), r.error().message);
      answered(*r);
    });
    if (!status.ok()) try_later(back_off_.next(), status.error().message);
  }

  void answered(const host::HttpResponse& response) {
    const int status = response.status;
    const std::string why =
        str("the server answered ", status, " ", host::http_status_text(status));
    if (status >= 200 && status < 300) {
      settle([this](uint64_t ticket) { context_->outlet.delivered(ticket); });
      return;
    }
    const bool is_for_good =
        status >= 400 && status < 500 && status != 408 && status != 425 && status != 429;
    if (!is_for_good) {
      const auto asked = host::retry_after_us(response, context_->loop.system_us());
      const int64_t own = back_off_.next();
      return try_later(asked ? std::clamp<int64_t>(*asked, 0, kMaxRetryAfterUs) : own, why);
    }
    // One output of a batch may be what the server does not like: each goes alone.
    if (sending_.tickets.size() > 1 && (status == 400 || status == 413 || status == 422)) {
      singles_ = sending_.tickets.size();
      return try_later(0, why);
    }
    settle([&](uint64_t ticket) { context_->outlet.refused(ticket, why); });
  }

  template <typename Tell>
  void settle(Tell tell) {
    back_off_.reset();
    const std::vector<uint64_t> tickets = std::move(std::exchange(sending_, {}).tickets);
    singles_ -= std::min(singles_, tickets.size());
    if (!is_connected_) {
      is_connected_ = true;
      context_->outlet.set_state(LinkState::kConnected, options_.target.path);
    }
    for (const uint64_t ticket : tickets) tell(ticket);
    context_->outlet.ready();
    flush();
  }

  // Everything in flight goes back to the queue at once, where it may also grow too old.
  void try_later(int64_t delay_us, const std::string& why) {
    is_waiting_ = true;
    is_connected_ = false;
    sending_ = {};
    next_ = {};
    context_->loop.cancel(timer_);
    is_timer_set_ = is_due_ = false;
    context_->outlet.set_state(LinkState::kDisconnected, why);
    context_->outlet.reset();
    timer_ = context_->loop.call_after(delay_us, [this] {
      is_waiting_ = false;
      context_->outlet.ready();
      flush();
    });
  }

  Options options_;
  BackOff back_off_;
  std::optional<SinkContext> context_;
  std::unique_ptr<host::HttpClient> client_;
  Batch next_;     // being filled
  Batch sending_;  // waits for its answer
  host::EventLoop::TimerId timer_;
  bool is_timer_set_ = false;
  bool is_due_ = false;
  bool is_waiting_ = false;
  bool is_connected_ = false;
  size_t singles_ = 0;  // so many outputs go one by one
};

Result<Options> read_options(const Settings& settings) {
  Options options;
  EW_TRY(options.target, read_http_target(settings));
  options.retry_max_us = settings.duration_us("retry_max");
  return options;
}

Result<std::unique_ptr<Sink>> create_batch(const Settings& settings, const std::string&) {
  EW_TRY(Options options, read_options(settings));
  options.format.is_list = settings.text("format") == "json";
  options.format.has_ids = settings.flag("ids");
  options.max_batch = static_cast<size_t>(settings.integer("max_batch"));
  options.max_wait_us = settings.duration_us("max_wait");
  options.target.headers.add("Content-Type",
                             options.format.is_list ? "application/json" : "application/x-ndjson");
  return std::unique_ptr<Sink>(std::make_unique<HttpSink>(std::move(options)));
}

Result<std::unique_ptr<Sink>> create_hook(const Settings& settings, const std::string&) {
  EW_TRY(Options options, read_options(settings));
  options.target.headers.add("Content-Type", "application/json");
  return std::unique_ptr<Sink>(std::make_unique<HttpSink>(std::move(options)));
}

}  // namespace

extern const SinkType kHttpSink;
const SinkType kHttpSink{.name = "http",
                         .help = "batches posted to an HTTP server",
                         .words = kBatchWords,
                         .create = create_batch};
extern const SinkType kWebhookSink;
const SinkType kWebhookSink{.name = "webhook",
                            .help = "one HTTP request for each output",
                            .words = kHookWords,
                            .create = create_hook};

}  // namespace ew::agent
