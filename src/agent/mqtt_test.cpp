// The MQTT source and sink against a scripted broker, and the promise that a message is on disk
// before its sender hears so.
#include <doctest/doctest.h>

#include <map>
#include <tuple>
#include <type_traits>

#include "agent/app.h"
#include "agent/kept_links.h"
#include "agent/sink.h"
#include "agent/source.h"
#include "host/durable_log.h"
#include "host/event_loop.h"
#include "testing/faulty_file_system.h"
#include "testing/scripted_broker.h"
#include "testing/temporary_folder.h"

namespace ew::agent {

extern const SourceType kMqttSource;
extern const SinkType kMqttSink;

namespace {

using host::MqttType;
using host::MqttVersion;
using testing::BrokerPacket;
using testing::ScriptedBroker;

struct FakeIntake final : Intake {
  void push(const RawRecord& record) override {
    payloads.emplace_back(record.payload);
    topics.emplace_back(record.topic);
    tokens.push_back(record.ack_token);
    if (on_push) on_push(record);
  }
  void end_batch() override { ++batches; }
  void drop(std::string_view key, size_t, DropReason reason) override {
    drops.push_back(str(key, " ", to_string(reason)));
  }
  void set_state(LinkState new_state, std::string_view new_detail) override {
    state = new_state;
    detail = new_detail;
  }
  bool is_paused() const override { return false; }
  int64_t now_us() const override { return 1'700'000'000'000'000; }

  std::function<void(const RawRecord&)> on_push;
  std::vector<std::string> payloads;
  std::vector<std::string> topics;
  std::vector<uint64_t> tokens;
  std::vector<std::string> drops;
  int batches = 0;
  LinkState state = LinkState::kFailed;
  std::string detail;
};

struct FakeOutlet final : Outlet {
  void delivered(uint64_t ticket) override { done.push_back(ticket); }
  void refused(uint64_t ticket, std::string_view why) override { refusals[ticket] = why; }
  void reset() override { ++resets; }
  void ready() override { ++readies; }
  void set_state(LinkState new_state, std::string_view) override { state = new_state; }

