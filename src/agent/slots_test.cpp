#include "agent/slots.h"

#include <doctest/doctest.h>

#include "base/file.h"
#include "testing/bundles.h"
#include "testing/faulty_file_system.h"

namespace ew::agent {
namespace {

using testing::TestBundle;

host::FileSystem& files() { return host::real_file_system(); }

struct Device {
  testing::TemporaryFolder folder;
  TestBundle key;
  ApplyOptions options{.trusted = {key.public_key()},
                       .target = "gateway",
                       .now_s = 1000,
                       .max_bytes = 1 << 20,
                       .check = [](const std::string&) -> Result<uint32_t> { return 2; }};

  Result<BundleManifest> apply(const std::vector<uint8_t>& bytes) {
    return apply_bundle(files(), folder.path(), MemoryFile(bytes), options);
  }
  Result<BundleManifest> apply(uint64_t version) { return apply(key.bundle(version)); }
  /// Applied and through its trial.
  void install(uint64_t version) {
    REQUIRE(apply(version).ok());
    REQUIRE(accept_trial(files(), folder.path(), version).ok());
  }
  SlotRecord record() const { return read_slots(files(), folder.path()).value(); }
  std::vector<std::string> slots() const { return list_directory(folder.path("slots")).value(); }
  std::string app() const {
    const auto bytes = read_file(slot_app(folder.path(), record().active)).value();
    return std::string(host::as_text(bytes));
  }
  /// The version refuses, by these words, and nothing has changed.
  void refuses(const std::vector<uint8_t>& bytes, const std::string& words) {
    const auto before = read_file(folder.path("record"));
    const auto done = apply(bytes);
    REQUIRE_FALSE(done.ok());
    CAPTURE(done.error().message);
    CHECK(done.error().message.find(words) != std::string::npos);
    const auto after = read_file(folder.path("record"));
    CHECK(before.ok() == after.ok());
    if (before.ok()) CHECK(*before == *after);
    const auto names = list_directory(folder.path("slots"));
    if (names.ok() && before.ok()) CHECK(names->size() == 1);
  }
};

TEST_CASE("slots: a bundle becomes the active version, the one before it is kept, older ones go") {
  Device d;
  d.install(3);
  CHECK(d.app() == "app of 3");
  d.install(4);
  CHECK(d.record().earlier.version == 3);
  d.install(9);
  CHECK(d.app() == "app of 9");
  CHECK(d.record().highest == 9);
  CHECK(d.slots() == std::vector<std::string>{"4", "9"});
}

TEST_CASE("slots: bundles that are not for this device change nothing") {
  Device d;
  d.install(5);
  const auto with = [&](auto change) {
    BundleManifest m = TestBundle::manifest(6);
    change(m);
    return d.key.bundle(m, {"a", "b", "c"});
  };
  d.refuses(d.key.bundle(5), "version 5 is not above 5");
  d.refuses(with([](auto& m) { m.version = 4; }), "version 4 is not above 5");
  d.refuses(with([](auto& m) { m.target = "camera"; }),
            "made for the target 'camera', this device is 'gateway'");
  d.refuses(with([](auto& m) { m.expires_s = 1000; }), "expired 0 seconds ago");
  d.refuses(with([](auto& m) { m.name = "fan"; }), "holds the app 'fan', this folder runs 'pump'");
  d.options.max_bytes = 2;
  d.refuses(d.key.bundle(6), "above the limit of 2 (max_size)");
  d.options.max_bytes = 1 << 20;
  auto tampered = d.key.bundle(6);
  tampered.back() ^= 1;
  d.refuses(tampered, "the content of 'models/m.ew' is not what was signed");
  d.options.check = [](const std::string&) -> Result<uint32_t> {
    return invalid_data("app.yaml:1:1: no app");
  };
  d.refuses(d.key.bundle(6), "app.yaml:1:1: no app");
  d.options.trusted = {host::PublicKey{}};
  d.refuses(d.key.bundle(6), "is not a trusted one");
  CHECK(d.app() == "app of 5");
}

TEST_CASE("slots: a trial with too many starts returns to the earlier version") {
  Device d;
  d.install(1);
  REQUIRE(d.apply(2).ok());
  for (uint32_t start = 1; start <= 2; ++start) {
    const SlotRecord record = begin_start(files(), d.folder.path()).value();
    CHECK(record.active.version == 2);
    CHECK(record.starts == start);
  }
  const SlotRecord record = begin_start(files(), d.folder.path()).value();
  CHECK(record.active.version == 1);
  CHECK(record.earlier.version == 0);
  CHECK_FALSE(record.is_trial);
  CHECK(record.note ==
        "version 2 was given up: it ended 2 times before its health window was over");
  CHECK(d.slots() == std::vector<std::string>{"1"});
  d.refuses(d.key.bundle(2), "version 2 is not above 2");
}

TEST_CASE("slots: a start that was stopped by hand does not count, an accepted trial is over") {
  Device d;
  d.install(1);
  REQUIRE(d.apply(2).ok());
  for (int i = 0; i < 5; ++i) {
    CHECK(begin_start(files(), d.folder.path()).value().active.version == 2);
    REQUIRE(forget_start(files(), d.folder.path(), 2).ok());
  }
  REQUIRE(accept_trial(files(), d.folder.path(), 2).ok());
  CHECK_FALSE(give_up_trial(files(), d.folder.path(), 2, "late").value());
  CHECK(d.record().active.version == 2);
}

TEST_CASE("slots: a version on trial is nothing to return to") {
  Device d;
  d.install(1);
  REQUIRE(d.apply(2).ok());
  REQUIRE(d.apply(3).ok());
  CHECK(d.record().earlier.version == 1);
  CHECK(give_up_trial(files(), d.folder.path(), 3, "two\nlines").value());
  CHECK(d.record().note == "version 3 was given up: two lines");
  CHECK(d.app() == "app of 1");
}

TEST_CASE("slots: an operator goes back, and forward again") {
  Device d;
  d.install(1);
  CHECK(return_to_earlier(files(), d.folder.path()).error().code == ErrorCode::kNotFound);
  d.install(2);
  CHECK(return_to_earlier(files(), d.folder.path()).value().active.version == 1);
  CHECK(return_to_earlier(files(), d.folder.path()).value().active.version == 2);
}

/// All steps of an apply of version 2 behind version 1, cut at `step`; false if it is past the end.
bool cut_apply(const TestBundle& key, int64_t step, uint64_t power_loss_seed) {
  testing::FaultyFileSystem disk;
  const ApplyOptions options{.trusted = {key.public_key()},
                             .target = "",
                             .now_s = 0,
                             .max_bytes = 1 << 20,
                             .check = [](const std::string&) -> Result<uint32_t> { return 2; }};
  const auto apply = [&](uint64_t version) {
    const auto bytes = key.bundle(version);
    return apply_bundle(disk, "d", MemoryFile(bytes), options);
  };
  REQUIRE(apply(1).ok());
  REQUIRE(accept_trial(disk, "d", 1).ok());
  disk.restart_after_kill();
  disk.crash_at(step);
  const bool is_done = apply(2).ok();
  const bool has_crashed = disk.has_crashed();
  if (power_loss_seed == 0) {
    disk.restart_after_kill();
  } else {
    disk.restart_after_power_loss(power_loss_seed);
  }
  const SlotRecord record = read_slots(disk, "d").value();
  const uint64_t version = record.active.version;
  CHECK((version == 1 || version == 2));
  if (is_done) CHECK(version == 2);
  const auto holds = [&](const Slot& slot) {
    const auto content = disk.content(slot_app("d", slot));
    CHECK(host::as_text(content) == str("app of ", slot.version));
    const auto model = disk.content(slot_folder("d", slot.version) + "/models/m.ew");
    CHECK(host::as_text(model) == str("model of ", slot.version));
  };
  holds(record.active);
  if (version == 2) holds(record.earlier);
  if (version == 1) CHECK(apply(2).ok());
  return has_crashed;
}

TEST_CASE("slots: a kill or a loss of power at any step leaves one whole version") {
  const TestBundle key;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    for (int64_t step = 1; cut_apply(key, step, seed); ++step) {
      CAPTURE(step);
      CAPTURE(seed);
      REQUIRE(step < 200);
    }
  }
}

TEST_CASE("slots: a damaged record is an error that says what to do") {
  Device d;
  d.install(1);
  auto bytes = read_file(d.folder.path("record")).value();
  bytes[20] ^= 1;
  REQUIRE(host::replace_file(files(), d.folder.path("record"), bytes).ok());
  const auto record = read_slots(files(), d.folder.path());
  REQUIRE_FALSE(record.ok());
  CHECK(record.error().message.find("restore it from a backup") != std::string::npos);
  CHECK_FALSE(d.apply(2).ok());
}

}  // namespace
}  // namespace ew::agent
