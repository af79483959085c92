// `type: kafka`: an idempotent producer (librdkafka behind a plug-in).
#include <optional>

#include "agent/plugin/kafka_plugin.h"
#include "agent/sink.h"
#include "base/plugin.h"
#include "host/event_loop.h"
#include "host/yaml.h"

namespace ew::agent {

Result<const KafkaPlugin*> kafka() {
  return load_plugin_table<KafkaPlugin>("kafka", kKafkaPluginSymbol, kKafkaPluginVersion);
}

namespace {

constexpr WordDef kWords[] = {
    {.name = "brokers",
     .kind = WordKind::kTexts,
     .help = "HOST:PORT of one broker or more",
     .is_required = true},
    {.name = "topic", .help = "topic to write to", .is_required = true},
    {.name = "client_id", .help = "name that the brokers log", .fallback = "edgewise"},
    {.name = "linger",
     .kind = WordKind::kDuration,
     .help = "how long outputs wait for company in one batch",
     .fallback = "5ms",
     .min = 0,
     .max = 60},
    {.name = "max_in_flight",
     .kind = WordKind::kInteger,
     .help = "outputs that may wait for the brokers' acknowledgement",
     .fallback = "1000",
     .min = 1,
     .max = 1e6},
    {.name = "properties",
     .kind = WordKind::kMap,
     .help = "further properties of librdkafka, for example security.protocol"},
};

class KafkaSink final : public Sink {
 public:
  KafkaSink(const Settings& settings, std::vector<std::pair<std::string, std::string>> properties)
      : properties_(std::move(properties)),
        topic_(settings.text("topic")),
        max_in_flight_(static_cast<size_t>(settings.integer("max_in_flight"))) {}
  ~KafkaSink() override { stop(); }

  Status start(const SinkContext& context) override {
    context_.emplace(context);
    EW_TRY(plugin_, kafka());
    context.outlet.set_state(LinkState::kConnecting, "");
    return open();
  }

  bool ready() const override { return producer_ != nullptr && in_flight_ < max_in_flight_; }

  SendResult send(const Output& output) override {
    const auto taken = producer_->send({.ticket = output.ticket,
                                        .topic = topic_,
                                        .key = output.key,
                                        .payload = output.payload,
                                        .id = output.id,
                                        .rule = output.rule,
                                        .timestamp_ms = output.event_time_us / 1000,
                                        .is_resent = output.is_resent});
    ++in_flight_;
    if (taken.ok() && *taken) return SendResult::kInFlight;
    if (taken.ok()) {
      --in_flight_;
      return SendResult::kBusy;
    }
    refuse_later(output.ticket, taken.error().message);
    return SendResult::kInFlight;
  }

  void stop() override {
    alive_.reset();
    producer_.reset();
  }

  bool is_acknowledged() const override { return true; }

 private:
  // Opens a producer whose events come to this object on the loop's thread, as long as it is the
  // current one.
  Status open() {
    alive_ = std::make_shared<KafkaSink*>(this);
    host::EventLoop& loop = context_->loop;
    const auto on_loop = [&loop, weak = std::weak_ptr(alive_)](auto call) {
      loop.post([weak, call = std::move(call)]() mutable {
        if (const auto self = weak.lock()) call(**self);
      });
    };
    EW_TRY(producer_,
           plugin_->open(properties_, {.reports =
                                           [on_loop](std::vector<KafkaReport> reports) {
                                             on_loop([reports = std::move(reports)](
                                                         KafkaSink& sink) { sink.take(reports); });
                                           },
                                       .link =
                                           [on_loop](bool is_connected, std::string detail) {
                                             on_loop([is_connected, detail](KafkaSink& sink) {
                                               sink.context_->outlet.set_state(
                                                   is_connected ? LinkState::kConnected
                                                                : LinkState::kDisconnected,
                                                   detail);
                                             });
                                           }}));
    in_flight_ = 0;
    return {};
  }

  void refuse_later(uint64_t ticket, const std::string& why) {
    context_->loop.post([weak = std::weak_ptr(alive_), ticket, why] {
      if (const auto self = weak.lock()) {
        (*self)->take({{ticket, KafkaOutcome::kRefused, why}});
      }
    });
  }

  void take(const std::vector<KafkaReport>& reports) {
    const bool was_ready = ready();
    for (const KafkaReport& report : reports) {
      --in_flight_;
      if (report.outcome == KafkaOutcome::kDelivered) {
        context_->outlet.delivered(report.ticket);
      } else if (report.outcome == KafkaOutcome::kRefused) {
        context_->outlet.refused(report.ticket, report.why);
      } else {
        return start_again(report.why);
      }
    }
    if (!was_ready && ready()) context_->outlet.ready();
  }

  // A message was given up: with a new producer everything in flight is offered again.
  void start_again(const std::string& why) {
    producer_.reset();
    context_->outlet.set_state(LinkState::kDisconnected, why);
    if (const Status status = open(); !status.ok()) {
      context_->outlet.set_state(LinkState::kFailed, status.error().message);
      return;
    }
    context_->outlet.reset();
    context_->outlet.ready();
  }

  std::vector<std::pair<std::string, std::string>> properties_;
  std::string topic_;
  size_t max_in_flight_;
  std::optional<SinkContext> context_;
  const KafkaPlugin* plugin_ = nullptr;
  std::shared_ptr<KafkaSink*> alive_;  // events of an earlier producer find it gone
  std::unique_ptr<KafkaProducer> producer_;
  size_t in_flight_ = 0;
};

Result<std::unique_ptr<Sink>> create(const Settings& settings, const std::string&) {
  std::string brokers;
  for (const std::string& broker : settings.texts("brokers")) {
    brokers += (brokers.empty() ? "" : ",") + broker;
  }
  std::vector<std::pair<std::string, std::string>> properties = {
      {"bootstrap.servers", brokers},
      {"client.id", settings.text("client_id")},
      {"linger.ms", str(settings.duration_us("linger") / 1000)},
      {"enable.idempotence", "true"},
      {"acks", "all"},
      // Outputs wait as long as it takes: what is too old or too much is the queue's decision.
      {"message.timeout.ms", "0"},
  };
  if (const host::YamlNode* more = settings.node("properties")) {
    for (const host::YamlNode::Entry& entry : more->map) {
      if (!entry.value.is_scalar()) return entry.value.error("expected a text");
      properties.emplace_back(entry.key, entry.value.text);
    }
  }
  return std::unique_ptr<Sink>(std::make_unique<KafkaSink>(settings, std::move(properties)));
}

}  // namespace

extern const SinkType kKafkaSink;
const SinkType kKafkaSink{
    .name = "kafka", .help = "a Kafka topic", .words = kWords, .create = create};

}  // namespace ew::agent
