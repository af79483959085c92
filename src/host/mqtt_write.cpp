#include <algorithm>

#include "base/str.h"
#include "host/mqtt_codec.h"

namespace ew::host {
namespace {

void put_two(std::vector<uint8_t>& out, uint16_t value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}

void put_four(std::vector<uint8_t>& out, uint32_t value) {
  put_two(out, static_cast<uint16_t>(value >> 16));
  put_two(out, static_cast<uint16_t>(value));
}

void put_variable(std::vector<uint8_t>& out, size_t value) {
  do {
    const auto low = static_cast<uint8_t>(value & 0x7F);
    value >>= 7;
    out.push_back(value > 0 ? static_cast<uint8_t>(low | 0x80) : low);
  } while (value > 0);
}

size_t variable_bytes(size_t value) {
  return value < 128 ? 1 : value < 16384 ? 2 : value < 2097152 ? 3 : 4;
}

void put_text(std::vector<uint8_t>& out, std::string_view text) {
  text = text.substr(0, 65535);
  put_two(out, static_cast<uint16_t>(text.size()));
  out.insert(out.end(), text.begin(), text.end());
}

void put_header(std::vector<uint8_t>& out, MqttType type, uint8_t flags, size_t body_bytes) {
  out.push_back(static_cast<uint8_t>(static_cast<unsigned>(type) << 4 | flags));
  put_variable(out, body_bytes);
}

void put_packet(std::vector<uint8_t>& out, MqttType type, uint8_t flags,
                const std::vector<uint8_t>& body) {
  put_header(out, type, flags, body.size());
  out.insert(out.end(), body.begin(), body.end());
}

void put_properties(std::vector<uint8_t>& out, Bytes properties) {
  put_variable(out, properties.size());
  out.insert(out.end(), properties.begin(), properties.end());
}

struct ReasonName {
  uint8_t code;
  const char* name;
};

constexpr ReasonName kReasons[] = {
    {0x00, "success"},
    {0x10, "no matching subscribers"},
    {0x80, "unspecified error"},
    {0x81, "malformed packet"},
    {0x82, "protocol error"},
    {0x83, "implementation specific error"},
    {0x84, "unsupported protocol version"},
    {0x85, "client identifier not valid"},
    {0x86, "bad user name or password"},
    {0x87, "not authorized"},
    {0x88, "server unavailable"},
    {0x89, "server busy"},
    {0x8A, "banned"},
    {0x8B, "server shutting down"},
    {0x8C, "bad authentication method"},
    {0x8D, "keep alive timeout"},
    {0x8E, "session taken over"},
    {0x8F, "topic filter invalid"},
    {0x90, "topic name invalid"},
    {0x91, "packet identifier in use"},
    {0x92, "packet identifier not found"},
    {0x93, "receive maximum exceeded"},
    {0x94, "topic alias invalid"},
    {0x95, "packet too large"},
    {0x96, "message rate too high"},
    {0x97, "quota exceeded"},
    {0x98, "administrative action"},
    {0x99, "payload format invalid"},
    {0x9A, "retain not supported"},
    {0x9B, "QoS not supported"},
    {0x9C, "use another server"},
    {0x9D, "server moved"},
    {0x9E, "shared subscriptions not supported"},
    {0x9F, "connection rate exceeded"},
    {0xA0, "maximum connect time"},
    {0xA1, "subscription identifiers not supported"},
    {0xA2, "wildcard subscriptions not supported"},
};

constexpr ReasonName kReasons311[] = {
    {1, "unacceptable protocol version"}, {2, "identifier rejected"}, {3, "server unavailable"},
    {4, "bad user name or password"},     {5, "not authorized"},      {0x80, "failure"},
};

}  // namespace

void MqttPropertyWriter::byte(MqttProperty id, uint8_t value) {
  bytes_.push_back(static_cast<uint8_t>(id));
  bytes_.push_back(value);
}

void MqttPropertyWriter::two(MqttProperty id, uint16_t value) {
  bytes_.push_back(static_cast<uint8_t>(id));
  put_two(bytes_, value);
}

void MqttPropertyWriter::four(MqttProperty id, uint32_t value) {
  bytes_.push_back(static_cast<uint8_t>(id));
  put_four(bytes_, value);
}

void MqttPropertyWriter::text(MqttProperty id, std::string_view value) {
  bytes_.push_back(static_cast<uint8_t>(id));
  put_text(bytes_, value);
}

void MqttPropertyWriter::user(std::string_view name, std::string_view value) {
  bytes_.push_back(static_cast<uint8_t>(MqttProperty::kUserProperty));
  put_text(bytes_, name);
  put_text(bytes_, value);
}

void write_connect(const MqttConnect& connect, std::vector<uint8_t>& out) {
  std::vector<uint8_t> body;
  const bool is_5 = connect.version == MqttVersion::k5;
  put_text(body, "MQTT");
  body.push_back(static_cast<uint8_t>(connect.version));
  uint8_t bits = connect.is_clean ? 2 : 0;
  if (connect.will) {
    bits = static_cast<uint8_t>(bits | 4 | connect.will->qos << 3 |
                                (connect.will->is_retained ? 0x20 : 0));
  }
  if (connect.user) bits |= 0x80;
  if (connect.password) bits |= 0x40;
  body.push_back(bits);
  put_two(body, connect.keep_alive_s);
  if (is_5) {
    MqttPropertyWriter properties;
    if (connect.session_expiry_s != 0) {
      properties.four(MqttProperty::kSessionExpiry, connect.session_expiry_s);
    }
    if (connect.receive_maximum != 65535) {
      properties.two(MqttProperty::kReceiveMaximum, connect.receive_maximum);
    }
    if (connect.maximum_packet_bytes != 0) {
      properties.four(MqttProperty::kMaximumPacketSize, connect.maximum_packet_bytes);
    }
    put_properties(body, properties.bytes());
  }
  put_text(body, connect.client_id);
  if (connect.will) {
    if (is_5) put_properties(body, {});
    put_text(body, connect.will->topic);
    put_text(body, connect.will->payload);
  }
  if (connect.user) put_text(body, *connect.user);
  if (connect.password) put_text(body, *connect.password);
  put_packet(out, MqttType::kConnect, 0, body);
}

void write_connack(MqttVersion version, const MqttConnack& connack, std::vector<uint8_t>& out) {
  std::vector<uint8_t> body;
  body.push_back(connack.is_session_present ? 1 : 0);
  body.push_back(connack.reason);
  if (version == MqttVersion::k5) put_properties(body, connack.properties.bytes());
  put_packet(out, MqttType::kConnack, 0, body);
}

void write_publish(MqttVersion version, const MqttPublish& publish, Bytes properties,
                   std::vector<uint8_t>& out) {
  const bool is_5 = version == MqttVersion::k5;
  const std::string_view topic = publish.topic.substr(0, 65535);
  const size_t property_bytes = is_5 ? variable_bytes(properties.size()) + properties.size() : 0;
  const size_t body_bytes =
      2 + topic.size() + (publish.qos > 0 ? 2 : 0) + property_bytes + publish.payload.size();
  const auto flags = static_cast<uint8_t>((publish.is_duplicate ? 8 : 0) | publish.qos << 1 |
                                          (publish.is_retained ? 1 : 0));
  put_header(out, MqttType::kPublish, flags, body_bytes);
  put_text(out, topic);
  if (publish.qos > 0) put_two(out, publish.packet_id);
  if (is_5) put_properties(out, properties);
  out.insert(out.end(), publish.payload.begin(), publish.payload.end());
}

void write_ack(MqttVersion version, MqttType type, uint16_t packet_id, uint8_t reason,
               std::vector<uint8_t>& out) {
  const bool has_reason = version == MqttVersion::k5 && reason != 0;
  put_header(out, type, type == MqttType::kPubrel ? 2 : 0, has_reason ? 3 : 2);
  put_two(out, packet_id);
  if (has_reason) out.push_back(reason);
}

void write_subscribe(MqttVersion version, uint16_t packet_id,
                     const std::vector<MqttSubscription>& subscriptions,
                     std::vector<uint8_t>& out) {
  const bool is_5 = version == MqttVersion::k5;
  std::vector<uint8_t> body;
  put_two(body, packet_id);
  if (is_5) put_properties(body, {});
  for (const MqttSubscription& subscription : subscriptions) {
    put_text(body, subscription.filter);
    uint8_t options = subscription.qos;
    if (is_5) {
      options = static_cast<uint8_t>(options | (subscription.wants_own ? 0 : 4) |
                                     subscription.retain_handling << 4);
    }
    body.push_back(options);
  }
  put_packet(out, MqttType::kSubscribe, 2, body);
}

void write_suback(MqttVersion version, uint16_t packet_id, Bytes reasons,
                  std::vector<uint8_t>& out) {
  std::vector<uint8_t> body;
  put_two(body, packet_id);
  if (version == MqttVersion::k5) put_properties(body, {});
  body.insert(body.end(), reasons.begin(), reasons.end());
  put_packet(out, MqttType::kSuback, 0, body);
}

void write_pingreq(std::vector<uint8_t>& out) { put_header(out, MqttType::kPingreq, 0, 0); }

void write_disconnect(MqttVersion version, uint8_t reason, std::vector<uint8_t>& out) {
  const bool has_reason = version == MqttVersion::k5 && reason != 0;
  put_header(out, MqttType::kDisconnect, 0, has_reason ? 1 : 0);
  if (has_reason) out.push_back(reason);
}

std::string mqtt_reason_text(MqttVersion version, uint8_t reason) {
  const std::span<const ReasonName> names = version == MqttVersion::k5
                                                ? std::span<const ReasonName>(kReasons)
                                                : std::span<const ReasonName>(kReasons311);
  const auto found = std::find_if(names.begin(), names.end(),
                                  [&](const ReasonName& name) { return name.code == reason; });
  constexpr const char* kDigits = "0123456789ABCDEF";
  return str(found == names.end() ? "reason" : found->name, " (0x", kDigits[reason >> 4],
             kDigits[reason & 15], ")");
}

}  // namespace ew::host
