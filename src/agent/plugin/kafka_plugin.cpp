#include "agent/plugin/kafka_plugin.h"

#include <librdkafka/rdkafka.h>

#include <array>
#include <atomic>
#include <thread>

// The macros of librdkafka check types by statement expressions.
#pragma GCC diagnostic ignored "-Wpedantic"

namespace ew::agent {
namespace {

constexpr int kPollMs = 100;
constexpr int kCloseMs = 1000;

KafkaOutcome outcome_of(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      return KafkaOutcome::kDelivered;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
      return KafkaOutcome::kRefused;
    default:
      return KafkaOutcome::kRetry;
  }
}

class Producer final : public KafkaProducer {
 public:
  explicit Producer(KafkaEvents events) : events_(std::move(events)) {}

  ~Producer() override {
    is_closing_ = true;
    if (thread_.joinable()) thread_.join();
    if (handle_ == nullptr) return;
    rd_kafka_purge(handle_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(handle_, kCloseMs);
    rd_kafka_destroy(handle_);
  }

  Status open(const std::vector<std::pair<std::string, std::string>>& properties) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    std::array<char, 512> why{};
    for (const auto& [name, value] : properties) {
      if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why.data(), why.size()) !=
          RD_KAFKA_CONF_OK) {
        rd_kafka_conf_destroy(conf);
        return invalid_argument("Kafka property '", name, "': ", why.data());
      }
    }
    rd_kafka_conf_set_opaque(conf, this);
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, nullptr);
    handle_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why.data(), why.size());
    if (handle_ == nullptr) {
      rd_kafka_conf_destroy(conf);  // still ours where opening failed
      return invalid_argument("Kafka producer: ", why.data());
    }
    thread_ = std::thread([this] { poll(); });
    return {};
  }

  Result<bool> send(const KafkaMessage& m) override {
    const std::string topic(m.topic);
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        handle_, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_KEY(m.key.data(), m.key.size()),
        RD_KAFKA_V_VALUE(const_cast<char*>(m.payload.data()), m.payload.size()),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(m.timestamp_ms),
        RD_KAFKA_V_HEADER("id", m.id.data(), m.id.size()),
        RD_KAFKA_V_HEADER("rule", m.rule.data(), m.rule.size()),
        RD_KAFKA_V_HEADER("resent", m.is_resent ? "true" : "false", -1),
        // The ticket travels as the opaque pointer.
        RD_KAFKA_V_OPAQUE(reinterpret_cast<void*>(m.ticket)), RD_KAFKA_V_END);
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL || error == RD_KAFKA_RESP_ERR__FATAL) return false;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
    return invalid_argument("Kafka topic '", topic, "': ", rd_kafka_err2str(error));
  }

  bool has_failed() const override { return has_failed_; }

 private:
  static void on_report(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
    auto* producer = static_cast<Producer*>(self);
    const KafkaOutcome outcome = outcome_of(message->err);
    producer->reports_.push_back(
        {reinterpret_cast<uint64_t>(message->_private), outcome,
         outcome == KafkaOutcome::kDelivered ? "" : rd_kafka_message_errstr(message)});
    producer->set_connected(outcome == KafkaOutcome::kDelivered || producer->is_connected_, "");
  }

  static void on_error(rd_kafka_t* handle, int error, const char* reason, void* self) {
    auto* producer = static_cast<Producer*>(self);
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) producer->set_connected(false, reason);
    std::array<char, 512> why{};
    if (rd_kafka_fatal_error(handle, why.data(), why.size()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      producer->has_failed_ = true;
      producer->set_connected(false, why.data());
    }
  }

  void set_connected(bool is_connected, const char* detail) {
    if (is_connected == is_connected_) return;
    is_connected_ = is_connected;
    if (!is_closing_) events_.link(is_connected, detail);
  }

  void poll() {
    while (!is_closing_) {
      rd_kafka_poll(handle_, kPollMs);
      if (reports_.empty() || is_closing_) continue;
      events_.reports(std::exchange(reports_, {}));
    }
  }

  KafkaEvents events_;
  rd_kafka_t* handle_ = nullptr;
  std::atomic<bool> is_closing_ = false;
  std::atomic<bool> has_failed_ = false;
  bool is_connected_ = false;         // of the polling thread
  std::vector<KafkaReport> reports_;  // of the polling thread
  std::thread thread_;
};

Result<std::unique_ptr<KafkaProducer>> open_producer(
    const std::vector<std::pair<std::string, std::string>>& properties, KafkaEvents events) {
  auto producer = std::make_unique<Producer>(std::move(events));
  EW_TRY_VOID(producer->open(properties));
  return std::unique_ptr<KafkaProducer>(std::move(producer));
}

}  // namespace
}  // namespace ew::agent

extern "C" __attribute__((visibility("default")))
const ew::agent::KafkaPlugin edgewise_kafka_plugin;
const ew::agent::KafkaPlugin edgewise_kafka_plugin = {ew::agent::kKafkaPluginVersion,
                                                      ew::agent::open_producer};
