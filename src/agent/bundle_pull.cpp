#include "agent/bundle_pull.h"

#include <algorithm>
#include <optional>
#include <random>

#include "agent/background.h"
#include "agent/http_target.h"
#include "agent/mqtt_settings.h"
#include "base/file.h"
#include "host/http_client.h"
#include "host/mqtt_client.h"

namespace ew::agent {
namespace {

/// A packet's topic and properties beside the bundle.
constexpr size_t kPacketExtraBytes = 128 << 10;

/// Takes what pulled: on the loop's thread.
using TakeBundle = std::function<void(std::string bytes, std::string from)>;

/// Asks a URL again and again; a server that knows the ETag answers 304.
class HttpPull {
 public:
  static Result<std::unique_ptr<HttpPull>> create(host::EventLoop& loop, const Settings& s,
                                                  uint64_t max_bytes, PullState& state,
                                                  TakeBundle take, LogTo log) {
    EW_TRY(HttpTarget target, read_http_target(s));
    target.client.limits.max_body_bytes = max_bytes + kMaxBundleHead;
    return std::unique_ptr<HttpPull>(new HttpPull(loop, std::move(target), s.text("url"),
                                                  s.duration_us("every"), state, std::move(take),
                                                  std::move(log)));
  }
  ~HttpPull() { loop_.cancel(timer_); }
  HttpPull(const HttpPull&) = delete;
  HttpPull& operator=(const HttpPull&) = delete;

 private:
  HttpPull(host::EventLoop& loop, HttpTarget target, std::string url, int64_t every_us,
           PullState& state, TakeBundle take, LogTo log)
      : loop_(loop),
        client_(loop, std::move(target.client)),
        path_(std::move(target.path)),
        headers_(std::move(target.headers)),
        url_(std::move(url)),
        every_us_(every_us),
        state_(state),
        take_(std::move(take)),
        log_(std::move(log)) {
    timer_ = loop_.call_after(0, [this] { ask(); });
  }

  void ask() {
    host::HttpRequest request;
    request.path = path_;
    request.headers = headers_;
    if (!state_.etag.empty()) request.headers.add("If-None-Match", state_.etag);
    const Status sent = client_.send(
        std::move(request), [this](Result<host::HttpResponse> answer) { answered(answer); });
    if (!sent.ok()) next(sent.error().message, 0);
  }

  void answered(const Result<host::HttpResponse>& answer) {
    if (!answer.ok()) return next(answer.error().message, 0);
    if (answer->status == 304) return next("", 0);
    if (answer->status != 200) {
      const auto asked = host::retry_after_us(*answer, loop_.system_us());
      return next(
          str("the server answered ", answer->status, " ", host::http_status_text(answer->status)),
          std::clamp<int64_t>(asked.value_or(0), 0, kMaxRetryAfterUs));
    }
    // Also of a bundle that is refused, which need not come again.
    state_.etag = answer->headers.find("ETag").value_or("");
    take_(answer->body, url_);
    next("", 0);
  }

  /// Faults are logged when they begin, and their end.
  void next(const std::string& fault, int64_t least_us) {
    if (fault != fault_) {
      log_({fault.empty() ? LogLevel::kInfo : LogLevel::kWarning, "bundle", url_,
            fault.empty() ? "answers again" : fault});
    }
    fault_ = fault;
    const auto more = static_cast<uint64_t>(every_us_ / 8 + 1);
    const int64_t pause = every_us_ + static_cast<int64_t>(random_() % more);
    timer_ = loop_.call_after(std::max(pause, least_us), [this] { ask(); });
  }

  host::EventLoop& loop_;
  host::HttpClient client_;
  std::string path_;
  host::HttpHeaders headers_;
  std::string url_;
  int64_t every_us_;
  PullState& state_;
  TakeBundle take_;
  LogTo log_;
  std::string fault_;
  std::minstd_rand random_{std::random_device{}()};
  host::EventLoop::TimerId timer_;
};

class MqttPull final : private host::MqttHandler {
 public:
  static Result<std::unique_ptr<MqttPull>> create(host::EventLoop& loop, const Settings& s,
                                                  uint64_t max_bytes, TakeBundle take, LogTo log) {
    EW_TRY(host::MqttOptions options, mqtt_connection(s, "bundle"));
    const std::string topic = s.text("topic");
    if (topic.empty() || !host::is_mqtt_text(topic)) {
      return s.error("topic", str("'", topic, "' is no topic"));
    }
    options.subscriptions.push_back({.filter = topic, .qos = 1});
    options.max_packet_bytes = max_bytes + kMaxBundleHead + kPacketExtraBytes;
    auto pull = std::unique_ptr<MqttPull>(new MqttPull(std::move(take), std::move(log)));
    EW_TRY(pull->client_, host::MqttClient::create(loop, *pull, std::move(options)));
    pull->client_->start();
    return pull;
  }

 private:
  MqttPull(TakeBundle take, LogTo log) : take_(std::move(take)), log_(std::move(log)) {}

