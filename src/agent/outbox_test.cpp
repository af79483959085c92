#include "agent/outbox.h"

#include <doctest/doctest.h>

#include "agent/lane_store.h"
#include "base/file.h"
#include "testing/temporary_folder.h"

namespace ew::agent {
namespace {

using Texts = std::vector<std::string>;

/// A sink that answers when it is told to.
struct ManualSink final : Sink {
  Status start(const SinkContext& /*context*/) override { return {}; }
  bool ready() const override { return is_up && tickets.size() < window; }
  SendResult send(const Output& output) override {
    sent.push_back(std::string(output.payload) + (output.is_resent ? " resent" : ""));
    ids.emplace_back(output.id);
    tickets.push_back(output.ticket);
    return SendResult::kInFlight;
  }
  void stop() override {}
  bool is_acknowledged() const override { return true; }

  bool is_up = true;
  size_t window = 100;
  Texts sent;
  Texts ids;
  std::vector<uint64_t> tickets;
};

/// An outbox with one input row in its ledger; with a folder, also with stores.
struct Fixture {
  explicit Fixture(OutboxOptions options = {.app = "a", .name = "s"},
                   const std::string& folder = "", bool has_journal = false)
      : ledger(std::move(*Ledger::open(""))),
        input(ledger->row(LedgerKind::kInput, "in", "k")),
        outbox(options,
               {keys, now_us,
                [this](const CoverSet& cover, DropReason reason) {
                  cover.for_each([&](const CoverSet::Item& item) {
                    ledger->drop(item.row, item.count, reason);
                  });
                }},
               *ledger) {
    outbox.add_route({.name = "alerts", .priority = Priority::kAlert});
    outbox.add_route({.name = "data"});
    if (!folder.empty()) {
      for (const Priority lane : {Priority::kAlert, Priority::kTelemetry}) {
        LaneStoreOptions store;
        store.folder = folder;
        store.sink = "s";
        store.lane = lane;
        if (has_journal) store.note_dropped = [this](auto, auto, auto) { ++notes; };
        auto opened = open_lane_store(host::real_file_system(), store);
        REQUIRE_MESSAGE(opened.ok(), opened.error().message);
        outbox.attach_store(lane, std::move(*opened));
      }
    }
    outbox.attach(&sink);
  }
  void put(const std::string& payload, size_t port = 1) {
    ledger->accept(input);
    Fate fate{.cover = CoverSet(input, 1)};
    Row row;
    row.key_text = "k";
    row.raw = payload;
    outbox.take(row, fate, port);
  }
  void answer(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      const uint64_t ticket = sink.tickets.front();
      sink.tickets.erase(sink.tickets.begin());
      outbox.delivered(ticket);
    }
    outbox.pump();
  }
  const LedgerRow& row() { return ledger->at(input); }

