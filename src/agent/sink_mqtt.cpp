// `type: mqtt` under sinks: publishes to an MQTT server.
#include "agent/mqtt_settings.h"
#include "agent/sink.h"

namespace ew::agent {
namespace {

constexpr WordDef kOwnWords[] = {
    {.name = "topic",
     .help = "where to publish; {key}, {topic} and {rule} stand for the output's",
     .is_required = true},
    {.name = "qos",
     .kind = WordKind::kInteger,
     .help = "0 at most once, 1 at least once, 2 once",
     .fallback = "1",
     .min = 0,
     .max = 2},
    {.name = "retain",
     .kind = WordKind::kFlag,
     .help = "the server keeps the last one for those who come later",
     .fallback = "false"},
    {.name = "ids",
     .kind = WordKind::kFlag,
     .help = "MQTT 5: user properties id and resent, by which a receiver drops duplicates",
     .fallback = "true"},
    {.name = "max_in_flight",
     .kind = WordKind::kInteger,
     .help = "outputs that the server has not acknowledged",
     .fallback = "64",
     .min = 1,
     .max = 65534},
    {.name = "batch_delay",
     .kind = WordKind::kDuration,
     .help = "how long outputs wait for company in one write",
     .fallback = "0s",
     .min = 0,
     .max = 0.1},
};
constexpr auto kWords = with_mqtt_connection(kOwnWords);

/// A topic with places for what an output is about.
class TopicTemplate {
 public:
  explicit TopicTemplate(std::string text) : text_(std::move(text)) {
    is_fixed_ = text_.find('{') == std::string::npos;
  }
  bool is_fixed() const { return is_fixed_; }

  /// Valid until the next call.
  std::string_view topic_of(const Output& output) {
    if (is_fixed_) return text_;
    filled_.clear();
    for (size_t at = 0; at < text_.size();) {
      const size_t open = text_.find('{', at);
      filled_.append(text_, at, open - at);
      if (open == std::string::npos) break;
      const size_t close = text_.find('}', open);
      filled_ += value_of(std::string_view(text_).substr(open + 1, close - open - 1), output);
      at = close + 1;
    }
    return filled_;
  }

  /// The first word in braces that means nothing, or "" if all do.
  std::string unknown_place() const {
    for (size_t at = 0; (at = text_.find('{', at)) != std::string::npos; ++at) {
      const size_t close = text_.find('}', at);
      if (close == std::string::npos) return text_.substr(at);
      const std::string word = text_.substr(at + 1, close - at - 1);
      if (word != "key" && word != "topic" && word != "rule") return word;
    }
    return "";
  }

 private:
  static std::string_view value_of(std::string_view word, const Output& output) {
    if (word == "key") return output.key;
    return word == "topic" ? output.topic : output.rule;
  }

  std::string text_;
  std::string filled_;
  bool is_fixed_ = true;
};

class MqttSink final : public Sink, private host::MqttHandler {
 public:
  MqttSink(host::MqttOptions options, TopicTemplate topic, const Settings& settings)
      : options_(std::move(options)),
        topic_(std::move(topic)),
        qos_(static_cast<uint8_t>(settings.integer("qos"))),
        is_retained_(settings.flag("retain")),
        has_ids_(settings.flag("ids") && options_.connect.version == host::MqttVersion::k5) {}

  Status start(const SinkContext& context) override {
    loop_ = &context.loop;
    outlet_ = &context.outlet;
    EW_TRY(client_, host::MqttClient::create(context.loop, *this, options_));
    outlet_->set_state(LinkState::kConnecting, "");
    client_->start();
    return {};
  }
  bool ready() const override { return client_ && client_->can_publish(qos_); }
  SendResult send(const Output& output) override;
  void stop() override {
    if (client_) client_->stop();
    alive_.reset();
  }
  bool is_acknowledged() const override { return qos_ > 0; }

 private:
  void on_connected(bool) override {
    outlet_->set_state(LinkState::kConnected, "");
    outlet_->ready();
  }
  void on_disconnected(const Error& error) override {
    outlet_->reset();
    outlet_->set_state(LinkState::kDisconnected, error.message);
  }
  void on_published(uint64_t tag, uint8_t reason) override {
    if (reason < 0x80) {
      outlet_->delivered(tag);
    } else {
      outlet_->refused(tag, host::mqtt_reason_text(client_->version(), reason));
    }
  }
  void on_writable() override { outlet_->ready(); }
  SendResult refuse(uint64_t ticket, const char* why);

  host::MqttOptions options_;
  TopicTemplate topic_;
  uint8_t qos_;
  bool is_retained_;
  bool has_ids_;
  host::EventLoop* loop_ = nullptr;
  Outlet* outlet_ = nullptr;
  std::unique_ptr<host::MqttClient> client_;
  host::MqttPropertyWriter properties_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

/// The answer comes from the loop, because the caller is still in send().
SendResult MqttSink::refuse(uint64_t ticket, const char* why) {
  loop_->post([this, alive = std::weak_ptr<bool>(alive_), ticket, why] {
    if (!alive.expired()) outlet_->refused(ticket, why);
  });
  return SendResult::kInFlight;
}

SendResult MqttSink::send(const Output& output) {
  const std::string_view topic = topic_.topic_of(output);
  if (!topic_.is_fixed() && !host::is_mqtt_topic(topic)) {
    return refuse(output.ticket, "its topic is empty, has wildcards, or is no UTF-8");
  }
  properties_.clear();
  if (has_ids_) {
    properties_.user("id", output.id);
    if (output.is_resent) properties_.user("resent", "true");
  }
  const size_t bytes = topic.size() + output.payload.size() + properties_.bytes().size() + 16;
  if (client_->is_connected() && bytes > client_->max_publish_bytes()) {
    return refuse(output.ticket, "larger than the server takes");
  }
  switch (client_->publish(topic, host::as_bytes(output.payload), qos_, is_retained_, output.ticket,
                           properties_.bytes())) {
    case host::MqttPublishResult::kSent:
      return SendResult::kDelivered;
    case host::MqttPublishResult::kInFlight:
      return SendResult::kInFlight;
    case host::MqttPublishResult::kBusy:
      break;
  }
  return SendResult::kBusy;
}

Result<std::unique_ptr<Sink>> create(const Settings& settings, const std::string& name) {
  EW_TRY(host::MqttOptions options, mqtt_connection(settings, name));
  TopicTemplate topic(settings.text("topic"));
  if (const std::string word = topic.unknown_place(); !word.empty()) {
    return settings.error("topic",
                          str("'", word, "' in braces: expected {key}, {topic} or {rule}"));
  }
  if (!host::is_mqtt_topic(settings.text("topic"))) {
    return settings.error("topic", "expected a topic without wildcards");
  }
  options.max_in_flight = static_cast<uint16_t>(settings.integer("max_in_flight"));
  options.flush_delay_us = settings.duration_us("batch_delay");
  return std::unique_ptr<Sink>(
      std::make_unique<MqttSink>(std::move(options), std::move(topic), settings));
}

}  // namespace

extern const SinkType kMqttSink;
const SinkType kMqttSink{.name = "mqtt",
                         .help = "publishes to an MQTT server (3.1.1 or 5)",
                         .words = kWords,
                         .create = create};

}  // namespace ew::agent
