#include "host/mqtt_codec.h"

#include <doctest/doctest.h>

#include <string>

namespace ew::host {
namespace {

using std::string_literals::operator""s;

std::vector<uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

struct Packet {
  MqttFrame frame;
  Bytes body;
};

Packet packet_of(const std::vector<uint8_t>& bytes) {
  Packet packet;
  REQUIRE(parse_mqtt_frame(bytes, packet.frame) == MqttFrameResult::kWhole);
  REQUIRE(packet.frame.total_bytes() == bytes.size());
  packet.body = Bytes(bytes).subspan(packet.frame.header_bytes);
  return packet;
}

MqttFault publish_fault(MqttVersion version, uint8_t flags, const std::string& body) {
  MqttPublish publish;
  const std::vector<uint8_t> bytes = bytes_of(body);
  return parse_publish(version, flags, bytes, publish);
}

}  // namespace

TEST_CASE("mqtt: the remaining length takes one to four bytes, and no more") {
  // The examples of MQTT 5, table 2.2.
  MqttFrame frame;
  const std::pair<std::string, size_t> cases[] = {
      {"\x30\x00"s, 0},         {"\x30\x7F"s, 127},           {"\x30\x80\x01"s, 128},
      {"\x30\xFF\x7F"s, 16383}, {"\x30\x80\x80\x01"s, 16384}, {"\x30\xFF\xFF\xFF\x7F"s, 268435455}};
  for (const auto& [text, size] : cases) {
    REQUIRE(parse_mqtt_frame(as_bytes(text), frame) == MqttFrameResult::kWhole);
    CHECK(frame.body_bytes == size);
    CHECK(frame.header_bytes == text.size());
  }
  CHECK(parse_mqtt_frame(as_bytes("\x30"s), frame) == MqttFrameResult::kIncomplete);
  CHECK(parse_mqtt_frame(as_bytes("\x30\x80\x80"s), frame) == MqttFrameResult::kIncomplete);
  // A gigabyte cannot even be said.
  CHECK(parse_mqtt_frame(as_bytes("\x30\x80\x80\x80\x80\x04"s), frame) ==
        MqttFrameResult::kMalformed);
  CHECK(parse_mqtt_frame(as_bytes("\x00\x00"s), frame) == MqttFrameResult::kMalformed);
}

TEST_CASE("mqtt: PUBLISH byte by byte") {
  MqttPublish publish;
  publish.topic = "a/b";
  publish.payload = as_bytes("hi");
  std::vector<uint8_t> out;
  write_publish(MqttVersion::k311, publish, {}, out);
  CHECK(out == bytes_of("\x30\x07\x00\x03"s + "a/bhi"));
  publish.qos = 1;
  publish.packet_id = 10;
  publish.is_retained = true;
  MqttPropertyWriter properties;
  properties.user("id", "7");
  out.clear();
  write_publish(MqttVersion::k5, publish, properties.bytes(), out);
  CHECK(out ==
        bytes_of("\x33\x12\x00\x03"s + "a/b" + "\x00\x0A\x08\x26\x00\x02id\x00\x01"s + "7hi"));
  MqttPublish read;
  const Packet packet = packet_of(out);
  REQUIRE(parse_publish(MqttVersion::k5, packet.frame.flags, packet.body, read) == nullptr);
  CHECK(read.topic == "a/b");
  CHECK(as_text(read.payload) == "hi");
  CHECK(read.packet_id == 10);
  CHECK(read.is_retained);
  CHECK(read.properties.user("id").value_or("") == "7");
  CHECK_FALSE(read.properties.user("other").has_value());
}

TEST_CASE("mqtt: what no PUBLISH may hold is named") {
  const std::string topic = "\x00\x01t"s;
  CHECK(publish_fault(MqttVersion::k311, 0, topic) == nullptr);
  CHECK(publish_fault(MqttVersion::k311, 6, topic) == "QoS 3"s);
  CHECK(publish_fault(MqttVersion::k311, 8, topic) == "a duplicate of QoS 0"s);
  CHECK(publish_fault(MqttVersion::k311, 2, topic + "\x00\x00"s) == "packet id 0"s);
  CHECK(publish_fault(MqttVersion::k311, 2, topic + "\x00"s) == "ends early"s);
  for (const char* bad :
       {"", "a/#", "+", "\xC0\x80", "\xED\xA0\x80", "\xF5\x80\x80\x80", "\xE2\x82"}) {
    CAPTURE(bad);
    const std::string text = bad;
    CHECK(publish_fault(MqttVersion::k311, 0, "\x00"s + static_cast<char>(text.size()) + text) !=
          nullptr);
  }
  CHECK(publish_fault(MqttVersion::k311, 0, "\x00\x03"s + "a\0b"s) != nullptr);
  // Properties: length beyond the packet, unknown, of another packet, twice, not 0 or 1.
  for (const std::string& bad : {"\x05"s, "\x02\x7E\x00"s, "\x03\x21\x00\x01"s,
                                 "\x04\x01\x00\x01\x00"s, "\x02\x01\x02"s, "\x03\x26\x00\x05"s}) {
    CHECK(publish_fault(MqttVersion::k5, 0, topic + bad) != nullptr);
  }
  CHECK(publish_fault(MqttVersion::k5, 0, topic + "\x04\x0B\x05\x0B\x06"s) == nullptr);  // repeats
}

TEST_CASE("mqtt: UTF-8 is checked by every byte's place") {
  for (const char* good : {"", "plain ascii, long enough", "caf\xC3\xA9", "\xE2\x82\xAC uro",
                           "\xF0\x9F\x98\x80", "\xED\x9F\xBF", "\xEE\x80\x80"}) {
    CHECK(is_mqtt_text(good));
  }
  for (const std::string& bad :
       {"\0"s, "12345678\0"s, "1234567\0"s, "1234567\x80"s, "\xC3"s, "\xE0\x80\x80"s,
        "\xF0\x80\x80\x80"s, "\xF4\x90\x80\x80"s, "\xFF"s}) {
    CHECK_FALSE(is_mqtt_text(bad));
  }
  CHECK_FALSE(is_mqtt_text(std::string(65536, 'a')));
}

TEST_CASE("mqtt: CONNECT and SUBSCRIBE come back as they were written") {
  for (const MqttVersion version : {MqttVersion::k311, MqttVersion::k5}) {
    MqttConnect connect;
    connect.version = version;
    connect.client_id = "agent";
    connect.user = "u";
    connect.password = "p";
    connect.will = MqttWill{"state/agent", "gone", 1, true};
    connect.is_clean = false;
    connect.session_expiry_s = 3600;
    connect.receive_maximum = 64;
    std::vector<uint8_t> out;
    write_connect(connect, out);
    MqttConnect read;
    const Packet packet = packet_of(out);
    REQUIRE(parse_connect(packet.frame.flags, packet.body, read) == nullptr);
    CHECK(read.version == version);
    CHECK(read.client_id == "agent");
    CHECK(read.user == "u");
    CHECK(read.password == "p");
    REQUIRE(read.will.has_value());
    CHECK(read.will->topic == "state/agent");
    CHECK(read.will->payload == "gone");
    CHECK(read.will->qos == 1);
    CHECK(read.will->is_retained);
    CHECK_FALSE(read.is_clean);
    CHECK(read.receive_maximum == (version == MqttVersion::k5 ? 64 : 65535));
    out.clear();
    write_subscribe(version, 3, {{.filter = "$share/g/in/#", .qos = 1}, {.filter = "x", .qos = 2}},
                    out);
    uint16_t id = 0;
    std::vector<MqttSubscription> subscriptions;
    const Packet subscribe = packet_of(out);
    REQUIRE(parse_subscribe(version, subscribe.frame.flags, subscribe.body, id, subscriptions) ==
            nullptr);
    CHECK(id == 3);
    REQUIRE(subscriptions.size() == 2);
    CHECK(subscriptions[0].filter == "$share/g/in/#");
    CHECK(subscriptions[1].qos == 2);
  }
}

TEST_CASE("mqtt: CONNACK, acknowledgements and reasons") {
  MqttConnack connack;
  const std::string properties = "\x21\x00\x14\x27\x00\x00\x10\x00"s;
  const std::string body = "\x01\x00\x08"s + properties;
  REQUIRE(parse_connack(MqttVersion::k5, 0, as_bytes(body), connack) == nullptr);
  CHECK(connack.is_session_present);
  CHECK(connack.properties.number(MqttProperty::kReceiveMaximum) == 20u);
  CHECK(connack.properties.number(MqttProperty::kMaximumPacketSize) == 4096u);
  CHECK_FALSE(connack.properties.number(MqttProperty::kServerKeepAlive).has_value());
  CHECK(parse_connack(MqttVersion::k5, 0, as_bytes("\x02\x00\x00"s), connack) != nullptr);
  CHECK(parse_connack(MqttVersion::k5, 0, as_bytes("\x00\x84"s), connack) == nullptr);
  MqttAck ack;
  REQUIRE(parse_ack(MqttVersion::k5, MqttType::kPuback, 0, as_bytes("\x00\x07\x10"s), ack) ==
          nullptr);
  CHECK(ack.packet_id == 7);
  CHECK(ack.reason == 0x10);
  CHECK(parse_ack(MqttVersion::k311, MqttType::kPuback, 0, as_bytes("\x00\x07\x10"s), ack) !=
        nullptr);
  CHECK(parse_ack(MqttVersion::k311, MqttType::kPubrel, 0, as_bytes("\x00\x07"s), ack) != nullptr);
  CHECK(mqtt_reason_text(MqttVersion::k5, 0x87) == "not authorized (0x87)");
  CHECK(mqtt_reason_text(MqttVersion::k311, 5) == "not authorized (0x05)");
}

}  // namespace ew::host
