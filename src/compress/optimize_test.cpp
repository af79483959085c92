#include "compress/optimize.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "compress/prune.h"
#include "compress/test_models.h"

namespace ew::compress {
namespace {

using ir::Model;
using ir::Tensor;

// A caller whose accuracy follows from the model's properties, so that a test can say when the
// guard must back off.
struct Caller {
  std::function<double(const Model&)> accuracy = [](const Model&) { return 0.9; };
  int validations = 0;
  int tests = 0;
  std::vector<double> fine_tuned = {};

  GuardActions actions() {
    return {.validate = [this](const Model& m) -> Result<double> {
              ++validations;
              return accuracy(m);
            },
            .test = [this](const Model& m) -> Result<double> {
              ++tests;
              return accuracy(m);
            },
            .fine_tune = [this](const Model& m, double sparsity) -> Result<Model> {
              fine_tuned.push_back(sparsity);
              Model out = m;
              Pruner pruner(out.graph, {});
              std::vector<std::span<float>> spans;
              for (const ir::ValueId id : out.graph.parameters()) {
                spans.push_back(out.graph.value(id).data.mutable_values<float>());
              }
              pruner.prune_now(sparsity, spans);
              return out;
            }};
  }
};

const Tensor& calibration() {
  static const Tensor x = testing::samples({8, 8, 8, 3}, 4);
  return x;
}

Guarded optimized(const GuardOptions& options, const GuardActions& actions) {
  const auto result = optimize(testing::small_cnn(), {&calibration(), 1}, options, actions);
  REQUIRE_MESSAGE(result.ok(), (result.ok() ? std::string() : result.error().message));
  return *result;
}

bool keeps_float(const Model& m, const std::string& layer) {
  return m.quantization && !m.quantization->values.contains(layer + "/kernel");
}

TEST_CASE("optimize: takes everything asked for when nothing is lost") {
  Caller caller;
  const Guarded g = optimized({.sparsity = 0.75}, caller.actions());
  CHECK(g.report.accepted);
  CHECK(g.report.sparsity == 0.75);
  CHECK(caller.fine_tuned == std::vector<double>{0.75});
  CHECK(g.model.quantization.has_value());
  CHECK(g.report.after.zero_fraction >= 0.74);
  CHECK(g.report.after.bytes < g.report.before.bytes);
  CHECK(g.report.after.compressed_bytes < g.report.after.bytes);
  CHECK(caller.tests == 2);
}

TEST_CASE("optimize: lowers the sparsity first, in steps down to the minimum") {
  Caller caller;
  caller.accuracy = [](const Model& m) { return zero_fraction(m.graph) > 0.5 ? 0.5 : 0.9; };
  const Guarded g = optimized({.sparsity = 0.8, .min_sparsity = 0.2}, caller.actions());
  CHECK(g.report.accepted);
  // 0.8, 0.65, 0.5 (kept: not above 0.5)
  CHECK(caller.fine_tuned.size() == 3);
  CHECK(g.report.sparsity == doctest::Approx(0.5));
}

TEST_CASE("optimize: never goes below the least sparsity asked for") {
  Caller caller;
  caller.accuracy = [](const Model& m) { return zero_fraction(m.graph) > 0.1 ? 0.5 : 0.9; };
  const Guarded g = optimized({.sparsity = 0.8, .min_sparsity = 0.4}, caller.actions());
  CHECK_FALSE(g.report.accepted);
  CHECK(*std::min_element(caller.fine_tuned.begin(), caller.fine_tuned.end()) == 0.4);
  CHECK(g.report.validation_after == 0.5);
  CHECK(caller.tests == 2);
}

TEST_CASE("optimize: keeps the layer in float that int8 cannot do without") {
  Caller caller;
  // The one layer that the fake model needs in float is the most sensitive one.
  Caller probe;
  std::string worst;
  probe.accuracy = [&](const Model& m) { return m.quantization ? 0.1 : 0.9; };
  const Guarded all_float = optimized({}, probe.actions());
  CHECK(all_float.report.accepted);
  CHECK_FALSE(all_float.model.quantization.has_value());
  REQUIRE_FALSE(all_float.report.float_layers.empty());
  worst = all_float.report.float_layers[0];
  caller.accuracy = [&](const Model& m) {
    return !m.quantization || !m.quantization->values.contains(worst + ":0") ? 0.9 : 0.7;
  };
  const Guarded g = optimized({}, caller.actions());
  CHECK(g.report.accepted);
  REQUIRE(g.model.quantization.has_value());
  CHECK(g.report.float_layers == std::vector<std::string>{worst});
}

TEST_CASE("optimize: layers that the user keeps in float stay there") {
  Caller caller;
  GuardOptions options;
  options.quantize.keep_float = {"out"};
  const Guarded g = optimized(options, caller.actions());
  CHECK(keeps_float(g.model, "out"));
  CHECK_FALSE(keeps_float(g.model, "conv"));
}

TEST_CASE("optimize: a rejected model comes with the best one seen and why") {
  Caller caller;
  double best = 0;
  caller.accuracy = [&](const Model& m) {
    // Only the untouched original, which still has its batch norm, is good.
    const bool is_original = m.graph.parameters().size() > 8;
    const double a = is_original ? 0.9 : 0.8 - 0.1 * zero_fraction(m.graph);
    if (!is_original) best = std::max(best, a);
    return a;
  };
  const Guarded g = optimized({.sparsity = 0.6}, caller.actions());
  CHECK_FALSE(g.report.accepted);
  CHECK(g.report.validation_after == best);
  CHECK(g.report.notes.size() >= 6);
}

TEST_CASE("optimize: the test part is opened after the last decision") {
  Caller caller;
  GuardActions actions = caller.actions();
  int validations_at_first_test = -1;
  const auto test = actions.test;
  actions.test = [&](const Model& m) {
    if (validations_at_first_test < 0) validations_at_first_test = caller.validations;
    return test(m);
  };
  optimized({.sparsity = 0.5}, actions);
  CHECK(validations_at_first_test == caller.validations);
}

TEST_CASE("optimize: options out of range are refused") {
  Caller caller;
  const Model model = testing::small_cnn();
  const auto run = [&](const GuardOptions& options) {
    return optimize(model, {&calibration(), 1}, options, caller.actions()).ok();
  };
  CHECK_FALSE(run({.sparsity = 1}));
  CHECK_FALSE(run({.sparsity = 0.2, .min_sparsity = 0.3}));
  CHECK_FALSE(run({.max_accuracy_drop = -0.1}));
  CHECK_FALSE(optimize(model, {&calibration(), 1}, {}, {}).ok());
}

TEST_CASE("figures: bytes and multiply-accumulates can be counted by hand") {
  const auto figures = size_figures(testing::small_cnn());
  REQUIRE(figures.ok());
  // conv 8*8*8 outputs * 27, dw 4*4*8 * 9, point 4*4*12 * 8, out 5 * 12
  CHECK(figures->macs == 8 * 8 * 8 * 27 + 4 * 4 * 8 * 9 + 4 * 4 * 12 * 8 + 60);
  // Kernels 216 + 72 + 96 + 60, biases 8 + 5, two folded norms of scale and shift 4 * 8.
  CHECK(figures->bytes == 4 * (216 + 72 + 96 + 60 + 8 + 5 + 32));
  const auto rows = layer_figures(testing::small_cnn());
  REQUIRE(rows.ok());
  REQUIRE(rows->size() == 6);
  CHECK(rows->at(0).name == "conv");
  CHECK(rows->at(0).macs == 8 * 8 * 8 * 27);
  CHECK_FALSE(rows->at(0).is_int8);
}

TEST_CASE("wilson_interval: agrees with the textbook") {
  // 81 of 263: (0.2553, 0.3662) (Newcombe 1998, table I, method 3)
  const Interval i = wilson_interval(81.0 / 263, 263);
  CHECK(i.low == doctest::Approx(0.2553).epsilon(0.001));
  CHECK(i.high == doctest::Approx(0.3662).epsilon(0.001));
  CHECK(wilson_interval(0, 20).low == 0);
}

}  // namespace
}  // namespace ew::compress
