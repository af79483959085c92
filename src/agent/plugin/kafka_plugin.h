#pragma once
// The interface of libedgewise_kafka.so, which holds librdkafka: one constant table. Both sides are
// built from one tree.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace ew::agent {

inline constexpr uint32_t kKafkaPluginVersion = 1;
inline constexpr const char* kKafkaPluginSymbol = "edgewise_kafka_plugin";

struct KafkaMessage {
  uint64_t ticket = 0;  ///< given back in the report
  std::string_view topic;
  std::string_view key;  ///< chooses the partition, so that what has one key keeps its order
  std::string_view payload;
  std::string_view id;  ///< header "id"
  std::string_view rule;
  int64_t timestamp_ms = 0;
  bool is_resent = false;  ///< header "resent: true"
};

enum class KafkaOutcome {
  kDelivered,  ///< acknowledged by all in-sync replicas
  kRefused,    ///< will never be taken (too large, not allowed)
  kRetry,      ///< given up for now; offer it again
};

struct KafkaReport {
  uint64_t ticket = 0;
  KafkaOutcome outcome = KafkaOutcome::kRetry;
  std::string why;
};

/// What the producer tells, on a thread of its own.
struct KafkaEvents {
  std::function<void(std::vector<KafkaReport>)> reports;
  /// All brokers are gone, or one is back.
  std::function<void(bool is_connected, std::string detail)> link;
};

/// An idempotent producer: the broker takes each message once and in order, however often the
/// connection breaks. Closing gives up what was not acknowledged; no event follows it.
class KafkaProducer {
 public:
  virtual ~KafkaProducer() = default;
  /// Copies the message. False: the queue is full, try again behind the next report. Error
  /// kInvalidArgument: it can never be sent.
  virtual Result<bool> send(const KafkaMessage& message) = 0;
  /// Whether an error has ended the producer for good; a new one has to be opened.
  virtual bool has_failed() const = 0;
};

struct KafkaPlugin {
  uint32_t version;
  /// `properties` are librdkafka's (CONFIGURATION.md of its distribution). Errors: kInvalidArgument
  /// names the property. Does not need the broker to be up.
  Result<std::unique_ptr<KafkaProducer>> (*open)(
      const std::vector<std::pair<std::string, std::string>>& properties, KafkaEvents events);
};

/// Loads the plug-in on first use. Errors: as load_plugin().
Result<const KafkaPlugin*> kafka();

}  // namespace ew::agent