  KeyTable keys;
  int64_t now_us = 0;
  std::unique_ptr<Ledger> ledger;
  uint32_t input;
  int notes = 0;
  ManualSink sink;
  Outbox outbox;
};

TEST_CASE("outbox: delivered when answered, alerts before telemetry") {
  Fixture f;
  f.sink.is_up = false;
  f.put("d1");
  f.put("a1", 0);
  CHECK(f.row().queued() == 2);
  f.sink.is_up = true;
  f.outbox.ready();
  CHECK(f.sink.sent == Texts{"a1", "d1"});
  CHECK(f.sink.ids == Texts{"a/s/a1", "a/s/t1"});
  CHECK(f.row().delivered == 0);
  f.answer(2);
  CHECK(f.row().delivered == 2);
  CHECK(f.outbox.queued() == 0);
}

TEST_CASE("outbox: after a lost connection what was not answered goes again, marked") {
  Fixture f;
  for (const char* payload : {"1", "2", "3"}) f.put(payload);
  f.outbox.delivered(f.sink.tickets[1]);  // out of order: 2 is done
  f.sink.tickets.clear();
  f.outbox.reset();
  f.outbox.ready();
  CHECK(f.sink.sent == Texts{"1", "2", "3", "1 resent", "3 resent"});
  f.answer(2);
  CHECK(f.row().delivered == 3);
}

TEST_CASE("outbox: a refused output is dropped by that name") {
  Fixture f;
  f.put("1");
  f.outbox.refused(f.sink.tickets[0], "too large");
  CHECK(f.row().dropped[static_cast<size_t>(DropReason::kRefused)] == 1);
  CHECK(f.row().queued() == 0);
}

TEST_CASE("outbox: a full queue gives up what its policy says, and counts it") {
  const std::string big(400, 'x');
  const auto full = [&](QueuePolicy policy) {
    Fixture f({.app = "a", .name = "s", .max_memory_bytes = 2500, .policy = policy});
    f.sink.is_up = false;
    f.put("a1" + big, 0);
    for (const char* name : {"d1", "d2", "d3", "d4", "d5"}) f.put(name + big);
    f.sink.is_up = true;
    f.outbox.ready();
    Texts names;
    for (const std::string& sent : f.sink.sent) names.push_back(sent.substr(0, 2));
    CHECK(f.row().queued() == names.size());
    CHECK(f.row().dropped[static_cast<size_t>(DropReason::kQueueFull)] == 6 - names.size());
    return names;
  };
  const Texts rejected = full(QueuePolicy::kReject);
  REQUIRE(rejected.size() >= 2);
  CHECK(rejected[0] == "a1");
  CHECK(rejected[1] == "d1");
  const Texts oldest = full(QueuePolicy::kDropOldest);
  CHECK(oldest.back() == "d5");
  const Texts lowest = full(QueuePolicy::kDropLowest);
  CHECK(lowest.front() == "a1");
  CHECK(lowest.back() == "d5");
}

TEST_CASE("outbox: what does not fit into memory waits in the log, in order") {
  const testing::TemporaryFolder folder;
  Fixture f({.app = "a", .name = "s", .max_memory_bytes = 4000}, folder.path());
  f.sink.is_up = false;
  Texts wanted;
  for (int i = 0; i < 100; ++i) {
    wanted.push_back(std::to_string(i));
    f.put(wanted.back());
  }
  CHECK(f.outbox.queued() == 100);
  CHECK_FALSE(f.outbox.is_behind());
  f.sink.is_up = true;
  f.outbox.ready();
  while (!f.sink.tickets.empty()) f.answer(1);
  CHECK(f.sink.sent == wanted);
  CHECK(f.row().delivered == 100);
}

TEST_CASE("outbox: after a restart the log goes on behind what was delivered") {
  const testing::TemporaryFolder folder;
  ByteWriter state;
  {
    Fixture f({.app = "a", .name = "s"}, folder.path());
    f.sink.window = 3;
    for (const char* payload : {"1", "2", "3", "4", "5"}) f.put(payload);
    REQUIRE(f.outbox.store_all().ok());
    f.outbox.save(state);
    f.answer(2);  // behind the snapshot; 3, 4 and 5 are on their way now
  }
  Fixture g({.app = "a", .name = "s"}, folder.path());
  g.ledger->accept(g.input, 5);
  ByteReader in(state.bytes());
  REQUIRE(g.outbox.load(in));
  g.outbox.set_replaying(true);
  REQUIRE(g.outbox.prepare_replay().ok());
  uint64_t held = 0;
  REQUIRE(g.outbox
              .recover(true,
                       [&](const CoverSet& cover) {
                         cover.for_each([&](const CoverSet::Item& item) { held += item.count; });
                       })
              .ok());
  CHECK(held == 3);
  CHECK(g.row().delivered == 2);
  g.outbox.set_replaying(false);
  g.put("6");
  g.outbox.ready();
  CHECK(g.sink.sent == Texts{"3 resent", "4 resent", "5 resent", "6"});
  g.answer(4);
  CHECK(g.row().queued() == 0);
}

/// What a restart does before new inputs come; returns how many inputs still wait.
uint64_t restart(Fixture& f, std::string_view snapshot, const Texts& replayed) {
  ByteReader in(snapshot);
  if (!snapshot.empty()) REQUIRE(f.outbox.load(in));
  f.outbox.set_replaying(true);
  REQUIRE(f.outbox.prepare_replay().ok());
  for (const std::string& payload : replayed) f.put(payload);
  std::vector<uint64_t> held(1);
  const auto hold = [&](const CoverSet& cover) {
    cover.for_each([&](const CoverSet::Item& item) { held[0] += item.count; });
  };
  REQUIRE(f.outbox.recover(true, hold).ok());
  CHECK(f.ledger->settle_unheld(held, DropReason::kDisk) == 0);
  f.outbox.set_replaying(false);
  f.outbox.settle_unheld(DropReason::kDisk);
  return held[0];
}

TEST_CASE("outbox: numbers that went by memory, between two times in the log, are no loss") {
  const testing::TemporaryFolder folder;
  const OutboxOptions options{.app = "a", .name = "s", .max_memory_bytes = 4000};
  Texts all;
  {
    Fixture f(options, folder.path());
    const auto put = [&](int count, bool is_up) {
      f.sink.is_up = is_up;
      for (int i = 0; i < count; ++i) {
        all.push_back(std::to_string(all.size()));
        f.put(all.back());
        if (is_up) f.answer(1);
      }
    };
    put(5, true);
    put(40, false);
    f.sink.is_up = true;
    f.outbox.ready();
    while (!f.sink.tickets.empty()) f.answer(1);
    put(30, true);   // by memory: never in the log
    put(40, false);  // in the log, and 2 of them come out of it
    f.sink.is_up = true;
    f.sink.window = 2;
    f.outbox.ready();
    f.answer(2);
    CHECK(f.row().delivered == 77);
  }
  Fixture g(options, folder.path());
  CHECK(restart(g, "", all) == 38);
  CHECK(g.row().accepted == 115);
  CHECK(g.row().delivered == 77);
  g.outbox.ready();
  while (!g.sink.tickets.empty()) g.answer(1);
  CHECK(g.row().delivered == 115);
  CHECK(g.sink.sent.size() == 38);
  CHECK(g.sink.sent.front() == "77 resent");
  CHECK(g.outbox.queued() == 0);
}

TEST_CASE("outbox: where no input is stored, outputs are while the sink is away") {
  const testing::TemporaryFolder folder;
  const auto logs = [&] { return is_directory(folder.path() + "/queue/s-telemetry"); };
  {
    Fixture f({.app = "a", .name = "s"}, folder.path());
    f.outbox.store_while_away(true);
    f.put("0");  // taken, whatever the sink says of itself
    f.outbox.set_state(LinkState::kConnected, "");
    f.put("1");
    f.put("2");
    CHECK_FALSE(logs());
    f.answer(1);
    f.sink.is_up = false;
    f.outbox.reset();
    f.outbox.set_state(LinkState::kDisconnected, "");
    CHECK(logs());  // what was in flight
    f.put("3");
    f.put("4");
    CHECK(f.outbox.queued() == 4);
  }
  Fixture g({.app = "a", .name = "s"}, folder.path());
  g.ledger->accept(g.input, 5);
  g.ledger->deliver(g.input, 1);
  CHECK(restart(g, "", {}) == 4);
  g.outbox.ready();
  CHECK(g.sink.sent == Texts{"1 resent", "2 resent", "3", "4"});
  g.answer(4);
  CHECK(g.row().delivered == 5);
  CHECK(g.outbox.queued() == 0);
}

TEST_CASE("outbox: what is refused does not look delivered if its note is lost") {
  const testing::TemporaryFolder folder;
  {
    Fixture f({.app = "a", .name = "s"}, folder.path(), true);
    for (const char* payload : {"1", "2", "3"}) f.put(payload);
    f.answer(1);
    f.outbox.refused(f.sink.tickets[0], "too large");
    f.outbox.refused(f.sink.tickets[1], "too large");
    CHECK(f.notes == 2);
    CHECK(f.row().queued() == 0);
  }
  Fixture g({.app = "a", .name = "s"}, folder.path(), true);
  restart(g, "", {"1", "2", "3"});
  CHECK(g.row().delivered == 1);
  g.outbox.ready();
  CHECK(g.sink.sent == Texts{"2 resent", "3 resent"});
}

TEST_CASE("outbox: answers out of order are counted once, also over a restart") {
  const testing::TemporaryFolder folder;
  ByteWriter state;
  {
    Fixture f({.app = "a", .name = "s"}, folder.path());
    for (const char* payload : {"1", "2", "3", "4"}) f.put(payload);
    REQUIRE(f.outbox.store_all().ok());
    f.outbox.delivered(f.sink.tickets[1]);
    f.outbox.refused(f.sink.tickets[2], "too large");
    f.outbox.save(state);
  }
  Fixture g({.app = "a", .name = "s"}, folder.path());
  g.ledger->accept(g.input, 4);
  g.ledger->deliver(g.input, 1);
  g.ledger->drop(g.input, 1, DropReason::kRefused);
  CHECK(restart(g, state.bytes(), {}) == 2);
  g.outbox.ready();
  CHECK(g.sink.sent == Texts{"1 resent", "4 resent"});
  g.answer(2);
  CHECK(g.row().delivered == 3);
  CHECK(g.row().queued() == 0);
  CHECK(g.outbox.queued() == 0);
}

}  // namespace
}  // namespace ew::agent
