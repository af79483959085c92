// The MQTT client against a real mosquitto: versions, QoS, restarts, sessions, TLS.
#include <doctest/doctest.h>

#include <csignal>
#include <set>

#include "host/mqtt_client.h"
#include "testing/mosquitto.h"
#include "testing/scripted_broker.h"

namespace ew::host {
namespace {

using testing::Mosquitto;

struct Peer final : MqttHandler {
  Peer(EventLoop& loop, MqttOptions options) {
    options.first_backoff_us = 20'000;
    options.max_backoff_us = 200'000;
    client = MqttClient::create(loop, *this, std::move(options)).value();
  }
  void on_connected(bool is_present) override {
    ++connects;
    was_present = is_present;
  }
  void on_disconnected(const Error& error) override { last_error = error.message; }
  void on_message(const MqttMessage& message) override {
    received.emplace_back(as_text(message.payload));
    ids.emplace_back(message.properties.user("id").value_or(""));
    if (holds) {
      held.push_back(message.ack_token);
    } else {
      client->acknowledge(message.ack_token);
    }
  }
  void on_published(uint64_t tag, uint8_t) override { done.insert(tag); }

  std::unique_ptr<MqttClient> client;
  bool holds = false;
  bool was_present = false;
  int connects = 0;
  std::string last_error;
  std::vector<std::string> received;
  std::vector<std::string> ids;
  std::vector<uint64_t> held;
  std::set<uint64_t> done;
};

MqttOptions options_of(uint16_t port, MqttVersion version, const std::string& id) {
  MqttOptions options;
  options.port = port;
  options.connect.version = version;
  options.connect.client_id = id;
  return options;
}

template <typename Condition>
bool run_until(EventLoop& loop, const Condition& is_done) {
  const int64_t end = loop.steady_us() + 20'000'000;
  while (!is_done() && loop.steady_us() < end) loop.run_once(100'000);
  return is_done();
}

constexpr MqttVersion kBoth[] = {MqttVersion::k311, MqttVersion::k5};

}  // namespace

TEST_CASE("mosquitto: every QoS in both versions, in order, with user properties") {
  REQUIRE_MESSAGE(Mosquitto::is_installed(), "the package mosquitto is missing");
  const Mosquitto broker;
  const auto loop = EventLoop::create().value();
  for (const MqttVersion version : kBoth) {
    for (const uint8_t qos : {uint8_t{0}, uint8_t{1}, uint8_t{2}}) {
      CAPTURE(static_cast<int>(version));
      CAPTURE(static_cast<int>(qos));
      MqttOptions options = options_of(broker.port(), version, "subscriber");
      options.subscriptions = {{.filter = str("in/", qos, "/#"), .qos = qos}};
      Peer subscriber(*loop, options);
      Peer publisher(*loop, options_of(broker.port(), version, "publisher"));
      subscriber.client->start();
      publisher.client->start();
      REQUIRE(run_until(*loop, [&] { return subscriber.connects > 0 && publisher.connects > 0; }));
      constexpr uint64_t kCount = 3000;
      uint64_t next = 0;
      MqttPropertyWriter properties;
      REQUIRE(run_until(*loop, [&] {
        while (next < kCount && next < subscriber.received.size() + 500) {
          properties.clear();
          properties.user("id", str("app/", next));
          if (publisher.client->publish(str("in/", qos, "/x"), as_bytes(str(next)), qos, false,
                                        next, properties.bytes()) == MqttPublishResult::kBusy) {
            break;
          }
          ++next;
        }
        return subscriber.received.size() == kCount &&
               (qos == 0 || publisher.done.size() == kCount);
      }));
      bool is_ordered = true;
      for (uint64_t i = 0; i < kCount; ++i) {
        is_ordered = is_ordered && subscriber.received[i] == str(i);
        if (version == MqttVersion::k5) {
          is_ordered = is_ordered && subscriber.ids[i] == str("app/", i);
        }
      }
      CHECK(is_ordered);
    }
  }
}

TEST_CASE("mosquitto: what was not acknowledged comes again after a restart of the broker") {
  for (const MqttVersion version : kBoth) {
    for (const uint8_t qos : {uint8_t{1}, uint8_t{2}}) {
      CAPTURE(static_cast<int>(version));
      CAPTURE(static_cast<int>(qos));
      Mosquitto broker;
      const auto loop = EventLoop::create().value();
      MqttOptions options = options_of(broker.port(), version, "subscriber");
      options.subscriptions = {{.filter = "in", .qos = qos}};
      options.connect.is_clean = false;
      options.connect.session_expiry_s = 3600;
      Peer subscriber(*loop, options);
      Peer publisher(*loop, options_of(broker.port(), version, "publisher"));
      subscriber.holds = true;
      subscriber.client->start();
      publisher.client->start();
      REQUIRE(run_until(*loop, [&] { return subscriber.connects > 0 && publisher.connects > 0; }));
      for (uint64_t i = 0; i < 5; ++i) {
        (void)publisher.client->publish("in", as_bytes(str(i)), qos, false, i);
      }
      REQUIRE(run_until(*loop, [&] { return subscriber.received.size() == 5; }));
      subscriber.client->acknowledge(subscriber.held[0]);
      subscriber.client->acknowledge(subscriber.held[1]);
      REQUIRE(run_until(*loop, [&] { return subscriber.client->unacknowledged() == 3; }));
      for (int i = 0; i < 20; ++i) loop->run_once(5000);
      broker.stop(SIGTERM);
      REQUIRE(run_until(*loop, [&] { return !subscriber.client->is_connected(); }));
      REQUIRE(broker.start());
      REQUIRE(run_until(*loop, [&] { return subscriber.connects == 2; }));
      CHECK(subscriber.was_present);
      if (qos == 1) {
        REQUIRE(run_until(*loop, [&] { return subscriber.received.size() == 8; }));
        CHECK(subscriber.received[5] == "2");
        for (const uint64_t token : subscriber.held) subscriber.client->acknowledge(token);
      } else {
        // Known by its packet id: not told again, and acknowledged once it is stored.
        REQUIRE(run_until(*loop, [&] { return subscriber.client->unacknowledged() == 3; }));
        for (const uint64_t token : subscriber.held) subscriber.client->acknowledge(token);
        CHECK(subscriber.received.size() == 5);
      }
      REQUIRE(run_until(*loop, [&] { return subscriber.client->unacknowledged() == 0; }));
    }
  }
}

TEST_CASE("mosquitto: shared subscriptions share, wills are sent, retained messages come") {
  const Mosquitto broker;
  const auto loop = EventLoop::create().value();
  std::vector<std::unique_ptr<Peer>> group;
  for (const char* id : {"a", "b"}) {
    MqttOptions options = options_of(broker.port(), MqttVersion::k5, id);
    options.subscriptions = {{.filter = "$share/group/in/#", .qos = 1}};
    if (id[0] == 'a') options.connect.will = MqttWill{"state/a", "gone", 1, true};
    group.push_back(std::make_unique<Peer>(*loop, options));
    group.back()->client->start();
  }
  Peer publisher(*loop, options_of(broker.port(), MqttVersion::k5, "publisher"));
  publisher.client->start();
  REQUIRE(run_until(*loop, [&] {
    return group[0]->connects > 0 && group[1]->connects > 0 && publisher.connects > 0;
  }));
  uint64_t next = 0;
  REQUIRE(run_until(*loop, [&] {
    while (next < 100 && publisher.client->publish("in/1", as_bytes("x"), 1, false, next) !=
                             MqttPublishResult::kBusy) {
      ++next;
    }
    return group[0]->received.size() + group[1]->received.size() == 100;
  }));
  CHECK(group[0]->received.size() > 20);
  CHECK(group[1]->received.size() > 20);
  // A connection that ends without a goodbye leaves its will, retained for those who come later.
  // Another client with the same name takes the connection over.
  Peer thief(*loop, options_of(broker.port(), MqttVersion::k5, "a"));
  group[0]->client->set_reading(false);
  thief.client->start();
  REQUIRE(run_until(*loop, [&] { return thief.connects > 0; }));
  MqttOptions options = options_of(broker.port(), MqttVersion::k5, "late");
  options.subscriptions = {{.filter = "state/#", .qos = 1}};
  Peer late(*loop, options);
  late.client->start();
  REQUIRE(run_until(*loop, [&] { return late.received.size() == 1; }));
  CHECK(late.received[0] == "gone");
}

TEST_CASE("mosquitto: a wrong password is named, and tried again") {
  const testing::TemporaryFolder folder;
  const std::string file = folder.path("users");
  REQUIRE(std::system(str("mosquitto_passwd -b -c ", file, " sensor right").c_str()) ==
          0);  // NOLINT
  const Mosquitto broker(str("allow_anonymous false\npassword_file ", file, "\n"));
  const auto loop = EventLoop::create().value();
  for (const MqttVersion version : kBoth) {
    MqttOptions options = options_of(broker.port(), version, "sensor");
    options.connect.user = "sensor";
    options.connect.password = "right";
    Peer good(*loop, options);
    options.connect.client_id = "other";
    options.connect.password = "wrong";
    Peer bad(*loop, options);
    good.client->start();
    bad.client->start();
    REQUIRE(run_until(
        *loop, [&] { return good.connects == 1 && bad.client->counters().failed_connects >= 2; }));
    CHECK(bad.last_error.find("refused: not authorized") != std::string::npos);
  }
}

TEST_CASE("mosquitto: TLS and client certificates; the wrong side of either is refused") {
  const testing::TemporaryFolder folder;
  REQUIRE(testing::make_certificates(folder.path()));
  const Mosquitto broker(str("cafile ", folder.path("ca.pem"), "\ncertfile ",
                             folder.path("server.pem"), "\nkeyfile ", folder.path("server.key"),
                             "\nrequire_certificate true\n"));
  const auto loop = EventLoop::create().value();
  const auto peer_with = [&](const TlsOptions& tls, const std::string& host) {
    MqttOptions options = options_of(broker.port(), MqttVersion::k5, "tls");
    options.host = host;
    options.tls = create_tls_context(tls).value();
    options.subscriptions = {{.filter = "in", .qos = 1}};
    return std::make_unique<Peer>(*loop, options);
  };
  TlsOptions good;
  good.ca_file = folder.path("ca.pem");
  good.certificate_file = folder.path("client.pem");
  good.key_file = folder.path("client.key");
  for (const char* host : {"localhost", "127.0.0.1"}) {
    const auto peer = peer_with(good, host);
    peer->client->start();
    REQUIRE(run_until(*loop, [&] { return peer->connects == 1; }));
    const std::string large(100'000, 'x');
    REQUIRE(peer->client->publish("in", as_bytes(large), 1, false, 1) ==
            MqttPublishResult::kInFlight);
    REQUIRE(run_until(*loop, [&] { return peer->received.size() == 1; }));
    CHECK(peer->received[0] == large);
  }
  TlsOptions other = good;
  other.ca_file = folder.path("other-ca.pem");
  const auto distrustful = peer_with(other, "localhost");
  TlsOptions nobody;
  nobody.ca_file = folder.path("ca.pem");
  const auto anonymous = peer_with(nobody, "localhost");
  distrustful->client->start();
  anonymous->client->start();
  REQUIRE(run_until(*loop, [&] {
    return distrustful->client->counters().failed_connects > 0 &&
           anonymous->client->counters().failed_connects > 0;
  }));
  CHECK(distrustful->last_error.find("certificate is refused") != std::string::npos);
  CHECK(distrustful->connects == 0);
  CHECK(anonymous->connects == 0);
}

TEST_CASE(
    "tls: a name that the certificate does not carry is refused; half a handshake times out") {
  const testing::TemporaryFolder folder;
  REQUIRE(testing::make_certificates(folder.path()));
  const auto loop = EventLoop::create().value();
  TlsOptions server;
  server.is_server = true;
  server.certificate_file = folder.path("client.pem");  // without any name
  server.key_file = folder.path("client.key");
  const auto server_tls = create_tls_context(server).value();
  TlsOptions client;
  client.ca_file = folder.path("ca.pem");
  testing::ScriptedBroker broker(*loop, server_tls.get());
  broker.answer(MqttVersion::k5, false);
  MqttOptions options = options_of(broker.port(), MqttVersion::k5, "x");
  options.tls = create_tls_context(client).value();
  Peer peer(*loop, options);
  peer.client->start();
  REQUIRE(run_until(*loop, [&] { return !peer.last_error.empty(); }));
  CHECK(peer.last_error.find("certificate is refused") != std::string::npos);
  // A plain listener that answers nothing: the handshake stays half done.
  testing::ScriptedBroker silent(*loop);
  silent.set_silent(true);
  options.port = silent.port();
  options.connect_timeout_us = 20'000;
  Peer waiting(*loop, options);
  waiting.client->start();
  REQUIRE(run_until(*loop, [&] { return !waiting.last_error.empty(); }));
  CHECK(waiting.last_error.find("no answer within 20 ms") != std::string::npos);
}

}  // namespace ew::host
