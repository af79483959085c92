// The durable log on a real disk: records per second by groups, and the time from append to commit
// of one record at a time.
//
//   log_commit DIRECTORY
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <vector>

#include "host/durable_log.h"

namespace {

using namespace ew::host;  // NOLINT: a program of one page

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Form {
  const char* name;
  int level;
  bool is_encrypted;
};

void measure(const std::string& directory, const Form& form) {
  LogOptions options;
  options.directory = directory + "/" + form.name;
  options.max_bytes = uint64_t{4} << 30;
  options.compression_level = form.level;
  if (form.is_encrypted) options.key = SecretKey{1, 2, 3};
  std::atomic<uint64_t> committed = 0;
  options.on_committed = [&](uint64_t sequence) {
    committed = sequence;
    committed.notify_all();
  };
  const auto log = DurableLog::open(real_file_system(), options).value();
  const std::string record =
      R"({"id":"s3","seq":123456,"ts":1764370000123456,"temp":23.125,"hum":50.25,"pad":"0123456789abcdef"})";
  constexpr int kRecords = 1'000'000;
  const double start = now();
  for (int i = 0; i < kRecords; ++i) {
    while (!log->append(as_bytes(record)).ok()) (void)log->flush();
  }
  const double appended = now();
  (void)log->flush();
  const double seconds = now() - start;
  const LogStats stats = log->stats();
  std::vector<double> latency;
  for (int i = 0; i < 500; ++i) {
    const double before = now();
    const uint64_t sequence = log->append(as_bytes(record)).value();
    for (uint64_t seen = committed; seen < sequence; seen = committed) committed.wait(seen);
    latency.push_back((now() - before) * 1e6);
  }
  std::sort(latency.begin(), latency.end());
  const double read_start = now();
  uint64_t read = 0;
  (void)log->read(1, [&](uint64_t, int64_t, Bytes) { return ++read > 0; });
  std::printf(
      "%-10s %9.0f records/s committed (%.2f us an append, %.0f a commit, %.1f MB), "
      "one at a time %.0f us p50 %.0f us p99, read %.0f records/s\n",
      form.name, kRecords / seconds, (appended - start) / kRecords * 1e6,
      static_cast<double>(kRecords) / static_cast<double>(stats.commits),
      static_cast<double>(stats.bytes) / 1e6, latency[250], latency[495],
      static_cast<double>(read) / (now() - read_start));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: log_commit DIRECTORY\n");
    return 2;
  }
  for (const Form& form : {Form{"plain", 0, false}, Form{"zstd", 1, false}, Form{"sealed", 0, true},
                           Form{"both", 1, true}}) {
    measure(argv[1], form);
  }
  return 0;
}
