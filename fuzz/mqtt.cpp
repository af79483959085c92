// MQTT packets of both versions, one behind the other, by every parser that a client or a broker
// has for their type.
#include "host/mqtt_codec.h"
#include "targets.h"

namespace ew::fuzz {
namespace {

using host::MqttType;
using host::MqttVersion;

void look_up(const host::MqttProperties& properties) {
  for (int id = 0; id < 48; ++id) {
    (void)properties.number(static_cast<host::MqttProperty>(id));
    (void)properties.text(static_cast<host::MqttProperty>(id));
  }
  (void)properties.user("id");
}

/// A PUBLISH that was taken is written as a packet that reads the same.
void publish(MqttVersion version, const host::MqttFrame& frame, Bytes body) {
  host::MqttPublish packet;
  if (host::parse_publish(version, frame.flags, body, packet) != nullptr) return;
  look_up(packet.properties);
  std::vector<uint8_t> written;
  host::write_publish(version, packet, packet.properties.bytes(), written);
  host::MqttFrame again;
  require(host::parse_mqtt_frame(written, again) == host::MqttFrameResult::kWhole,
          "a written packet has a header");
  host::MqttPublish read;
  const Bytes written_body = Bytes(written).subspan(again.header_bytes);
  require(host::parse_publish(version, again.flags, written_body, read) == nullptr &&
              read.topic == packet.topic && read.packet_id == packet.packet_id &&
              read.payload.size() == packet.payload.size() && read.qos == packet.qos,
          "a written PUBLISH reads the same");
}

void packet(MqttVersion version, const host::MqttFrame& frame, Bytes body) {
  host::MqttAck ack;
  host::MqttConnack connack;
  host::MqttSuback suback;
  host::MqttReason reason;
  host::MqttConnect connect;
  std::vector<host::MqttSubscription> subscriptions;
  uint16_t id = 0;
  switch (frame.type) {
    case MqttType::kPublish:
      return publish(version, frame, body);
    case MqttType::kPuback:
    case MqttType::kPubrec:
    case MqttType::kPubrel:
    case MqttType::kPubcomp:
      if (!host::parse_ack(version, frame.type, frame.flags, body, ack)) look_up(ack.properties);
      break;
    case MqttType::kConnack:
      if (!host::parse_connack(version, frame.flags, body, connack)) look_up(connack.properties);
      break;
    case MqttType::kSuback:
    case MqttType::kUnsuback:
      if (!host::parse_suback(version, frame.type, frame.flags, body, suback)) {
        look_up(suback.properties);
      }
      break;
    case MqttType::kDisconnect:
    case MqttType::kAuth:
      if (!host::parse_reason(version, frame.type, frame.flags, body, reason)) {
        look_up(reason.properties);
      }
      break;
    case MqttType::kConnect:
      (void)host::parse_connect(frame.flags, body, connect);
      break;
    default:
      (void)host::parse_subscribe(version, frame.flags, body, id, subscriptions);
  }
}

}  // namespace

void mqtt(Bytes bytes) {
  for (const MqttVersion version : {MqttVersion::k311, MqttVersion::k5}) {
    Bytes left = bytes;
    host::MqttFrame frame;
    while (host::parse_mqtt_frame(left, frame) == host::MqttFrameResult::kWhole &&
           frame.total_bytes() <= left.size()) {
      packet(version, frame, left.subspan(frame.header_bytes, frame.body_bytes));
      left = left.subspan(frame.total_bytes());
    }
  }
}

}  // namespace ew::fuzz
