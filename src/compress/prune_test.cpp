#include "compress/prune.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "compress/test_models.h"

namespace ew::compress {
namespace {

// The parameters of a graph as the trainer shows them.
struct Weights {
  explicit Weights(ir::Model& model) {
    for (const ir::ValueId id : model.graph.parameters()) {
      spans.push_back(model.graph.value(id).data.mutable_values<float>());
    }
  }
  std::vector<std::span<float>> spans;
};

TEST_CASE("PruneSchedule: follows the cubic of Zhu and Gupta") {
  const PruneSchedule s{.initial_sparsity = 0.2,
                        .final_sparsity = 0.8,
                        .begin_step = 100,
                        .end_step = 300,
                        .frequency = 50};
  CHECK(s.sparsity_at(0) == 0.2);
  CHECK(s.sparsity_at(100) == 0.2);
  // Halfway: 0.8 + (0.2 - 0.8) * (1 / 2)^3 = 0.725
  CHECK(s.sparsity_at(200) == doctest::Approx(0.725));
  CHECK(s.sparsity_at(300) == 0.8);
  CHECK(s.sparsity_at(10'000) == 0.8);
  CHECK_FALSE(s.updates_at(99));
  CHECK(s.updates_at(100));
  CHECK_FALSE(s.updates_at(149));
  CHECK(s.updates_at(150));
  CHECK(s.updates_at(300));
  CHECK_FALSE(s.updates_at(350));
}

TEST_CASE("Pruner: zeroes the smallest weights of every kernel and nothing else") {
  ir::Model model = testing::small_cnn();
  Weights weights(model);
  Pruner pruner(model.graph, {});
  pruner.prune_now(0.75, weights.spans);
  CHECK(pruner.sparsity() == doctest::Approx(0.75).epsilon(0.01));
  CHECK(zero_fraction(model.graph) == doctest::Approx(pruner.sparsity()));
  for (const ir::ValueId id : model.graph.parameters()) {
    const ir::Value& v = model.graph.value(id);
    const auto w = v.data.values<float>();
    const auto zeros = std::count(w.begin(), w.end(), 0.F);
    const auto expected = is_prunable(v) ? std::lround(0.75 * static_cast<double>(w.size())) : 0;
    CHECK_MESSAGE(zeros == expected, v.name);
  }
}

TEST_CASE("Pruner: masked weights return to zero after an update moves them") {
  ir::Model model = testing::small_cnn();
  Weights weights(model);
  Pruner pruner(
      model.graph,
      {.schedule = {.final_sparsity = 0.5, .begin_step = 0, .end_step = 10, .frequency = 10}});
  for (int64_t step = 0; step <= 10; ++step) {
    for (auto& span : weights.spans) {
      for (float& w : span) w += 0.001F;
    }
    pruner.on_step(step, weights.spans);
  }
  CHECK(zero_fraction(model.graph) == doctest::Approx(0.5).epsilon(0.01));
  for (auto& span : weights.spans) {
    for (float& w : span) w += 1;
  }
  pruner.on_step(11, weights.spans);
  CHECK(zero_fraction(model.graph) == doctest::Approx(0.5).epsilon(0.01));
}

TEST_CASE("Pruner: one threshold over all layers takes more from the smaller weights") {
  ir::Model model = testing::small_cnn();
  Weights weights(model);
  for (float& w : weights.spans[0]) w *= 0.01F;  // conv/kernel: 216 weights
  Pruner pruner(model.graph, {.global_threshold = true});
  pruner.prune_now(0.3, weights.spans);
  const auto first = weights.spans[0];
  CHECK(std::count(first.begin(), first.end(), 0.F) > 120);
  CHECK(pruner.sparsity() == doctest::Approx(0.3).epsilon(0.01));
}

TEST_CASE("Pruner: keeps named layers dense") {
  ir::Model model = testing::small_cnn();
  Weights weights(model);
  Pruner pruner(model.graph, {.keep_dense = {"conv"}});
  pruner.prune_now(0.9, weights.spans);
  const auto first = weights.spans[0];
  CHECK(std::count(first.begin(), first.end(), 0.F) == 0);
}

TEST_CASE("Pruner: equal weights are pruned in order, so the count is exact") {
  ir::Model model = testing::small_cnn();
  Weights weights(model);
  for (float& w : weights.spans[0]) w = 1;
  Pruner pruner(model.graph, {});
  pruner.prune_now(0.5, weights.spans);
  CHECK(weights.spans[0][0] == 0);
  CHECK(weights.spans[0][107] == 0);
  CHECK(weights.spans[0][108] == 1);
}

}  // namespace
}  // namespace ew::compress
