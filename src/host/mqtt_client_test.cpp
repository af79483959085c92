#include "host/mqtt_client.h"

#include <doctest/doctest.h>

#include <chrono>
#include <set>

#include "testing/scripted_broker.h"

namespace ew::host {
namespace {

using testing::BrokerPacket;
using testing::ScriptedBroker;

struct Recorder final : MqttHandler {
  void on_connected(bool is_session_present) override {
    ++connected;
    was_present = is_session_present;
  }
  void on_disconnected(const Error& error) override { errors.push_back(error.message); }
  void on_message(const MqttMessage& message) override {
    payloads.emplace_back(as_text(message.payload));
    tokens.push_back(message.ack_token);
    if (acknowledges) client->acknowledge(message.ack_token);
  }
  void on_batch_end() override { ++batches; }
  void on_published(uint64_t tag, uint8_t reason) override {
    if (reason < 0x80) done.insert(tag);
    if (reason >= 0x80) refused.insert(tag);
  }
  void on_writable() override { ++writable; }
  void on_oversized(std::string_view topic, size_t bytes) override {
    oversized.push_back(str(topic, " ", bytes));
  }
  void on_subscription_refused(const std::string& filter, const std::string& why) override {
    errors.push_back(str(filter, ": ", why));
  }

  MqttClient* client = nullptr;
  bool acknowledges = false;
  bool was_present = false;
  int connected = 0;
  int batches = 0;
  int writable = 0;
  std::vector<std::string> payloads;
  std::vector<uint64_t> tokens;
  std::vector<std::string> errors;
  std::vector<std::string> oversized;
  std::set<uint64_t> done;
  std::set<uint64_t> refused;
};

/// Client and broker on one loop.
struct Pair {
  explicit Pair(MqttVersion version, MqttOptions options = {}) {
    options.port = broker.port();
    options.connect.version = version;
    options.connect.client_id = "agent";
    options.first_backoff_us = 1000;
    client = MqttClient::create(*loop, handler, options).value();
    handler.client = client.get();
  }

  /// Until `is_done` or for two seconds of doing nothing.
  template <typename Condition>
  bool run_until(const Condition& is_done) {
    for (int i = 0; i < 20'000 && !is_done(); ++i) {
      if (!loop->run_once(2'000'000)) break;
    }
    return is_done();
  }
  /// What is on its way arrives.
  void settle() {
    for (int i = 0; i < 6; ++i) loop->run_once(1000);
  }
  bool connect() {
    broker.answer(client->version(), false);
    client->start();
    return run_until([&] { return handler.connected > 0; });
  }

