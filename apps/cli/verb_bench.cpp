// edgewise bench
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

#include "common.h"
#include "energy.h"
#include "stream.h"
#include "verbs.h"

extern char** environ;  // NOLINT: the name is POSIX'

namespace ew::cli {
namespace {

struct BenchOptions {
  Common common;
  std::string model;
  double batch_ms = 20;
  double peak = 0;
  bool profile = false;
  bool energy = false;
  StreamFlags stream;
};

using Clock = std::chrono::steady_clock;
double us_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

// Bytes of any value for integers, [-1, 1) for floats. Of a generator that takes no part of a cold
// start.
void fill_inputs(Session& session, uint64_t seed) {
  // Steele, Lea, Flood: Fast splittable pseudorandom number generators (SplitMix).
  auto random = [state = seed]() mutable {
    state += 0x9E3779B97F4A7C15U;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  };
  for (size_t i = 0; i < session.input_count(); ++i) {
    const std::span<uint8_t> bytes = session.input_bytes(i);
    if (session.input(i).dtype == DType::kF32) {
      for (size_t k = 0; k + 4 <= bytes.size(); k += 4) {
        const auto bits = static_cast<int32_t>(random() >> 32);
        const float value = static_cast<float>(bits) * 0x1p-31F;
        std::memcpy(&bytes[k], &value, 4);
      }
    } else if (session.input(i).dtype == DType::kI8 || session.input(i).dtype == DType::kU8) {
      for (size_t k = 0; k < bytes.size(); k += 8) {
        const uint64_t word = random();
        std::memcpy(&bytes[k], &word, std::min<size_t>(8, bytes.size() - k));
      }
    }
  }
}

Result<Session> open_session(const BenchOptions& o) {
  Result<Model> model = load(o.model, o.common);
  if (!model.ok()) return model.error();
  Result<Session> session =
      Session::create(std::move(*model), {.threads = o.common.threads, .profile = o.profile});
  if (session.ok()) fill_inputs(*session, o.common.seed);
  return session;
}

// Peak resident set of this process in kB, as the kernel counted it since exec.
long peak_kb() {
  const int status = ::open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (status < 0) return 0;
  char text[4096] = {};
  const ssize_t length = ::read(status, text, sizeof(text) - 1);
  ::close(status);
  const char* line = length > 0 ? std::strstr(text, "VmHWM:") : nullptr;
  return line != nullptr ? std::atol(line + std::strlen("VmHWM:")) : 0;
}

struct ColdStart {
  double first_result_ms = 1e30;
  double rss_mb = 0;
};

// Time from just before the spawn to the child's result on a pipe.
bool measure_child(const BenchOptions& o, ColdStart& best) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::vector<std::string> words{"edgewise",
                                 kBenchChild,
                                 o.model,
                                 std::to_string(o.common.threads),
                                 o.common.int8_profile,
                                 o.common.architecture};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const Clock::time_point start = Clock::now();
  pid_t child = 0;
  const int error =
      ::posix_spawn(&child, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  char text[64] = {};
  const ssize_t length = error == 0 ? ::read(ends[0], text, sizeof(text) - 1) : 0;
  const double ms = us_since(start) / 1e3;
  ::close(ends[0]);
  int status = 0;
  if (error == 0) ::waitpid(child, &status, 0);
  if (length <= 0 || status != 0) return false;
  best.first_result_ms = std::min(best.first_result_ms, ms);
  best.rss_mb = std::max(best.rss_mb, static_cast<double>(std::atol(text)) / 1024);
  return true;
}

struct Timing {
  double min_us = 0;
  double median_us = 0;
  size_t calls = 0;
};

// About batch_ms of calls, at least 10, after a warm-up.
Timing time_runs(Session& session, double batch_ms) {
  constexpr int kWarmUp = 5;
  double least = 1e30;
  for (int i = 0; i < kWarmUp; ++i) {
    const Clock::time_point start = Clock::now();
    session.run();
    least = std::min(least, us_since(start));
  }
  const auto calls =
      static_cast<size_t>(std::clamp(batch_ms * 1e3 / std::max(least, 0.1), 10.0, 1e6));
  std::vector<double> times(calls);
  for (double& us : times) {
    const Clock::time_point start = Clock::now();
    session.run();
    us = us_since(start);
  }
  std::sort(times.begin(), times.end());
  return {times.front(), times[times.size() / 2], calls};
}

void print_profile(const Session& session, double peak) {
  double sum = 0;
  for (const LayerProfile& row : session.profile()) sum += row.us;
  std::fprintf(stderr, "%9s %6s %9s %8s %9s %10s  %s\n", "us", "share", "GMAC/s",
               peak > 0 ? "% peak" : "", "MAC", "bytes", "layer");
  for (const LayerProfile& row : session.profile()) {
    const double rate = row.us > 0 ? static_cast<double>(row.macs) / row.us / 1e3 : 0;
    std::fprintf(stderr, "%9.2f %5.1f%% %9.1f", row.us, 100 * row.us / sum, rate);
    if (peak > 0) {
      std::fprintf(stderr, " %7.1f%%", 100 * rate / peak);
    } else {
      std::fprintf(stderr, " %8s", "");
    }
    std::fprintf(stderr, " %9lld %10lld  %s %s\n", static_cast<long long>(row.macs),
                 static_cast<long long>(row.bytes), row.op.c_str(), row.name.c_str());
  }
}

// Microjoules of one run over about a second of them, counters of the whole package included.
Result<double> measure_energy(Session& session, double min_us) {
  constexpr double kSecondUs = 1e6;
  const auto calls = static_cast<size_t>(std::max(10.0, kSecondUs / std::max(min_us, 0.1)));
  Result<EnergyMeter> meter = EnergyMeter::open();
  if (!meter.ok()) return meter.error();
  for (size_t i = 0; i < calls; ++i) session.run();
  const Result<double> used = meter->take_uj();
  if (!used.ok()) return used.error();
  return *used / static_cast<double>(calls);
}

int bench(const BenchOptions& o) {
  if (o.stream.stream) {
    const Result<Model> model = load_model(o.model, {.architecture = o.common.architecture});
    if (!model.ok()) return fail(model.error());
    return bench_stream(*model, o.stream, o.common, o.batch_ms);
  }
  Result<Session> session = open_session(o);
  if (!session.ok()) return fail(session.error());
  const Timing timing = time_runs(*session, o.batch_ms);
  if (o.profile) {
    print_profile(*session, o.peak);
  }
  std::optional<double> energy_uj;
  if (o.energy) {
    const Result<double> measured = measure_energy(*session, timing.min_us);
    if (measured.ok()) {
      energy_uj = *measured;
    } else {
      std::fprintf(stderr, "%s\n", measured.error().message.c_str());
    }
  }
  ColdStart cold;
  constexpr int kSpawns = 10;
  for (int i = 0; i < kSpawns; ++i) {
    if (!measure_child(o, cold)) {
      return fail({ErrorCode::kIo, "the child process for the cold start failed"});
    }
  }
  if (o.common.json) {
    std::printf(
        "{\"median_us\": %.3f, \"min_us\": %.3f, \"rss_mb\": %.3f, \"first_result_ms\": %.3f",
        timing.median_us, timing.min_us, cold.rss_mb, cold.first_result_ms);
    if (energy_uj) std::printf(", \"energy_uj\": %.3f", *energy_uj);
    std::printf("}\n");
    return 0;
  }
  const double rate = static_cast<double>(session->macs()) / timing.min_us / 1e3;
  std::printf("latency      %.2f us (least of %zu), median %.2f us\n", timing.min_us, timing.calls,
              timing.median_us);
  std::printf("rate         %.1f GMAC/s\n", rate);
  if (o.peak > 0) std::printf("of peak      %.1f %%\n", 100 * rate / o.peak);
  std::printf("cold start   %.2f ms from process start to the first result\n",
              cold.first_result_ms);
  std::printf("memory       %.1f MB at its peak\n", cold.rss_mb);
  if (energy_uj) std::printf("energy       %.1f uJ a run, of the whole package\n", *energy_uj);
  return 0;
}

}  // namespace

int bench_child(char** words) {
  BenchOptions o;
  o.model = words[0];
  o.common.threads = std::atoi(words[1]);
  o.common.int8_profile = words[2];
  o.common.architecture = words[3];
  Result<Session> session = open_session(o);
  if (!session.ok()) return fail(session.error());
  session->run();
  char line[32];
  const int length = std::snprintf(line, sizeof(line), "%ld\n", peak_kb());
  return ::write(STDOUT_FILENO, line, static_cast<size_t>(length)) == length ? 0 : 4;
}

void add_bench(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("bench",
                                      "Measure a model's latency, cold start and memory\n"
                                      "Example: edgewise bench model.h5 --threads 1 --json");
  auto o = std::make_shared<BenchOptions>();
  verb->add_option("MODEL", o->model, "Model file")->required();
  verb->add_option("--batch-ms", o->batch_ms, "Time to measure for, but at least 10 runs")
      ->check(CLI::PositiveNumber);
  verb->add_flag("--profile", o->profile, "Print every layer's time on stderr");
  verb->add_option("--peak", o->peak, "GMAC/s that the cores can reach, for shares of it");
  add_stream_flags(*verb, o->stream);
  verb->add_flag("--energy", o->energy,
                 "Measure the energy of a run where the kernel counts it (RAPL)");
  add_common(*verb, o->common);
  verb->callback([o, &exit_code] { exit_code = bench(*o); });
}

}  // namespace ew::cli