  std::vector<uint64_t> done;
  std::map<uint64_t, std::string> refusals;
  int resets = 0;
  int readies = 0;
  LinkState state = LinkState::kFailed;
};

template <typename Condition>
bool run_until(host::EventLoop& loop, const Condition& is_done) {
  const int64_t end = loop.steady_us() + 10'000'000;
  while (!is_done() && loop.steady_us() < end) loop.run_once(100'000);
  return is_done();
}

void settle(host::EventLoop& loop) {
  for (int i = 0; i < 6; ++i) loop.run_once(1000);
}

/// A source or sink from the text of its map.
template <typename Made>
struct FromYaml {
  FromYaml(const auto& type, const std::string& text) {
    document = host::parse_yaml(text, "app.yaml").value();
    words.assign(type.words.begin(), type.words.end());
    const std::span<const WordDef> common =
        std::is_same_v<Made, Source> ? source_common_words() : sink_common_words();
    words.insert(words.end(), common.begin(), common.end());
    const Settings settings(&document, words);
    made = type.create(settings, "test");
  }
  host::YamlNode document;
  std::vector<WordDef> words;  ///< the type's and those of all
  Result<std::unique_ptr<Made>> made = invalid_argument("none");
};

/// Topic, payload and packet id of a PUBLISH.
std::tuple<std::string, std::string, uint16_t> published(const BrokerPacket& packet) {
  host::MqttPublish publish;
  REQUIRE(host::parse_publish(MqttVersion::k5, packet.flags, packet.body, publish) == nullptr);
  return {std::string(publish.topic), std::string(host::as_text(publish.payload)),
          publish.packet_id};
}

Output numbered(uint64_t ticket, std::string_view key) {
  Output out;
  out.ticket = ticket;
  out.key = key;
  out.payload = "{}";
  return out;
}

}  // namespace

TEST_CASE("mqtt source: while the commit is held back, no PUBACK and no PUBREC is on the wire") {
  for (const char* version : {"5", "3.1.1"}) {
    for (const uint8_t qos : {uint8_t{1}, uint8_t{2}}) {
      const auto loop = host::EventLoop::create().value();
      const MqttVersion mqtt = version[0] == '5' ? MqttVersion::k5 : MqttVersion::k311;
      ScriptedBroker broker(*loop);
      broker.answer(mqtt, false);
      FromYaml<Source> source(
          kMqttSource, str("server: mqtt://127.0.0.1:", broker.port(), "\nversion: '", version,
                           "'\ntopics: in/#\nqos: ", qos, "\n"));
      REQUIRE_MESSAGE(source.made.ok(), source.made.error().message);
      Source& mqtt_source = **source.made;
      CHECK(mqtt_source.is_durable());
      // The journal as the agent keeps it: a record is acknowledged when its commit is told.
      testing::FaultyFileSystem disk;
      std::map<uint64_t, uint64_t> token_of;
      uint64_t acknowledged = 0;
      host::LogOptions log_options;
      log_options.directory = "journal";
      log_options.post = [&](std::function<void()> call) { loop->post(std::move(call)); };
      log_options.on_committed = [&](uint64_t sequence) {
        for (; acknowledged < sequence; ++acknowledged) {
          mqtt_source.acknowledge(token_of.at(acknowledged + 1));
        }
      };
      const auto journal = host::DurableLog::open(disk, log_options).value();
      FakeIntake intake;
      intake.on_push = [&](const RawRecord& record) {
        token_of[journal->append(host::as_bytes(record.payload)).value()] = record.ack_token;
      };
      REQUIRE(mqtt_source.start({*loop, intake, 0}).ok());
      REQUIRE(run_until(*loop, [&] { return intake.state == LinkState::kConnected; }));
      broker.take();
      disk.hold_syncs(true);
      for (uint16_t id = 1; id <= 5; ++id) broker.publish(mqtt, "in/1", str("m", id), qos, id);
      REQUIRE(run_until(*loop, [&] { return intake.payloads.size() == 5; }));
      disk.wait_for_held_sync();
      settle(*loop);
      CHECK(broker.take().empty());
      disk.hold_syncs(false);
      const MqttType answer = qos == 1 ? MqttType::kPuback : MqttType::kPubrec;
      REQUIRE(run_until(*loop, [&] { return broker.count(answer) == 5; }));
      mqtt_source.stop();
    }
  }
}

TEST_CASE("mqtt source: topics, batches, oversized messages, pauses") {
  const auto loop = host::EventLoop::create().value();
  ScriptedBroker broker(*loop);
  broker.answer(MqttVersion::k5, false);
  FromYaml<Source> source(
      kMqttSource, str("server: mqtt://localhost:", broker.port(), "\ntopics: [a/#, b]\nqos: 0\n"));
  REQUIRE(source.made.ok());
  CHECK_FALSE((*source.made)->is_durable());
  FakeIntake intake;
  REQUIRE((*source.made)->start({*loop, intake, 0}).ok());
  REQUIRE(run_until(*loop, [&] { return intake.state == LinkState::kConnected; }));
  for (int i = 0; i < 50; ++i) broker.publish(MqttVersion::k5, "a/x", str(i), 0, 0);
  broker.publish(MqttVersion::k5, "a/huge", std::string(3 << 20, 'x'), 0, 0);
  broker.publish(MqttVersion::k5, "b", "last", 0, 0);
  REQUIRE(run_until(*loop, [&] { return intake.payloads.size() == 51; }));
  CHECK(intake.topics.front() == "a/x");
  CHECK(intake.payloads.back() == "last");
  CHECK(intake.drops == std::vector<std::string>{str("a/huge ", to_string(DropReason::kTooLarge))});
  CHECK(intake.batches < 20);
  (*source.made)->pause();
  broker.publish(MqttVersion::k5, "b", "paused", 0, 0);
  settle(*loop);
  CHECK(intake.payloads.size() == 51);
  (*source.made)->resume();
  REQUIRE(run_until(*loop, [&] { return intake.payloads.size() == 52; }));
  broker.drop_connection();
  REQUIRE(run_until(*loop, [&] { return intake.state == LinkState::kDisconnected; }));
  REQUIRE(run_until(*loop, [&] { return intake.state == LinkState::kConnected; }));
  (*source.made)->stop();
}

TEST_CASE("mqtt source: a list is as many records, acknowledged with the last one") {
  const auto loop = host::EventLoop::create().value();
  ScriptedBroker broker(*loop);
  broker.answer(MqttVersion::k5, false);
  FromYaml<Source> source(kMqttSource, str("server: mqtt://localhost:", broker.port(),
                                           "\ntopics: a\nqos: 1\nsplit: true\n"));
  REQUIRE_MESSAGE(source.made.ok(), source.made.error().message);
  FakeIntake intake;
  REQUIRE((*source.made)->start({*loop, intake, 0}).ok());
  REQUIRE(run_until(*loop, [&] { return intake.state == LinkState::kConnected; }));
  broker.take();
  broker.publish(MqttVersion::k5, "a", R"([{"x":1}, {"x":[2]},{"x":3}])", 1, 7);
  broker.publish(MqttVersion::k5, "a", "{\"x\":4}\n{\"x\":5}", 1, 8);
  broker.publish(MqttVersion::k5, "a", "[broken", 1, 9);
  broker.publish(MqttVersion::k5, "a", "[]", 1, 10);
  REQUIRE(run_until(*loop, [&] { return intake.payloads.size() == 7; }));
  CHECK(intake.payloads == std::vector<std::string>{R"({"x":1})", R"({"x":[2]})", R"({"x":3})",
                                                    R"({"x":4})", R"({"x":5})", "[broken", "[]"});
  CHECK(intake.tokens[0] == 0);
  CHECK(intake.tokens[1] == 0);
  CHECK(intake.tokens[3] == 0);
  for (const size_t last : {2, 4, 5, 6}) {
    REQUIRE(intake.tokens[last] != 0);
    (*source.made)->acknowledge(intake.tokens[last]);
  }
  REQUIRE(run_until(*loop, [&] { return broker.count(MqttType::kPuback) == 4; }));
  (*source.made)->stop();
}

TEST_CASE("mqtt sink: outputs carry their ids, resent ones say so, answers come by ticket") {
  const auto loop = host::EventLoop::create().value();
  ScriptedBroker broker(*loop);
  broker.answer(MqttVersion::k5, false);
  FromYaml<Sink> sink(kMqttSink, str("server: mqtt://127.0.0.1:", broker.port(),
                                     "\ntopic: out/{key}/{rule}\nmax_in_flight: 3\n"));
  REQUIRE_MESSAGE(sink.made.ok(), sink.made.error().message);
  FakeOutlet outlet;
  Sink& mqtt = **sink.made;
  CHECK_FALSE(mqtt.ready());
  REQUIRE(mqtt.start({*loop, outlet}).ok());
  REQUIRE(run_until(*loop, [&] { return outlet.state == LinkState::kConnected; }));
  CHECK(outlet.readies == 1);
  broker.take();
  const auto output = [](uint64_t ticket, std::string_view key, bool is_resent) {
    Output out;
    out.ticket = ticket;
    out.id = "app/sink/7";
    out.key = key;
    out.rule = "hot";
    out.payload = "{\"x\":1}";
    out.is_resent = is_resent;
    return out;
  };
  CHECK(mqtt.send(output(1, "s1", false)) == SendResult::kInFlight);
  CHECK(mqtt.send(output(2, "bad#key", false)) == SendResult::kInFlight);
  CHECK(mqtt.send(output(3, "s2", true)) == SendResult::kInFlight);
  CHECK(mqtt.send(output(4, "s3", false)) == SendResult::kInFlight);
  CHECK_FALSE(mqtt.ready());
  CHECK(mqtt.send(output(5, "s4", false)) == SendResult::kBusy);
  REQUIRE(run_until(*loop, [&] { return broker.count(MqttType::kPublish) == 3; }));
  std::vector<BrokerPacket> packets = broker.take();
  std::vector<uint8_t> answers;
  for (size_t i = 0; i < packets.size(); ++i) {
    host::MqttPublish publish;
    REQUIRE(host::parse_publish(MqttVersion::k5, packets[i].flags, packets[i].body, publish) ==
            nullptr);
    CHECK(publish.topic == str("out/s", i + 1, "/hot"));
    CHECK(publish.properties.user("id") == "app/sink/7");
    CHECK(publish.properties.user("resent").has_value() == (i == 1));
    if (i < 2) {
      host::write_ack(MqttVersion::k5, MqttType::kPuback, publish.packet_id, i == 1 ? 0x97 : 0,
                      answers);
    }
  }
  broker.send(answers);
  REQUIRE(run_until(*loop, [&] { return outlet.done.size() == 1 && outlet.refusals.size() == 2; }));
  CHECK(outlet.done[0] == 1);
  CHECK(outlet.refusals[2].find("wildcards") != std::string::npos);
  CHECK(outlet.refusals[3] == "quota exceeded (0x97)");
  CHECK(outlet.readies >= 2);
  CHECK(mqtt.ready());
  broker.drop_connection();
  REQUIRE(run_until(*loop, [&] { return outlet.resets == 1; }));
  REQUIRE(run_until(*loop, [&] { return outlet.state == LinkState::kConnected; }));
  CHECK(mqtt.send(output(4, "s3", true)) == SendResult::kInFlight);
  mqtt.stop();
}

TEST_CASE("mqtt sink: a message of several outputs is answered for each of them") {
  const auto loop = host::EventLoop::create().value();
  ScriptedBroker broker(*loop);
  broker.answer(MqttVersion::k5, false);
  FromYaml<Sink> sink(kMqttSink,
                      str("server: mqtt://127.0.0.1:", broker.port(),
                          "\ntopic: out/{key}\nids: false\nmax_batch: 2\nmax_in_flight: 2\n"));
  REQUIRE_MESSAGE(sink.made.ok(), sink.made.error().message);
  FakeOutlet outlet;
  Sink& mqtt = **sink.made;
  REQUIRE(mqtt.start({*loop, outlet}).ok());
  REQUIRE(run_until(*loop, [&] { return outlet.state == LinkState::kConnected; }));
  broker.take();
  CHECK(mqtt.send(numbered(1, "a")) == SendResult::kInFlight);
  CHECK(mqtt.send(numbered(2, "b")) == SendResult::kInFlight);
  CHECK(mqtt.ready());
  CHECK(mqtt.send(numbered(3, "b")) == SendResult::kInFlight);
  CHECK_FALSE(mqtt.ready());  // a message is full
  settle(*loop);
  CHECK(broker.take().empty());  // nothing leaves from send()
  mqtt.flush();
  REQUIRE(run_until(*loop, [&] { return broker.count(MqttType::kPublish) == 2; }));
  CHECK_FALSE(mqtt.ready());  // two are in flight
  const std::vector<BrokerPacket> packets = broker.take();
  const auto [topic_a, body_a, id_a] = published(packets[0]);
  const auto [topic_b, body_b, id_b] = published(packets[1]);
  CHECK(topic_a == "out/a");
  CHECK(body_a == "[{}]");
  CHECK(topic_b == "out/b");
  CHECK(body_b == "[{},{}]");
  CHECK(outlet.done.empty());
  std::vector<uint8_t> answers;
  host::write_ack(MqttVersion::k5, MqttType::kPuback, id_b, 0, answers);
  host::write_ack(MqttVersion::k5, MqttType::kPuback, id_a, 0x97, answers);
  broker.send(answers);
  REQUIRE(run_until(*loop, [&] { return outlet.done.size() == 2 && outlet.refusals.size() == 1; }));
  CHECK(outlet.done == std::vector<uint64_t>{2, 3});
  CHECK(outlet.refusals.contains(1));
  // A lost connection gives back what was published and what was gathered.
  CHECK(mqtt.send(numbered(4, "a")) == SendResult::kInFlight);
  mqtt.flush();
  CHECK(mqtt.send(numbered(5, "a")) == SendResult::kInFlight);
  broker.drop_connection();
  REQUIRE(run_until(*loop, [&] { return outlet.resets == 1; }));
  REQUIRE(run_until(*loop, [&] { return outlet.state == LinkState::kConnected; }));
  broker.take();
  mqtt.flush();
  settle(*loop);
  CHECK(broker.take().empty());
  CHECK(outlet.done.size() == 2);
  mqtt.stop();
}

TEST_CASE("mqtt sink: outputs wait for company, but not beside an alert or at the end") {
  const auto loop = host::EventLoop::create().value();
  ScriptedBroker broker(*loop);
  broker.answer(MqttVersion::k5, false);
  FromYaml<Sink> sink(
      kMqttSink,
      str("server: mqtt://127.0.0.1:", broker.port(),
          "\ntopic: out\nqos: 0\nids: false\nmax_batch: 9\nmax_wait: 60s\nformat: lines\n"));
  REQUIRE_MESSAGE(sink.made.ok(), sink.made.error().message);
  FakeOutlet outlet;
  Sink& mqtt = **sink.made;
  REQUIRE(mqtt.start({*loop, outlet}).ok());
  REQUIRE(run_until(*loop, [&] { return outlet.state == LinkState::kConnected; }));
  broker.take();
  CHECK(mqtt.is_acknowledged());  // not delivered at once
  CHECK(mqtt.send(numbered(1, "")) == SendResult::kInFlight);
  mqtt.flush();
  settle(*loop);
  CHECK(outlet.done.empty());
  Output alert = numbered(2, "");
  alert.priority = Priority::kAlert;
  CHECK(mqtt.send(alert) == SendResult::kInFlight);
  mqtt.flush();
  CHECK(outlet.done == std::vector<uint64_t>{1, 2});
  REQUIRE(run_until(*loop, [&] { return broker.count(MqttType::kPublish) == 1; }));
  CHECK(std::get<1>(published(broker.take()[0])) == "{}\n{}");
  CHECK(mqtt.send(numbered(3, "")) == SendResult::kInFlight);
  mqtt.flush();
  CHECK(outlet.done.size() == 2);
  mqtt.hurry();
  CHECK(outlet.done.size() == 3);
  mqtt.stop();
}

TEST_CASE("mqtt source and sink: settings that cannot work say where") {
  const auto source_error = [](const std::string& text) {
    const FromYaml<Source> made(kMqttSource, text);
    return made.made.ok() ? std::string() : made.made.error().message;
  };
  CHECK(source_error("topics: a\nserver: http://x\n").find("app.yaml:2:") == 0);
  CHECK(source_error("topics: a\nserver: mqtt://x:99999\n") != "");
  CHECK(source_error("topics: a\nserver: mqtt://[::1]:1884\n").empty());
  CHECK(source_error("topics: a\nsession: 1h\n").find("needs a client_id") != std::string::npos);
  CHECK(source_error("topics: a\npassword: x\n").find("needs a user") != std::string::npos);
  const FromYaml<Sink> wild(kMqttSink, "topic: out/#\n");
  CHECK_FALSE(wild.made.ok());
  const FromYaml<Sink> place(kMqttSink, "topic: out/{keys}\n");
  REQUIRE_FALSE(place.made.ok());
  CHECK(place.made.error().message.find("'keys' in braces") != std::string::npos);
  const FromYaml<Sink> alone(kMqttSink, "topic: out\nmax_wait: 1s\n");
  REQUIRE_FALSE(alone.made.ok());
  CHECK(alone.made.error().message.find("app.yaml:2:") == 0);
  CHECK(alone.made.error().message.find("set max_batch too") != std::string::npos);
}

TEST_CASE("mqtt source: it moves to another loop once all that came is stored") {
  const auto loop = host::EventLoop::create().value();
  const auto other = host::EventLoop::create().value();
  ScriptedBroker broker(*loop);
  broker.answer(MqttVersion::k5, false);
  const FromYaml<Source> made(kMqttSource,
                              str("server: mqtt://127.0.0.1:", broker.port(), "\ntopics: in/#\n"));
  Source& source = **made.made;
  FakeIntake intake;
  REQUIRE(source.start({*loop, intake}).ok());
  CHECK_FALSE(source.move_to(*other));  // not connected yet
  REQUIRE(run_until(*loop, [&] { return intake.state == LinkState::kConnected; }));
  broker.publish(MqttVersion::k5, "in/1", "a", 1, 1);
  REQUIRE(run_until(*loop, [&] { return intake.payloads.size() == 1; }));
  source.pause();
  CHECK_FALSE(source.move_to(*other));
  source.acknowledge(intake.tokens.at(0));
  REQUIRE(source.move_to(*other));
  broker.publish(MqttVersion::k5, "in/1", "b", 1, 2);
  settle(*loop);
  FakeIntake next;
  source.go_on({*other, next});
  CHECK(next.state == LinkState::kConnected);
  REQUIRE(run_until(*other, [&] { return next.payloads.size() == 1; }));
  CHECK(next.payloads.at(0) == "b");
  CHECK(intake.payloads.size() == 1);
  CHECK(broker.connections() == 1);
  source.stop();
}

TEST_CASE("kept links: a connection serves the same words with the same files") {
  const testing::TemporaryFolder folder;
  const auto write = [&](const std::string& text) {
    REQUIRE(
        host::replace_file(host::real_file_system(), folder.path("secret"), host::as_bytes(text))
            .ok());
  };
  const auto words = [](const std::string& text) {
    const host::YamlNode node = host::parse_yaml(text, "app.yaml").value();
    return link_words(Settings(&node, kMqttSink.words));
  };
  write("one");
  const std::string text = str("topic: a\nuser: u\npassword_file: ", folder.path("secret"), "\n");
  const std::string before = words(text);
  CHECK(words("# moved\n\n" + text + "from: [all, hot]\nqueue: {memory: 64K}\n") == before);
  CHECK(words(text + "qos: 0\n") != before);
  CHECK(words("tls: {ca: x, key: y}") != words("tls: {ca: x, key: 'y'}"));
  CHECK(words("topic: [a, b]") != words("topic: [ab]"));
  write("another");
  CHECK(words(text) != before);
}

}  // namespace ew::agent