  std::unique_ptr<EventLoop> loop = EventLoop::create().value();
  Recorder handler;
  ScriptedBroker broker{*loop};
  std::unique_ptr<MqttClient> client;
};

constexpr MqttVersion kBoth[] = {MqttVersion::k311, MqttVersion::k5};

uint16_t packet_id_of(const BrokerPacket& packet) { return load_be16(packet.body.data()); }

}  // namespace

TEST_CASE("mqtt client: no PUBACK or PUBREC goes out before the owner says so, then in order") {
  for (const MqttVersion version : kBoth) {
    Pair pair(version, {.subscriptions = {{.filter = "in/#", .qos = 2}}});
    REQUIRE(pair.connect());
    pair.broker.take();
    pair.broker.publish(version, "in/1", "a", 1, 11);
    pair.broker.publish(version, "in/2", "b", 2, 12);
    pair.broker.publish(version, "in/3", "c", 1, 13);
    pair.broker.publish(version, "in/4", "d", 0, 0);
    REQUIRE(pair.run_until([&] { return pair.handler.payloads.size() == 4; }));
    pair.settle();
    CHECK(pair.broker.take().empty());
    CHECK(pair.handler.tokens.at(3) == 0);
    // Out of order: nothing may pass the first.
    pair.client->acknowledge(pair.handler.tokens.at(2));
    pair.client->acknowledge(pair.handler.tokens.at(1));
    pair.settle();
    CHECK(pair.broker.take().empty());
    pair.client->acknowledge(pair.handler.tokens.at(0));
    pair.client->acknowledge(pair.handler.tokens.at(0));
    std::vector<BrokerPacket> packets;
    REQUIRE(pair.run_until([&] {
      for (BrokerPacket& packet : pair.broker.take()) packets.push_back(std::move(packet));
      return packets.size() >= 3;
    }));
    REQUIRE(packets.size() == 3);
    CHECK(packets[0].type == MqttType::kPuback);
    CHECK(packet_id_of(packets[0]) == 11);
    CHECK(packets[1].type == MqttType::kPubrec);
    CHECK(packet_id_of(packets[1]) == 12);
    CHECK(packets[2].type == MqttType::kPuback);
    CHECK(packet_id_of(packets[2]) == 13);
  }
}

TEST_CASE("mqtt client: unacknowledged messages are bounded in both versions") {
  for (const MqttVersion version : kBoth) {
    MqttOptions options{.subscriptions = {{.filter = "in/#", .qos = 1}}};
    options.connect.receive_maximum = 4;
    Pair pair(version, options);
    REQUIRE(pair.connect());
    for (uint16_t id = 1; id <= 10; ++id) pair.broker.publish(version, "in/1", "x", 1, id);
    REQUIRE(pair.run_until([&] { return pair.handler.payloads.size() == 4; }));
    pair.settle();
    CHECK(pair.handler.payloads.size() == 4);
    pair.client->acknowledge(pair.handler.tokens.at(0));
    REQUIRE(pair.run_until([&] { return pair.handler.payloads.size() == 5; }));
    pair.handler.acknowledges = true;
    for (size_t i = 1; i < 5; ++i) pair.client->acknowledge(pair.handler.tokens.at(i));
    REQUIRE(pair.run_until([&] { return pair.handler.payloads.size() == 10; }));
    REQUIRE(pair.run_until([&] { return pair.broker.count(MqttType::kPuback) == 10; }));
  }
}

TEST_CASE("mqtt client: on another loop the connection, its unread input and its output go on") {
  for (const MqttVersion version : kBoth) {
    Pair pair(version, {.subscriptions = {{.filter = "in/#", .qos = 1}}});
    REQUIRE(pair.connect());
    pair.broker.take();
    pair.handler.acknowledges = true;
    pair.client->set_reading(false);
    pair.settle();
    pair.broker.publish(version, "in/1", "a", 1, 11);
    CHECK(pair.client->publish("out", as_bytes("x"), 1, false, 5) == MqttPublishResult::kInFlight);
    const auto other = EventLoop::create().value();
    REQUIRE(pair.client->move_to(*other).ok());
    // The broker's loop does not serve it any more.
    pair.settle();
    CHECK(pair.broker.take().empty());
    CHECK(pair.client->in_flight() == 1);
    pair.client->set_reading(true);
    const auto run_both = [&](const auto& is_done) {
      for (int i = 0; i < 200 && !is_done(); ++i) {
        other->run_once(5000);
        pair.loop->run_once(5000);
      }
      return is_done();
    };
    REQUIRE(run_both([&] { return pair.broker.count(MqttType::kPuback) == 1; }));
    CHECK(pair.handler.payloads == std::vector<std::string>{"a"});
    CHECK(pair.broker.count(MqttType::kPublish) == 1);
    CHECK(pair.broker.connections() == 1);
    pair.broker.drop_connection();
    REQUIRE(run_both([&] { return pair.handler.connected == 2; }));
    pair.client.reset();  // before its loop
  }
}

TEST_CASE("mqtt client: a QoS 2 message that comes again is not told twice, even if stored late") {
  const MqttVersion version = MqttVersion::k5;
  MqttOptions options{.subscriptions = {{.filter = "in/#", .qos = 2}}};
  options.connect.is_clean = false;
  Pair pair(version, options);
  REQUIRE(pair.connect());
  pair.broker.publish(version, "in/1", "a", 2, 7);
  REQUIRE(pair.run_until([&] { return pair.handler.payloads.size() == 1; }));
  pair.broker.answer(version, true);
  pair.broker.drop_connection();
  REQUIRE(pair.run_until([&] { return pair.handler.connected == 2; }));
  CHECK(pair.handler.was_present);
  pair.broker.take();
  pair.broker.publish(version, "in/1", "a", 2, 7, true);
  pair.settle();
  CHECK(pair.broker.count(MqttType::kPubrec) == 0);
  pair.client->acknowledge(pair.handler.tokens.at(0));
  REQUIRE(pair.run_until([&] { return pair.broker.count(MqttType::kPubrec) == 1; }));
  CHECK(pair.handler.payloads.size() == 1);
  std::vector<uint8_t> release;
  write_ack(version, MqttType::kPubrel, 7, 0, release);
  pair.broker.send(release);
  REQUIRE(pair.run_until([&] { return pair.broker.count(MqttType::kPubcomp) == 1; }));
  // Released: the same id is a new message.
  pair.broker.publish(version, "in/1", "b", 2, 7);
  REQUIRE(pair.run_until([&] { return pair.handler.payloads.size() == 2; }));
}

TEST_CASE("mqtt client: published messages are answered by tag; a lost connection answers none") {
  for (const MqttVersion version : kBoth) {
    Pair pair(version, {.max_in_flight = 3});
    REQUIRE(pair.connect());
    pair.broker.take();
    CHECK(pair.client->publish("out", as_bytes("0"), 0, false, 90) == MqttPublishResult::kSent);
    for (uint64_t tag = 1; tag <= 3; ++tag) {
      CHECK(pair.client->publish("out", as_bytes("x"), tag == 3 ? 2 : 1, false, tag) ==
            MqttPublishResult::kInFlight);
    }
    CHECK_FALSE(pair.client->can_publish(1));
    CHECK(pair.client->can_publish(0));
    CHECK(pair.client->publish("out", as_bytes("x"), 1, false, 4) == MqttPublishResult::kBusy);
    REQUIRE(pair.run_until([&] { return pair.broker.count(MqttType::kPublish) == 4; }));
    std::vector<uint8_t> answers;
    for (const BrokerPacket& packet : pair.broker.take()) {
      MqttPublish publish;
      REQUIRE(parse_publish(version, packet.flags, packet.body, publish) == nullptr);
      if (publish.qos == 1) write_ack(version, MqttType::kPuback, publish.packet_id, 0, answers);
      if (publish.qos == 2) write_ack(version, MqttType::kPubrec, publish.packet_id, 0, answers);
    }
    pair.broker.send(answers);
    REQUIRE(pair.run_until([&] { return pair.handler.done.size() == 3; }));
    CHECK(pair.handler.writable >= 1);
    REQUIRE(pair.run_until([&] { return pair.broker.count(MqttType::kPubrel) == 1; }));
    CHECK(pair.client->in_flight() == 1);  // the id waits for PUBCOMP
    CHECK(pair.client->publish("out", as_bytes("y"), 1, false, 5) == MqttPublishResult::kInFlight);
    pair.broker.drop_connection();
    REQUIRE(pair.run_until([&] { return pair.handler.connected == 2; }));
    CHECK(pair.client->in_flight() == 0);
    CHECK(pair.handler.done.count(5) == 0);
    CHECK(pair.handler.errors.size() == 1);
  }
}

TEST_CASE("mqtt client: a message above the limit is passed over, counted and acknowledged") {
  for (const MqttVersion version : kBoth) {
    Pair pair(version, {.subscriptions = {{.filter = "in/#", .qos = 1}}, .max_packet_bytes = 1000});
    pair.handler.acknowledges = true;
    REQUIRE(pair.connect());
    pair.broker.publish(version, "in/1", "small", 1, 1);
    pair.broker.publish(version, "in/big", std::string(300'000, 'x'), 1, 2);
    pair.broker.publish(version, "in/1", "after", 1, 3);
    REQUIRE(pair.run_until([&] { return pair.handler.payloads.size() == 2; }));
    REQUIRE(pair.run_until([&] { return pair.broker.count(MqttType::kPuback) == 3; }));
    CHECK(pair.handler.payloads == std::vector<std::string>{"small", "after"});
    REQUIRE(pair.handler.oversized.size() == 1);
    CHECK(pair.handler.oversized[0].starts_with("in/big 3000"));
    CHECK(pair.client->counters().oversized == 1);
  }
}

TEST_CASE("mqtt client: packets that no server may send end the connection and are counted") {
  const std::vector<uint8_t> bad[] = {
      {0x00, 0x00},                               // no type
      {0x30, 0x80, 0x80, 0x80, 0x80, 0x04},       // a gigabyte
      {0x32, 0x05, 0x00, 0x01, 't', 0x00, 0x00},  // packet id 0
      {0xC0, 0x00},                               // PINGREQ from a server
      {0x90, 0x03, 0x00, 0x01, 0x00},             // SUBACK that answers nothing
      {0x20, 0x02, 0x00, 0x00},                   // a second CONNACK
  };
  for (const std::vector<uint8_t>& bytes : bad) {
    CAPTURE(bytes[0]);
    Pair pair(MqttVersion::k311);
    REQUIRE(pair.connect());
    pair.broker.send(bytes);
    REQUIRE(pair.run_until([&] { return pair.handler.errors.size() == 1; }));
    REQUIRE(pair.run_until([&] { return pair.handler.connected == 2; }));  // and comes back
  }
}

TEST_CASE("mqtt client: a server that says nothing is given up in time") {
  Pair pair(MqttVersion::k5, {.connect_timeout_us = 5000});
  pair.broker.set_silent(true);
  pair.client->start();
  REQUIRE(pair.run_until([&] { return !pair.handler.errors.empty(); }));
  CHECK(pair.handler.errors[0].find("no answer to CONNECT within 5 ms") != std::string::npos);
  CHECK(pair.client->counters().failed_connects == 1);
}

TEST_CASE("mqtt client: nobody there at the start; then there is") {
  const auto loop = EventLoop::create().value();
  Recorder handler;
  uint16_t port = 0;
  {
    const auto listener = Listener::open(*loop, "127.0.0.1", 0, [](int) {}).value();
    port = listener->port();
  }
  MqttOptions options;
  options.port = port;
  options.first_backoff_us = 500;
  options.max_backoff_us = 2000;
  const auto client = MqttClient::create(*loop, handler, options).value();
  client->start();
  while (handler.errors.size() < 3) loop->run_once(1'000'000);
  CHECK(handler.errors[0].find("cannot connect: Connection refused") != std::string::npos);
  CHECK_FALSE(client->is_connected());
  CHECK(client->publish("t", as_bytes("x"), 0, false, 1) == MqttPublishResult::kBusy);
}

TEST_CASE("mqtt client: a refused subscription is named") {
  Pair pair(MqttVersion::k5, {.subscriptions = {{.filter = "secret/#", .qos = 1}}});
  pair.client->start();
  REQUIRE(pair.run_until([&] { return pair.broker.count(MqttType::kConnect) == 1; }));
  std::vector<uint8_t> bytes;
  write_connack(MqttVersion::k5, {}, bytes);
  const uint8_t reason[] = {0x87};
  write_suback(MqttVersion::k5, 65535, reason, bytes);
  pair.broker.send(bytes);
  REQUIRE(pair.run_until([&] { return pair.handler.connected == 1; }));
  CHECK(pair.handler.errors == std::vector<std::string>{"secret/#: not authorized (0x87)"});
}

TEST_CASE("mqtt client: it pings when there is silence, and gives up without an answer") {
  int64_t skipped = 0;
  Clocks clocks;
  clocks.steady_us = [&] {
    return skipped + std::chrono::duration_cast<std::chrono::microseconds>(
                         std::chrono::steady_clock::now().time_since_epoch())
                         .count();
  };
  Pair pair(MqttVersion::k5);
  pair.client.reset();
  // The loop's own clock, so that a minute passes at once.
  const auto loop = EventLoop::create(clocks).value();
  ScriptedBroker broker(*loop);
  broker.answer(MqttVersion::k5, false);
  Recorder handler;
  MqttOptions options;
  options.port = broker.port();
  options.connect.keep_alive_s = 60;
  const auto client = MqttClient::create(*loop, handler, options).value();
  client->start();
  while (handler.connected == 0) loop->run_once(1'000'000);
  skipped += 31'000'000;
  while (broker.count(MqttType::kPingreq) == 0) loop->run_once(1'000'000);
  broker.send({0xD0, 0x00});
  for (int i = 0; i < 3; ++i) loop->run_once(1000);
  skipped += 31'000'000;
  while (broker.count(MqttType::kPingreq) < 2) loop->run_once(1'000'000);
  CHECK(handler.errors.empty());
  skipped += 61'000'000;
  while (handler.errors.empty()) loop->run_once(1'000'000);
  CHECK(handler.errors[0].find("no answer to PINGREQ") != std::string::npos);
}

TEST_CASE("mqtt client: everything of one wake-up leaves together, and reading can be stopped") {
  Pair pair(MqttVersion::k5, {.subscriptions = {{.filter = "in/#"}}});
  REQUIRE(pair.connect());
  pair.client->set_reading(false);
  for (int i = 0; i < 100; ++i) pair.broker.publish(MqttVersion::k5, "in/1", str(i), 0, 0);
  pair.settle();
  CHECK(pair.handler.payloads.empty());
  pair.client->set_reading(true);
  REQUIRE(pair.run_until([&] { return pair.handler.payloads.size() == 100; }));
  CHECK(pair.handler.batches <= 3);
}

TEST_CASE("mqtt client: options that MQTT cannot carry are refused") {
  const auto loop = EventLoop::create().value();
  Recorder handler;
  MqttOptions options;
  options.connect.is_clean = false;
  CHECK_FALSE(MqttClient::create(*loop, handler, options).ok());
  options = {};
  options.subscriptions = {{.filter = "\xFF"}};
  CHECK_FALSE(MqttClient::create(*loop, handler, options).ok());
  options = {};
  options.connect.will = MqttWill{"a/#", "", 0, false};
  CHECK_FALSE(MqttClient::create(*loop, handler, options).ok());
}

}  // namespace ew::host
