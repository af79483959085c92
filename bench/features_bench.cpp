// Time of a chain of features over a signal: features_bench CHAIN SAMPLES [RUNS]. Prints the least
// and the median microseconds of one run on one thread, for bench/features/compare.py.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "ops/signal/features.h"
#include "runtime/executor.h"
#include "train/feature_call.h"

namespace {

int run(const char* chain, int64_t samples, int runs) {
  using Clock = std::chrono::steady_clock;
  const auto parsed = ew::train::parse_features(chain);
  if (!parsed.ok()) return std::fprintf(stderr, "%s\n", parsed.error().message.c_str()), 1;
  auto graph =
      ew::ops::signal::feature_graph(*parsed, {ew::DType::kF32, ew::Shape{1, samples}, nullptr});
  if (!graph.ok()) return std::fprintf(stderr, "%s\n", graph.error().message.c_str()), 1;
  auto executor = ew::runtime::Executor::create(std::move(*graph), {});
  if (!executor.ok()) return std::fprintf(stderr, "%s\n", executor.error().message.c_str()), 1;
  ew::ir::Tensor x(ew::DType::kF32, ew::Shape{1, samples});
  uint32_t state = 1;
  for (float& v : x.mutable_values<float>()) {
    state = state * 1664525 + 1013904223;
    v = static_cast<float>(state >> 8) / 8388608.F - 1;
  }
  if (!(*executor)->set_input(0, x).ok()) return 1;
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) {
    const auto begin = Clock::now();
    (*executor)->run();
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  std::sort(times.begin(), times.end());
  std::printf("%.2f %.2f\n", times.front(), times[times.size() / 2]);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) return std::fprintf(stderr, "features_bench CHAIN SAMPLES [RUNS]\n"), 2;
  return run(arguments[1], std::atoll(arguments[2]), count > 3 ? std::atoi(arguments[3]) : 2000);
}
