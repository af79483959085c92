// `type: mqtt` under sinks: publishes to an MQTT server.
#include <algorithm>
#include <map>
#include <optional>

#include "agent/mqtt_settings.h"
#include "agent/sink.h"
#include "agent/topic_batches.h"

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
     .help = "user properties id and resent (MQTT 5), by which a receiver drops duplicates; in a "
             "batch, outputs are {id, rule, key, time, resent, data}, else their payloads only",
     .fallback = "true"},
    {.name = "max_in_flight",
     .kind = WordKind::kInteger,
     .help = "messages that the server has not acknowledged",
     .fallback = "64",
     .min = 1,
     .max = 65534},
    {.name = "batch_delay",
     .kind = WordKind::kDuration,
     .help = "how long outputs wait for company in one write",
     .fallback = "0s",
     .min = 0,
     .max = 0.1},
    {.name = "max_batch",
     .kind = WordKind::kInteger,
     .help = "outputs in one message; 1: each in its own",
     .fallback = "1",
     .min = 1,
     .max = 10000},
    {.name = "max_wait",
     .kind = WordKind::kDuration,
     .help = "how long outputs wait for company in one message; alerts do not",
     .fallback = "0",
     .min = 0,
     .max = 60},
    {.name = "format",
     .kind = WordKind::kChoice,
     .help = "of a message of several: one JSON list, or a JSON value a line",
     .fallback = "json",
     .choices = kBatchFormats},
};
constexpr auto kWords = with_mqtt_connection(kOwnWords);

constexpr size_t kOverhead = 16;           // header, lengths and packet id of a PUBLISH
constexpr uint8_t kPacketTooLarge = 0x95;  // MQTT 5, 2.4

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

/// One message an output, or one for a batch of them. A batch leaves from flush() and from the
/// loop, never from send(): the answer to QoS 0 comes at once, and the caller of send() has yet to
/// count.
class MqttSink final : public Sink, private host::MqttHandler {
 public:
  MqttSink(host::MqttOptions options, TopicTemplate topic, const Settings& settings)
      : options_(std::move(options)),
        topic_(std::move(topic)),
        qos_(static_cast<uint8_t>(settings.integer("qos"))),
        is_retained_(settings.flag("retain")),
        has_ids_(settings.flag("ids") && options_.connect.version == host::MqttVersion::k5),
        max_wait_us_(settings.duration_us("max_wait")) {
    const auto max_batch = static_cast<size_t>(settings.integer("max_batch"));
    if (max_batch == 1) return;
    batches_.emplace(TopicBatches::Options{
        .format = {.is_list = settings.text("format") == "json", .has_ids = settings.flag("ids")},
        .max_outputs = max_batch});
  }

  Status start(const SinkContext& context) override {
    loop_ = &context.loop;
    outlet_ = &context.outlet;
    EW_TRY(client_, host::MqttClient::create(context.loop, *this, options_));
    outlet_->set_state(LinkState::kConnecting, "");
    client_->start();
    return {};
  }
  bool ready() const override {
    return client_ && client_->can_publish(qos_) && !(batches_ && batches_->is_full());
  }
  SendResult send(const Output& output) override;
  void flush() override;
  void hurry() override {
    is_due_ = batches_ && !batches_->is_empty();
    flush();
  }
  void stop() override {
    if (loop_ != nullptr) loop_->cancel(timer_);
    if (client_) client_->stop();
    alive_.reset();
  }
  bool is_acknowledged() const override { return qos_ > 0 || batches_; }
  bool move_to(host::EventLoop& loop) override {
    if (!client_->is_connected() || (batches_ && !batches_->is_empty()) || !sent_.empty()) {
      return false;
    }
    forget_wait();
    loop_ = &loop;
    return client_->move_to(loop).ok();
  }
  void go_on(const SinkContext& context) override {
    outlet_ = &context.outlet;
    outlet_->set_state(LinkState::kConnected, kStillConnected);
  }

