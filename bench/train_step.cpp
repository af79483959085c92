// train_step NET.h5 [--threads N] [--batch N] [--seconds S] [--classes N] [--profile]
//
// Time of one training step (Adam, sparse cross entropy from logits, random data in memory):
// the last line is JSON with min_ms, median_ms, steps, rss_mb and first_step_ms. With --profile, a
// table of the operators of one step, slowest first.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>

#include "base/rng.h"
#include "formats/load.h"
#include "train/trainer.h"

namespace ew {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

struct Arguments {
  std::string model;
  int threads = 1;
  int64_t batch = 32;
  double seconds = 2;
  bool profile = false;
};

train::Split random_batch(const ir::Graph& graph, int64_t batch) {
  Rng rng(0);
  train::Split split;
  Shape shape = graph.type(graph.inputs[0]).shape;
  shape[0] = batch;
  ir::Tensor x(DType::kF32, shape);
  for (float& v : x.mutable_values<float>()) v = static_cast<float>(rng.normal());
  ir::Tensor y(DType::kI32, Shape{batch});
  const int64_t classes = graph.type(graph.outputs[0]).shape[-1];
  for (int32_t& v : y.mutable_values<int32_t>()) {
    v = static_cast<int32_t>(rng.below(static_cast<uint64_t>(classes)));
  }
  split.x = {std::move(x)};
  split.y = {std::move(y)};
  return split;
}

void print_profile(const train::Trainer& trainer, int64_t steps) {
  struct Row {
    std::string name;
    double us;
  };
  std::vector<Row> rows;
  double total = 0;
  for (const auto& [name, nanoseconds] : trainer.profile()) {
    rows.push_back({name, static_cast<double>(nanoseconds) / 1e3 / static_cast<double>(steps)});
    total += rows.back().us;
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.us > b.us; });
  for (const Row& row : rows) {
    std::printf("%10.1f us %5.1f %%  %s\n", row.us, 100 * row.us / total, row.name.c_str());
  }
  std::printf("%10.1f us in operators\n", total);
}

Status run(const Arguments& a) {
  const Clock::time_point start = Clock::now();
  EW_TRY(ir::Model model, formats::load_model(a.model));
  ir::CompiledState state;
  state.optimizer = Config("adam");
  state.loss = Config::Map{{"class_name", "SparseCategoricalCrossentropy"},
                           {"config", Config::Map{{"from_logits", true}}}};
  model.compiled = std::move(state);
  EW_TRY(std::unique_ptr<train::Trainer> trainer,
         train::Trainer::create(model, {.threads = a.threads, .seed = 0, .profile = a.profile}));
  const train::Split batch = random_batch(model.graph, a.batch);
  const auto step = [&]() -> Status {
    EW_TRY([[maybe_unused]] const double loss, trainer->train_on_batch(batch));
    return {};
  };
  EW_TRY_VOID(step());
  const double first_ms = ms_since(start);
  for (int i = 0; i < 5; ++i) EW_TRY_VOID(step());
  std::vector<double> times;
  const Clock::time_point begin = Clock::now();
  while (ms_since(begin) < a.seconds * 1e3 || times.size() < 10) {
    const Clock::time_point t = Clock::now();
    EW_TRY_VOID(step());
    times.push_back(ms_since(t));
  }
  if (a.profile) print_profile(*trainer, static_cast<int64_t>(times.size()) + 6);
  std::sort(times.begin(), times.end());
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf(
      "{\"min_ms\": %.5f, \"median_ms\": %.5f, \"steps\": %zu, \"rss_mb\": %.1f, "
      "\"import_ms\": 0, \"first_step_ms\": %.2f}\n",
      times.front(), times[times.size() / 2], times.size(),
      static_cast<double>(usage.ru_maxrss) / 1024, first_ms);
  return {};
}

}  // namespace
}  // namespace ew

int main(int argc, char** argv) {
  ew::Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const bool has_value = i + 1 < argc;
    if (std::strcmp(argv[i], "--threads") == 0 && has_value)
      arguments.threads = std::atoi(argv[++i]);
    else if (std::strcmp(argv[i], "--batch") == 0 && has_value)
      arguments.batch = std::atoll(argv[++i]);
    else if (std::strcmp(argv[i], "--seconds") == 0 && has_value)
      arguments.seconds = std::atof(argv[++i]);
    else if (std::strcmp(argv[i], "--profile") == 0)
      arguments.profile = true;
    else
      arguments.model = argv[i];
  }
  if (arguments.model.empty()) {
    std::fprintf(stderr,
                 "usage: train_step NET.h5 [--threads N] [--batch N] [--seconds S] [--profile]\n");
    return 2;
  }
  const ew::Status status = ew::run(arguments);
  if (!status.ok()) {
    std::fprintf(stderr, "train_step: %s\n", status.error().message.c_str());
    return 3;
  }
  return 0;
}
