// `type: mqtt` under sources: messages of an MQTT server. With QoS 1 and 2 the server keeps a
// message until it is stored here.
#include <utility>

#include "agent/batch_body.h"
#include "agent/mqtt_settings.h"
#include "agent/source.h"
#include "host/event_loop.h"

namespace ew::agent {
namespace {

constexpr WordDef kOwnWords[] = {
    {.name = "topics",
     .kind = WordKind::kTexts,
     .help = "filters to subscribe to; $share/GROUP/FILTER shares with others",
     .is_required = true},
    {.name = "qos",
     .kind = WordKind::kInteger,
     .help = "0 at most once, 1 at least once, 2 once",
     .fallback = "1",
     .min = 0,
     .max = 2},
    {.name = "session",
     .kind = WordKind::kDuration,
     .help = "how long the server keeps messages while the agent is away; needs client_id",
     .fallback = "0s",
     .min = 0,
     .max = 4e9},
    {.name = "read_delay",
     .kind = WordKind::kDuration,
     .help = "how long messages may wait for company; saves wake-ups where latency does not matter",
     .fallback = "0s",
     .min = 0,
     .max = 0.1},
    {.name = "split",
     .kind = WordKind::kFlag,
     .help = "a JSON list, or a value a line, is as many records: messages of sinks with max_batch",
     .fallback = "false"},
    {.name = "receive_maximum",
     .kind = WordKind::kInteger,
     .help = "messages that may be on their way into storage",
     .fallback = "64",
     .min = 1,
     .max = 65535},
};
constexpr auto kWords = with_mqtt_connection(kOwnWords);

/// What a packet may hold beside the payload: topic and properties.
constexpr size_t kPacketExtraBytes = 128 << 10;
constexpr size_t kDefaultPayload = size_t{1} << 20;

class MqttSource final : public Source, private host::MqttHandler {
 public:
  MqttSource(host::MqttOptions options, bool is_durable, const Settings& settings)
      : options_(std::move(options)),
        is_durable_(is_durable),
        is_split_(settings.flag("split")),
        format_(settings.text("format")),
        read_delay_us_(settings.duration_us("read_delay")) {}

  Status start(const SourceContext& context) override {
    intake_ = &context.intake;
    loop_ = &context.loop;
    EW_TRY(client_, host::MqttClient::create(context.loop, *this, options_));
    intake_->set_state(LinkState::kConnecting, "");
    client_->start();
    return {};
  }
  void acknowledge(uint64_t token) override { client_->acknowledge(token); }
  void pause() override {
    is_paused_ = true;
    client_->set_reading(false);
  }
  void resume() override {
    is_paused_ = false;
    if (!is_waiting_) client_->set_reading(true);
  }
  void stop() override {
    if (loop_ != nullptr) loop_->cancel(timer_);
    if (client_) client_->stop();
  }
  bool is_durable() const override { return is_durable_; }
  bool move_to(host::EventLoop& loop) override {
    if (!client_->is_connected() || client_->unacknowledged() > 0) return false;
    loop_->cancel(timer_);
    is_waiting_ = false;
    loop_ = &loop;
    return client_->move_to(loop).ok();
  }
  void go_on(const SourceContext& context) override {
    intake_ = &context.intake;
    intake_->set_state(LinkState::kConnected, kStillConnected);
    resume();
  }

 private:
  void on_connected(bool) override { intake_->set_state(LinkState::kConnected, ""); }
  void on_disconnected(const Error& error) override {
    intake_->set_state(LinkState::kDisconnected, error.message);
  }
  void on_subscription_refused(const std::string& filter, const std::string& why) override {
    intake_->set_state(LinkState::kFailed, str("cannot subscribe to ", filter, ": ", why));
  }
  void on_message(const host::MqttMessage& message) override {
    // One look at the clock for all that came in one wake-up.
    if (arrival_us_ == 0) arrival_us_ = intake_->now_us();
    RawRecord record;
    record.arrival_us = arrival_us_;
    record.topic = message.topic;
    record.payload = host::as_text(message.payload);
    record.ack_token = message.ack_token;
    record.trace_parent = message.properties.user("traceparent").value_or("");
    if (is_split_) return push_records(record);
    intake_->push(record);
  }
  /// The message is acknowledged when its last record is stored, and with it all before.
  void push_records(RawRecord message) {
    const auto records = split_batch(message.payload, format_);
    // What cannot be split is counted by who decodes it.
    if (!records || records->empty()) return intake_->push(message);
    const uint64_t token = std::exchange(message.ack_token, 0);
    for (size_t i = 0; i < records->size(); ++i) {
      message.payload = (*records)[i];
      if (i + 1 == records->size()) message.ack_token = token;
      intake_->push(message);
    }
  }
  void on_batch_end() override {
    arrival_us_ = 0;
    intake_->end_batch();
    if (read_delay_us_ == 0 || is_waiting_ || is_paused_) return;
    // What comes meanwhile waits in the kernel and is read at once: one wake-up for many messages.
    is_waiting_ = true;
    client_->set_reading(false);
    timer_ = loop_->call_after(read_delay_us_, [this] {
      is_waiting_ = false;
      if (!is_paused_) client_->set_reading(true);
    });
  }
  void on_oversized(std::string_view topic, size_t bytes) override {
    intake_->drop(topic, bytes, DropReason::kTooLarge);
  }

  host::MqttOptions options_;
  bool is_durable_;
  bool is_split_;
  std::string format_;
  int64_t read_delay_us_;
  Intake* intake_ = nullptr;
  host::EventLoop* loop_ = nullptr;
  host::EventLoop::TimerId timer_;
  bool is_paused_ = false;
  bool is_waiting_ = false;
  int64_t arrival_us_ = 0;
  std::unique_ptr<host::MqttClient> client_;
};

Result<std::unique_ptr<Source>> create(const Settings& settings, const std::string& name) {
  EW_TRY(host::MqttOptions options, mqtt_connection(settings, name));
  const auto qos = static_cast<uint8_t>(settings.integer("qos"));
  for (const std::string& filter : settings.texts("topics")) {
    if (filter.empty() || !host::is_mqtt_text(filter)) {
      return settings.error("topics", str("'", filter, "' is no topic filter"));
    }
    options.subscriptions.push_back({.filter = filter, .qos = qos, .retain_handling = 1});
  }
  const int64_t session_us = settings.duration_us("session");
  if (session_us > 0) {
    if (!settings.has("client_id")) {
      return settings.error("session", "needs a client_id, by which the server knows the agent");
    }
    options.connect.is_clean = false;
    options.connect.session_expiry_s = static_cast<uint32_t>(session_us / 1'000'000);
  }
  options.connect.receive_maximum = static_cast<uint16_t>(settings.integer("receive_maximum"));
  const auto max_payload = static_cast<size_t>(settings.size("max_payload"));
  options.max_packet_bytes = (max_payload > 0 ? max_payload : kDefaultPayload) + kPacketExtraBytes;
  return std::unique_ptr<Source>(
      std::make_unique<MqttSource>(std::move(options), qos > 0, settings));
}

}  // namespace

extern const SourceType kMqttSource;
const SourceType kMqttSource{.name = "mqtt",
                             .help = "messages of an MQTT server (3.1.1 or 5)",
                             .words = kWords,
                             .create = create};

}  // namespace ew::agent
