#pragma once
// MQTT 3.1.1 and 5 (OASIS standards) as bytes. Parsing copies nothing: all views point into the
// given bytes. Everything received is hostile: lengths, UTF-8, property ids and reserved bits are
// checked. Section numbers in comments are those of MQTT 5.

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/bytes.h"

namespace ew::host {

enum class MqttVersion : uint8_t { k311 = 4, k5 = 5 };

enum class MqttType : uint8_t {
  kConnect = 1,
  kConnack,
  kPublish,
  kPuback,
  kPubrec,
  kPubrel,
  kPubcomp,
  kSubscribe,
  kSuback,
  kUnsubscribe,
  kUnsuback,
  kPingreq,
  kPingresp,
  kDisconnect,
  kAuth,
};

enum class MqttProperty : uint8_t {
  kPayloadFormat = 1,
  kMessageExpiry = 2,
  kContentType = 3,
  kResponseTopic = 8,
  kCorrelationData = 9,
  kSubscriptionId = 11,
  kSessionExpiry = 17,
  kAssignedClientId = 18,
  kServerKeepAlive = 19,
  kAuthenticationMethod = 21,
  kAuthenticationData = 22,
  kRequestProblem = 23,
  kWillDelay = 24,
  kRequestResponse = 25,
  kResponseInformation = 26,
  kServerReference = 28,
  kReasonString = 31,
  kReceiveMaximum = 33,
  kTopicAliasMaximum = 34,
  kTopicAlias = 35,
  kMaximumQos = 36,
  kRetainAvailable = 37,
  kUserProperty = 38,
  kMaximumPacketSize = 39,
  kWildcardAvailable = 40,
  kSubscriptionIdAvailable = 41,
  kSharedAvailable = 42,
};

/// What is wrong with a packet, as words for a log; null if nothing is.
using MqttFault = const char*;

/// The fixed header (2.1).
struct MqttFrame {
  MqttType type = MqttType::kPingreq;
  uint8_t flags = 0;
  size_t header_bytes = 0;
  size_t body_bytes = 0;

  size_t total_bytes() const { return header_bytes + body_bytes; }
};

enum class MqttFrameResult { kWhole, kIncomplete, kMalformed };
/// kWhole says that the header is; the body may still be on its way. The largest body there can be
/// is 268,435,455 bytes.
MqttFrameResult parse_mqtt_frame(Bytes bytes, MqttFrame& frame);

/// Properties that were checked; empty in 3.1.1.
class MqttProperties {
 public:
  MqttProperties() = default;
  explicit MqttProperties(Bytes checked) : bytes_(checked) {}

