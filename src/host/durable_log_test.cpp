#include "host/durable_log.h"

#include <doctest/doctest.h>

#include <map>

#include "base/rng.h"
#include "host/crc32c.h"
#include "testing/faulty_file_system.h"
#include "testing/temporary_folder.h"

namespace ew::host {
namespace {

using testing::FaultyFileSystem;

constexpr const char* kFolder = "log";

LogOptions options_of(LogOptions options = {}) {
  options.directory = kFolder;
  options.system_clock_ms = [] { return int64_t{1'700'000'000'000}; };
  options.retry_delay = std::chrono::milliseconds(0);
  return options;
}

std::unique_ptr<DurableLog> open_log(FileSystem& files, const LogOptions& options) {
  auto log = DurableLog::open(files, options);
  REQUIRE_MESSAGE(log.ok(), (log.ok() ? "" : log.error().message));
  return std::move(*log);
}

/// Record `sequence` of every test: its length and content follow from its number.
std::string record_of(uint64_t sequence) {
  std::string text = str("record ", sequence, " ");
  Rng rng(sequence);
  text.resize(text.size() + rng.below(200), static_cast<char>('a' + rng.below(26)));
  return text;
}

void append_records(DurableLog& log, uint64_t first, uint64_t last) {
  for (uint64_t i = first; i <= last; ++i) {
    const auto sequence = log.append(as_bytes(record_of(i)));
    REQUIRE(sequence.ok());
    REQUIRE(*sequence == i);
  }
}

struct Content {
  std::map<uint64_t, std::string> records;
  std::vector<SequenceRange> lost;
};

Content content_of(const DurableLog& log, uint64_t from = 1) {
  Content content;
  const auto result = log.read(from, [&](uint64_t sequence, int64_t, Bytes record) {
    content.records[sequence] = as_text(record);
    return true;
  });
  REQUIRE(result.ok());
  content.lost = result->lost;
  return content;
}

/// Every record that is there is the one that was written under its number.
void check_genuine(const Content& content) {
  for (const auto& [sequence, text] : content.records) CHECK(text == record_of(sequence));
}

std::vector<std::string> segments_of(FaultyFileSystem& files) {
  std::vector<std::string> out;
  const auto names = files.list(kFolder);
  for (const std::string& name : *names) out.push_back(str(kFolder, "/", name));
  return out;
}

SecretKey test_key(uint8_t first) {
  SecretKey key{};
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<uint8_t>(first + i);
  return key;
}

}  // namespace

TEST_CASE("crc32c: the check value of RFC 3720, the same by table, and in pieces") {
  const Bytes text = as_bytes("123456789");
  CHECK(crc32c(text) == 0xE3069283u);
  Rng rng(1);
  std::vector<uint8_t> bytes(1000);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(rng.next());
  for (size_t size : {0, 1, 7, 8, 9, 1000}) {
    const Bytes part = Bytes(bytes).first(size);
    CHECK(crc32c(part) == crc32c_portable(part));
    CHECK(crc32c(part.subspan(size / 3), crc32c(part.first(size / 3))) == crc32c(part));
  }
}

TEST_CASE("durable log: what was appended is read in order, also after reopening") {
  for (const int level : {0, 1}) {
    for (const bool is_encrypted : {false, true}) {
      CAPTURE(level);
      CAPTURE(is_encrypted);
      FaultyFileSystem files;
      LogOptions options = options_of({.segment_bytes = 4096, .compression_level = level});
      if (is_encrypted) options.key = test_key(1);
      {
        const auto log = open_log(files, options);
        append_records(*log, 1, 100);
        REQUIRE(log->flush().ok());
        append_records(*log, 101, 300);
      }  // the destructor commits the rest
      const auto log = open_log(files, options);
      CHECK(log->recovery().findings.empty());
      CHECK(log->stats().next_sequence == 301);
      CHECK(log->stats().committed_sequence == 300);
      const Content content = content_of(*log);
      CHECK(content.records.size() == 300);
      CHECK(content.lost.empty());
      check_genuine(content);
      CHECK(content_of(*log, 250).records.begin()->first == 250);
      append_records(*log, 301, 301);
      REQUIRE(log->flush().ok());
      CHECK(content_of(*log, 301).records.size() == 1);
    }
  }
}

TEST_CASE("durable log: a reader goes on where it stood, by position and without") {
  FaultyFileSystem files;
  const auto log = open_log(files, options_of({.segment_bytes = 8192}));
  for (uint64_t i = 1; i <= 400; i += 20) {
    append_records(*log, i, i + 19);
    REQUIRE(log->flush().ok());
  }
  LogPosition position;
  uint64_t next = 1;
  while (next <= 400) {
    const uint64_t before = next;
    int taken = 0;
    const auto result = log->read(
        next,
        [&](uint64_t sequence, int64_t, Bytes record) {
          CHECK(sequence == before + static_cast<uint64_t>(taken));
          CHECK(as_text(record) == record_of(sequence));
          return ++taken < 7;
        },
        &position);
    REQUIRE(result.ok());
    CHECK(result->lost.empty());
    next = result->next_sequence;
    REQUIRE(next > before);
  }
}

TEST_CASE("durable log: nobody is told of a record before its sync is done") {
  FaultyFileSystem files;
  std::vector<uint64_t> told;
  LogOptions options = options_of();
  std::mutex mutex;
  std::condition_variable all_told;
  options.on_committed = [&](uint64_t sequence) {
    const std::lock_guard lock(mutex);
    told.push_back(sequence);
    if (sequence == 9) all_told.notify_all();
  };
  const auto log = open_log(files, options);
  files.hold_syncs(true);
  append_records(*log, 1, 3);
  files.wait_for_held_sync();
  append_records(*log, 4, 9);
  {
    const std::lock_guard lock(mutex);
    CHECK(told.empty());
  }
  CHECK(content_of(*log).records.empty());
  files.hold_syncs(false);
  REQUIRE(log->flush().ok());
  std::unique_lock lock(mutex);
  // flush() returns when the record is committed, which is just before its owner is told.
  REQUIRE(all_told.wait_for(lock, std::chrono::seconds(30),
                            [&] { return !told.empty() && told.back() == 9; }));
  CHECK(std::is_sorted(told.begin(), told.end()));
  CHECK(told.size() <= 3);  // those that waited went together
}

namespace {

struct Outcome {
  uint64_t told = 0;
  uint64_t appended = 0;
  uint64_t trimmed = 1;
  int64_t steps = 0;
};

// Groups of records, each flushed; a trim in the middle; small segments, so that steps of every
// kind occur.
Outcome run_script(FaultyFileSystem& files, LogOptions options) {
  Outcome outcome;
  options.on_committed = [&](uint64_t sequence) { outcome.told = sequence; };
  auto opened = DurableLog::open(files, options);
  if (!opened.ok()) return outcome;
  {
    const std::unique_ptr<DurableLog> log = std::move(*opened);
    Rng rng(5);
    for (int group = 0; group < 30 && !files.has_crashed(); ++group) {
      const uint64_t count = 1 + rng.below(12);
      for (uint64_t i = 0; i < count; ++i) {
        const auto sequence = log->append(as_bytes(record_of(outcome.appended + 1)));
        if (!sequence.ok()) break;
        outcome.appended = *sequence;
      }
      if (!log->flush().ok()) break;
      if (group == 20) {
        log->trim_before(outcome.appended / 2);
        outcome.trimmed = outcome.appended / 2;
      }
    }
  }
  outcome.steps = files.steps();
  return outcome;
}

void check_after_crash(FaultyFileSystem& files, const LogOptions& options, const Outcome& outcome) {
  const auto log = open_log(files, options);
  CHECK(log->recovery().lost.empty());
  const Content content = content_of(*log, outcome.trimmed);
  CHECK(content.lost.empty());
  check_genuine(content);
  for (uint64_t i = outcome.trimmed; i <= outcome.told; ++i) REQUIRE(content.records.contains(i));
  const uint64_t next = log->stats().next_sequence;
  CHECK(next > outcome.told);
  CHECK(next <= outcome.appended + 1);
  append_records(*log, next, next + 5);
  REQUIRE(log->flush().ok());
  CHECK(content_of(*log, next).records.size() == 6);
}

}  // namespace

TEST_CASE("durable log: the process may end at every single step") {
  const LogOptions options = options_of({.segment_bytes = 4096});
  FaultyFileSystem whole;
  const int64_t steps = run_script(whole, options).steps;
  REQUIRE(steps > 60);
  for (int64_t step = 1; step <= steps; ++step) {
    CAPTURE(step);
    FaultyFileSystem files;
    files.crash_at(step);
    const Outcome outcome = run_script(files, options);
    files.restart_after_kill();
    check_after_crash(files, options, outcome);
  }
}

TEST_CASE("durable log: power may go at every single step, whatever the disk then kept") {
  const LogOptions plain = options_of({.segment_bytes = 4096});
  LogOptions sealed = options_of({.segment_bytes = 4096, .compression_level = 1});
  sealed.key = test_key(9);
  FaultyFileSystem whole;
  const int64_t steps = run_script(whole, plain).steps;
  for (int64_t step = 1; step <= steps; ++step) {
    for (uint64_t seed = 0; seed < 12; ++seed) {
      CAPTURE(step);
      CAPTURE(seed);
      const LogOptions& options = seed % 4 == 3 ? sealed : plain;
      FaultyFileSystem files;
      files.crash_at(step);
      const Outcome outcome = run_script(files, options);
      files.restart_after_power_loss(seed * 1000 + static_cast<uint64_t>(step));
      check_after_crash(files, options, outcome);
    }
  }
}

TEST_CASE("durable log: a disk that refuses any step and recovers costs nothing") {
  const LogOptions options = options_of({.segment_bytes = 4096});
  FaultyFileSystem whole;
  const Outcome expected = run_script(whole, options);
  const int64_t open_steps = 1;  // making the folder: its failure is open()'s error
  for (int64_t step = open_steps + 1; step <= expected.steps; ++step) {
    for (const ErrorCode code : {ErrorCode::kIo, ErrorCode::kResourceLimit}) {
      CAPTURE(step);
      FaultyFileSystem files;
      files.fail_steps(step, 3, code);
      uint64_t last = 0;
      {
        const auto log = open_log(files, options);
        Rng rng(5);
        for (int group = 0; group < 30; ++group) {
          const uint64_t count = 1 + rng.below(12);
          append_records(*log, last + 1, last + count);
          last += count;
          while (!log->flush().ok()) {
          }
        }
        check_genuine(content_of(*log));
        CHECK(content_of(*log).records.size() == last);
      }
      files.restart_after_power_loss(static_cast<uint64_t>(step));
      const auto log = open_log(files, options);
      CHECK(log->recovery().lost.empty());
      CHECK(content_of(*log).records.size() == last);
    }
  }
}

TEST_CASE("durable log: a single flipped bit is found, and costs what it hit and no more") {
  for (const int level : {0, 1}) {
    const LogOptions options = options_of({.segment_bytes = 4096, .compression_level = level});
    FaultyFileSystem original;
    uint64_t last = 0;
    {
      const auto log = open_log(original, options);
      for (int group = 0; group < 40; ++group) {
        append_records(*log, last + 1, last + 5);
        last += 5;
        REQUIRE(log->flush().ok());
      }
    }
    const std::vector<std::string> paths = segments_of(original);
    REQUIRE(paths.size() >= 2);
    Rng rng(3);
    for (int trial = 0; trial < 400; ++trial) {
      CAPTURE(trial);
      FaultyFileSystem files;
      for (const std::string& path : paths) files.set_content(path, original.content(path));
      const std::string& path = paths[rng.below(paths.size())];
      files.flip_bit(path, rng.below(original.content(path).size() * 8));
      LogOptions known = options;
      known.minimum_next_sequence = last + 1;
      const auto log = open_log(files, known);
      const Content content = content_of(*log);
      check_genuine(content);
      uint64_t lost = 0;
      for (const SequenceRange& range : log->recovery().lost) lost += range.count();
      CHECK(content.records.size() + lost == last);
      CHECK(lost <= 5);  // a batch at most
      CHECK((lost == 0 || !log->recovery().findings.empty()));
      CHECK(log->stats().next_sequence == last + 1);
    }
  }
}

TEST_CASE("durable log: space ends, append says so, and trimming gives it back") {
  FaultyFileSystem files;
  const auto log = open_log(files, options_of({.max_bytes = 20'000, .segment_bytes = 4096}));
  const std::vector<uint8_t> record(500);
  uint64_t last = 0;
  while (true) {
    const auto sequence = log->append(record);
    if (!sequence.ok()) {
      CHECK(sequence.error().code == ErrorCode::kResourceLimit);
      break;
    }
    last = *sequence;
    REQUIRE(log->flush().ok());
    REQUIRE(log->stats().bytes <= 20'000);
  }
  CHECK(last > 25);
  log->trim_before(last / 2);
  CHECK(log->append(record).ok());
  REQUIRE(log->flush().ok());
  CHECK(log->stats().first_sequence > 1);
  CHECK(log->stats().first_sequence <= last / 2);
}

TEST_CASE("durable log: what waits for a stuck disk is bounded") {
  FaultyFileSystem files;
  const auto log = open_log(files, options_of({.max_pending_bytes = 4096}));
  files.hold_syncs(true);
  const std::vector<uint8_t> record(100);
  int taken = 0;
  while (log->append(record).ok()) ++taken;
  CHECK(taken > 20);
  CHECK(taken < 41);
  files.hold_syncs(false);
  REQUIRE(log->flush().ok());
  CHECK(log->append(record).ok());
}

TEST_CASE("durable log: numbers do not come again when files are lost") {
  FaultyFileSystem files;
  const auto log = open_log(files, options_of({.minimum_next_sequence = 500}));
  append_records(*log, 500, 500);
  REQUIRE(log->flush().ok());
  CHECK(content_of(*log, 500).lost.empty());
}

TEST_CASE("durable log: encrypted batches cannot be read, moved, or replaced") {
  FaultyFileSystem files;
  LogOptions options = options_of({.segment_bytes = 4096});
  options.key = test_key(1);
  {
    const auto log = open_log(files, options);
    const auto sequence = log->append(as_bytes("blood pressure 120/80"));
    REQUIRE(sequence.ok());
  }
  const std::string path = segments_of(files).at(0);
  CHECK(as_text(files.content(path)).find("pressure") == std::string::npos);
  LogOptions other = options;
  other.key = test_key(2);
  for (const auto& [wrong, what] :
       {std::pair(other, "the key is not the one"), std::pair(options_of(), "is encrypted")}) {
    const auto log = DurableLog::open(files, wrong);
    REQUIRE_FALSE(log.ok());
    CHECK(log.error().code == ErrorCode::kInvalidArgument);
    CHECK(log.error().message.find(what) != std::string::npos);
  }
}

TEST_CASE("durable log: a folder is in use once") {
  const testing::TemporaryFolder folder;
  LogOptions options = options_of();
  options.directory = folder.path("a/b");
  const auto log = open_log(real_file_system(), options);
  CHECK_FALSE(DurableLog::open(real_file_system(), options).ok());
  append_records(*log, 1, 1000);
  REQUIRE(log->flush().ok());
  CHECK(content_of(*log).records.size() == 1000);
}

}  // namespace ew::host
