#include "agent/bundle_pull.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "host/http_server.h"
#include "testing/bundles.h"

namespace ew::agent {
namespace {

using testing::TestBundle;

/// A server that has one bundle, and a device that asks it every 100 ms.
struct Fleet {
  Fleet() {
    server->route("GET", "/latest", host::Access::kPublic,
                  [this](const host::HttpRequest&, const std::shared_ptr<host::HttpReply>& reply) {
                    const std::vector<uint8_t> bytes = key.bundle(offered);
                    reply->send(200, "application/octet-stream", std::string(host::as_text(bytes)));
                  });
    device.folder = folder.path();
    device.document = std::make_shared<host::YamlNode>(
        host::parse_yaml(str("pull:\n  http: {url: \"http://127.0.0.1:", server->port(),
                             "/latest\", every: 100ms}\n"),
                         "device.yaml")
            .value());
    device.settings = Settings(device.document.get(), device_words());
    device.trusted = {key.public_key()};
    device.max_bytes = 1 << 20;
  }

  /// On the puller's thread.
  Result<BundleManifest> apply(const host::File& bundle) {
    applied_by = std::this_thread::get_id();
    is_applying = true;
    while (holds_back) std::this_thread::yield();
    const ApplyOptions options{.trusted = device.trusted,
                               .target = "",
                               .now_s = 1000,
                               .max_bytes = device.max_bytes,
                               .check = [](const std::string&) -> Result<uint32_t> { return 2; }};
    const auto done = apply_bundle(host::real_file_system(), device.folder, bundle, options);
    is_applying = false;
    return done;
  }
  std::unique_ptr<BundlePull> pull() {
    return BundlePull::create(
               *loop, device, [this](const host::File& bundle) { return apply(bundle); }, state,
               read_by_nobody)
        .value();
  }
  template <typename Condition>
  bool run_until(const Condition& is_done) {
    for (int i = 0; i < 1000 && !is_done(); ++i) loop->run_once(10'000);
    return is_done();
  }
  uint64_t highest() const {
    return read_slots(host::real_file_system(), device.folder).value().highest;
  }

  testing::TemporaryFolder folder;
  TestBundle key;
  uint64_t offered = 1;
  std::unique_ptr<host::EventLoop> loop = host::EventLoop::create().value();
  std::unique_ptr<host::HttpServer> server = host::HttpServer::open(*loop, {}).value();
  Device device;
  PullState state;
  std::thread::id applied_by;  // read behind the call that the thread posts
  std::atomic<bool> is_applying = false;
  std::atomic<bool> holds_back = false;
};

TEST_CASE("bundle pull: bundles are applied on a thread while the loop goes on") {
  Fleet fleet;
  const auto pull = fleet.pull();
  REQUIRE(fleet.run_until([&] { return fleet.state.applied == 1; }));
  CHECK(fleet.highest() == 1);
  CHECK(fleet.applied_by != std::this_thread::get_id());
  REQUIRE(fleet.run_until([&] { return fleet.state.unchanged > 0; }));
  fleet.holds_back = true;
  fleet.offered = 2;
  REQUIRE(fleet.run_until([&] { return fleet.is_applying.load(); }));
  // Meanwhile the loop serves others, and the next bundle waits.
  const uint64_t requests = fleet.server->counters().requests;
  fleet.offered = 3;
  REQUIRE(fleet.run_until([&] { return fleet.server->counters().requests > requests + 1; }));
  CHECK(fleet.state.applied == 1);
  fleet.holds_back = false;
  REQUIRE(fleet.run_until([&] { return fleet.state.applied == 3; }));
  CHECK(fleet.highest() == 3);
}

TEST_CASE("bundle pull: its end waits for the thread that applies, and nothing comes behind it") {
  Fleet fleet;
  auto pull = fleet.pull();
  fleet.holds_back = true;
  REQUIRE(fleet.run_until([&] { return fleet.is_applying.load(); }));
  std::thread release([&] { fleet.holds_back = false; });
  pull.reset();
  release.join();
  CHECK_FALSE(fleet.is_applying);
  CHECK(fleet.highest() == 1);
  for (int i = 0; i < 3; ++i) fleet.loop->run_once(1000);
  CHECK(fleet.state.applied == 0);
}

}  // namespace
}  // namespace ew::agent