  bool is_empty() const { return bytes_.empty(); }
  /// A property of integer kind.
  std::optional<uint32_t> number(MqttProperty id) const;
  /// A property of text or binary kind.
  std::optional<std::string_view> text(MqttProperty id) const;
  /// The first user property of this name.
  std::optional<std::string_view> user(std::string_view name) const;
  Bytes bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

struct MqttPublish {
  std::string_view topic;
  Bytes payload;
  uint16_t packet_id = 0;  ///< 0 with QoS 0
  uint8_t qos = 0;
  bool is_retained = false;
  bool is_duplicate = false;
  MqttProperties properties{};
};

/// PUBACK, PUBREC, PUBREL, PUBCOMP.
struct MqttAck {
  uint16_t packet_id = 0;
  uint8_t reason = 0;
  MqttProperties properties{};
};

struct MqttConnack {
  bool is_session_present = false;
  uint8_t reason = 0;
  MqttProperties properties{};
};

/// SUBACK and UNSUBACK; UNSUBACK of 3.1.1 has no reasons.
struct MqttSuback {
  uint16_t packet_id = 0;
  Bytes reasons;
  MqttProperties properties{};
};

/// DISCONNECT and AUTH.
struct MqttReason {
  uint8_t reason = 0;
  MqttProperties properties{};
};

struct MqttWill {
  std::string topic;
  std::string payload;
  uint8_t qos = 0;
  bool is_retained = false;
};

struct MqttConnect {
  MqttVersion version = MqttVersion::k5;
  std::string client_id;
  std::optional<std::string> user{};
  std::optional<std::string> password{};
  std::optional<MqttWill> will{};
  bool is_clean = true;
  uint16_t keep_alive_s = 60;
  uint32_t session_expiry_s = 0;  ///< 5 only, as are those below
  uint16_t receive_maximum = 65535;
  uint32_t maximum_packet_bytes = 0;  ///< 0: not said
};

struct MqttSubscription {
  std::string filter;  ///< "$share/GROUP/FILTER" for a shared one
  uint8_t qos = 0;
  bool wants_own = true;        ///< 5: also what this client published itself
  uint8_t retain_handling = 0;  ///< 5: retained messages 0 always, 1 if new, 2 never
};

// Parsers take the body behind the fixed header.
MqttFault parse_publish(MqttVersion version, uint8_t flags, Bytes body, MqttPublish& out);
MqttFault parse_ack(MqttVersion version, MqttType type, uint8_t flags, Bytes body, MqttAck& out);
MqttFault parse_connack(MqttVersion version, uint8_t flags, Bytes body, MqttConnack& out);
MqttFault parse_suback(MqttVersion version, MqttType type, uint8_t flags, Bytes body,
                       MqttSuback& out);
MqttFault parse_reason(MqttVersion version, MqttType type, uint8_t flags, Bytes body,
                       MqttReason& out);
/// What a client sends, for brokers in tests. The version stands in the packet.
MqttFault parse_connect(uint8_t flags, Bytes body, MqttConnect& out);
MqttFault parse_subscribe(MqttVersion version, uint8_t flags, Bytes body, uint16_t& packet_id,
                          std::vector<MqttSubscription>& out);

/// Collects properties for a packet to send. Its buffer is kept between uses.
class MqttPropertyWriter {
 public:
  void clear() { bytes_.clear(); }
  void byte(MqttProperty id, uint8_t value);
  void two(MqttProperty id, uint16_t value);
  void four(MqttProperty id, uint32_t value);
  void text(MqttProperty id, std::string_view value);
  void user(std::string_view name, std::string_view value);
  Bytes bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

// Writers append one packet to `out`. Texts are at most 65,535 bytes (is_mqtt_text checks).
void write_connect(const MqttConnect& connect, std::vector<uint8_t>& out);
void write_connack(MqttVersion version, const MqttConnack& connack, std::vector<uint8_t>& out);
/// `properties` as MqttPropertyWriter made them; ignored in 3.1.1.
void write_publish(MqttVersion version, const MqttPublish& publish, Bytes properties,
                   std::vector<uint8_t>& out);
void write_ack(MqttVersion version, MqttType type, uint16_t packet_id, uint8_t reason,
               std::vector<uint8_t>& out);
void write_subscribe(MqttVersion version, uint16_t packet_id,
                     const std::vector<MqttSubscription>& subscriptions, std::vector<uint8_t>& out);
void write_suback(MqttVersion version, uint16_t packet_id, Bytes reasons,
                  std::vector<uint8_t>& out);
void write_pingreq(std::vector<uint8_t>& out);
void write_disconnect(MqttVersion version, uint8_t reason, std::vector<uint8_t>& out);

/// UTF-8 as MQTT wants it (1.5.4): well-formed, no surrogates, no U+0000, at most 65,535 bytes.
bool is_mqtt_text(std::string_view text);
/// Also not empty and without wildcards.
bool is_mqtt_topic(std::string_view text);
/// "not authorized (0x87)"; codes of 3.1.1's CONNACK by their own names.
std::string mqtt_reason_text(MqttVersion version, uint8_t reason);

}  // namespace ew::host