  void on_message(const host::MqttMessage& message) override {
    // An empty retained message is how a server is told to forget one.
    if (!message.payload.empty()) {
      take_(std::string(host::as_text(message.payload)), str("mqtt ", message.topic));
    }
    if (message.ack_token != 0) client_->acknowledge(message.ack_token);
  }
  void on_oversized(std::string_view topic, size_t bytes) override {
    log_({LogLevel::kError, "bundle", "mqtt",
          str(topic, ": ", bytes, " bytes are above the limit (max_size)")});
  }
  void on_subscription_refused(const std::string& filter, const std::string& why) override {
    log_({LogLevel::kError, "bundle", "mqtt", str("cannot subscribe to ", filter, ": ", why)});
  }
  void on_connected(bool) override { tell(""); }
  void on_disconnected(const Error& error) override { tell(error.message); }

  void tell(const std::string& fault) {
    if (fault != fault_) {
      log_({fault.empty() ? LogLevel::kInfo : LogLevel::kWarning, "bundle", "mqtt",
            fault.empty() ? "connected" : fault});
    }
    fault_ = fault;
  }

  TakeBundle take_;
  LogTo log_;
  std::string fault_;
  std::unique_ptr<host::MqttClient> client_;
};

}  // namespace

class BundlePull::Impl {
 public:
  Impl(host::EventLoop& loop, const Device& device, ApplyBundle apply, PullState& state, LogTo log)
      : loop_(loop),
        device_(device),
        apply_(std::move(apply)),
        state_(state),
        log_(std::move(log)) {}

  Status start() {
    const Settings pull = device_.settings.map("pull");
    const TakeBundle take = [this](std::string bytes, std::string from) {
      waiting_ = {std::move(bytes), std::move(from)};
      work();
    };
    if (pull.has("http")) {
      EW_TRY(http_,
             HttpPull::create(loop_, pull.map("http"), device_.max_bytes, state_, take, log_));
    }
    if (pull.has("mqtt")) {
      EW_TRY(mqtt_, MqttPull::create(loop_, pull.map("mqtt"), device_.max_bytes, take, log_));
    }
    return {};
  }

 private:
  struct Job {
    std::string bytes;
    std::string from;
  };

  /// One at a time; of those that come meanwhile the last one follows.
  void work() {
    if (is_working_ || !waiting_) return;
    is_working_ = true;
    worker_ = std::make_unique<Background>(loop_);
    worker_->start([this, job = std::move(*std::exchange(waiting_, std::nullopt))] {
      auto done = std::make_shared<Result<BundleManifest>>(apply(job.bytes));
      worker_->post([this, done, from = job.from] { finished(*done, from); });
    });
  }

  /// On the worker's thread. A manifest of version 0: nothing new.
  Result<BundleManifest> apply(const std::string& bytes) const {
    const MemoryFile file(host::as_bytes(bytes));
    EW_TRY(const BundleHead head, read_bundle_head(file));
    EW_TRY_VOID(verify_bundle(head, device_.trusted));
    EW_TRY(const SlotRecord record, read_slots(host::real_file_system(), device_.folder));
    if (head.manifest.version == record.highest) return BundleManifest{};
    return apply_(file);
  }

  void finished(const Result<BundleManifest>& done, const std::string& from) {
    is_working_ = false;
    if (!done.ok()) {
      ++state_.refused;
      state_.last_refusal = str(from, ": ", done.error().message);
      log_({LogLevel::kError, "bundle", "", "refused: " + state_.last_refusal});
    } else if (done->version == 0) {
      ++state_.unchanged;
    } else {
      ++state_.applied;
      log_({LogLevel::kInfo, "bundle", "", str("applied version ", done->version, " from ", from)});
    }
    // This call came from the worker, which may be replaced once it has returned.
    loop_.post([this, is_alive = std::weak_ptr<bool>(is_alive_)] {
      if (!is_alive.expired()) work();
    });
  }

  host::EventLoop& loop_;
  const Device& device_;
  ApplyBundle apply_;
  PullState& state_;
  LogTo log_;
  std::optional<Job> waiting_;
  bool is_working_ = false;
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
  std::unique_ptr<HttpPull> http_;
  std::unique_ptr<MqttPull> mqtt_;
  std::unique_ptr<Background> worker_;
};

BundlePull::BundlePull(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BundlePull::~BundlePull() = default;

Result<std::unique_ptr<BundlePull>> BundlePull::create(host::EventLoop& loop, const Device& device,
                                                       ApplyBundle apply, PullState& state,
                                                       LogTo log) {
  if (!device.settings.has("pull")) return std::unique_ptr<BundlePull>();
  auto impl = std::make_unique<Impl>(loop, device, std::move(apply), state, std::move(log));
  EW_TRY_VOID(impl->start());
  return std::unique_ptr<BundlePull>(new BundlePull(std::move(impl)));
}

}  // namespace ew::agent