 private:
  void on_connected(bool) override {
    outlet_->set_state(LinkState::kConnected, "");
    on_writable();
  }
  void on_disconnected(const Error& error) override {
    // Refusals that are under way are taken back with everything else.
    alive_ = std::make_shared<bool>(true);
    if (batches_) batches_->clear();
    sent_.clear();
    forget_wait();
    outlet_->reset();
    outlet_->set_state(LinkState::kDisconnected, error.message);
  }
  void on_published(uint64_t tag, uint8_t reason) override {
    if (!batches_) return answer(tag, reason);
    const auto found = sent_.find(tag);
    if (found == sent_.end()) return;
    const std::vector<uint64_t> tickets = std::move(found->second);
    sent_.erase(found);
    for (const uint64_t ticket : tickets) answer(ticket, reason);
  }
  void on_writable() override {
    outlet_->ready();
    flush();
  }
  void answer(uint64_t ticket, uint8_t reason) {
    if (reason < 0x80) {
      outlet_->delivered(ticket);
    } else {
      outlet_->refused(ticket, host::mqtt_reason_text(client_->version(), reason));
    }
  }
  SendResult refuse(uint64_t ticket, const char* why);
  SendResult gather(std::string_view topic, const Output& output);
  void publish_batches();
  void wait();
  void forget_wait() {
    loop_->cancel(timer_);
    is_waiting_ = is_due_ = false;
  }

  host::MqttOptions options_;
  TopicTemplate topic_;
  uint8_t qos_;
  bool is_retained_;
  bool has_ids_;
  int64_t max_wait_us_;
  std::optional<TopicBatches> batches_;             // none: each output is a message
  std::map<uint64_t, std::vector<uint64_t>> sent_;  // tickets of unanswered batches, by tag
  uint64_t next_tag_ = 1;
  bool is_waiting_ = false;  // the timer runs
  bool is_due_ = false;      // what is gathered leaves at the next flush()
  bool is_flushing_ = false;
  host::EventLoop::TimerId timer_;
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
  if (batches_) return gather(topic, output);
  properties_.clear();
  if (has_ids_) {
    properties_.user("id", output.id);
    if (output.is_resent) properties_.user("resent", "true");
  }
  if (!output.trace_parent.empty()) properties_.user("traceparent", output.trace_parent);
  const size_t bytes =
      topic.size() + output.payload.size() + properties_.bytes().size() + kOverhead;
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

SendResult MqttSink::gather(std::string_view topic, const Output& output) {
  const size_t limit = std::max(client_->max_publish_bytes(), kOverhead) - kOverhead;
  switch (batches_->add(topic, output, limit)) {
    case TopicBatches::Added::kFull:
      return SendResult::kBusy;
    case TopicBatches::Added::kTooLarge:
      return refuse(output.ticket, "larger than the server takes");
    case TopicBatches::Added::kYes:
      break;
  }
  if (output.priority == Priority::kAlert) is_due_ = true;
  return SendResult::kInFlight;
}

void MqttSink::flush() {
  if (!batches_ || is_flushing_) return;
  is_flushing_ = true;
  while (!batches_->is_empty() && client_->can_publish(qos_)) {
    if (max_wait_us_ > 0 && !is_due_ && !batches_->is_full()) {
      wait();
      break;
    }
    publish_batches();
    outlet_->ready();  // more may have waited for room
  }
  is_flushing_ = false;
}

void MqttSink::publish_batches() {
  while (!batches_->is_empty() && client_->can_publish(qos_)) {
    TopicBatches::Batch batch = batches_->take();
    const uint64_t tag = next_tag_++;
    const auto result =
        client_->publish(batch.topic, host::as_bytes(batch.body), qos_, is_retained_, tag);
    sent_[tag] = std::move(batch.tickets);
    // There is room, so a busy client will never take it.
    if (result == host::MqttPublishResult::kBusy) on_published(tag, kPacketTooLarge);
    if (result == host::MqttPublishResult::kSent) on_published(tag, 0);
  }
  if (batches_->is_empty()) forget_wait();
}

void MqttSink::wait() {
  if (is_waiting_) return;
  is_waiting_ = true;
  timer_ = loop_->call_after(max_wait_us_, [this] {
    is_waiting_ = false;
    is_due_ = true;
    flush();
  });
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
  for (const char* word : {"max_wait", "format"}) {
    if (settings.has(word) && settings.integer("max_batch") == 1) {
      return settings.error(word, "is for messages of several outputs: set max_batch too");
    }
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
