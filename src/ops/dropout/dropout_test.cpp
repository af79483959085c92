#include <doctest/doctest.h>

#include <cmath>

#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Ints = std::vector<int64_t>;

TEST_CASE("dropout: every facet agrees with the reference") {
  std::vector<OpCase> cases;
  for (const char* kind : {"dropout", "alpha_dropout", "gaussian_dropout", "gaussian_noise"}) {
    cases.push_back(
        {.why = kind, .in = {{3, 4, 2}}, .attrs = {{"kind", std::string(kind)}, {"rate", 0.4}}});
  }
  cases.push_back({.why = "whole channels",
                   .in = {{3, 4, 2}},
                   .attrs = {{"noise_shape", Ints{-1, 1, -1}}, {"rate", 0.5}}});
  cases.push_back({.why = "everything", .in = {{3, 4}}, .attrs = {{"rate", 1.0}}});
  cases.push_back({.why = "nothing", .in = {{3, 4}}, .attrs = {{"rate", 0.0}}});
  check_op(ops::kDropout, cases);
}

struct Moments {
  double mean = 0;
  double variance = 0;
};

Moments moments_of(const ir::Tensor& t) {
  Moments m;
  for (const float v : t.values<float>()) m.mean += static_cast<double>(v);
  m.mean /= static_cast<double>(t.size());
  for (const float v : t.values<float>()) {
    m.variance += (static_cast<double>(v) - m.mean) * (static_cast<double>(v) - m.mean);
  }
  m.variance /= static_cast<double>(t.size());
  return m;
}

TEST_CASE("dropout: in training keeps the mean, by kind also the variance") {
  const auto kind = [](const char* name) {
    return ir::Attrs{{"kind", std::string(name)}, {"rate", 0.3}};
  };
  const auto ones = tensor({40000}, std::vector<float>(40000, 1.F));
  // 40,000 draws: the means have standard deviations of 0.0034 at most.
  const Moments dropped = moments_of(run_training(ops::kDropout, {ones}, kind("dropout"))[0]);
  CHECK(dropped.mean == doctest::Approx(1).epsilon(0.015));
  CHECK(dropped.variance == doctest::Approx(0.3 / 0.7).epsilon(0.04));
  const Moments scaled =
      moments_of(run_training(ops::kDropout, {ones}, kind("gaussian_dropout"))[0]);
  CHECK(scaled.mean == doctest::Approx(1).epsilon(0.015));
  CHECK(scaled.variance == doctest::Approx(0.3 / 0.7).epsilon(0.04));
  const Moments noisy = moments_of(run_training(ops::kDropout, {ones}, kind("gaussian_noise"))[0]);
  CHECK(noisy.mean == doctest::Approx(1).epsilon(0.015));
  CHECK(noisy.variance == doctest::Approx(0.09).epsilon(0.04));
  // Alpha dropout keeps mean 0 and variance 1 of a standard normal.
  const auto normal = run_training(ops::kDropout, {tensor({40000}, std::vector<float>(40000, 0.F))},
                                   {{"kind", std::string("gaussian_noise")}, {"rate", 1.0}})[0];
  const Moments alpha =
      moments_of(run_training(ops::kDropout, {normal}, kind("alpha_dropout"), 1)[0]);
  CHECK(alpha.mean == doctest::Approx(0).epsilon(0.03));
  CHECK(alpha.variance == doctest::Approx(1).epsilon(0.03));
}

TEST_CASE("dropout: drops others in another step") {
  const auto ones = tensor({64}, std::vector<float>(64, 1.F));
  const auto values = [&](int64_t step) {
    const auto y = run_training(ops::kDropout, {ones}, {}, step)[0];
    return std::vector<float>(y.values<float>().begin(), y.values<float>().end());
  };
  CHECK(values(1) == values(1));
  CHECK(values(1) != values(2));
}

TEST_CASE("dropout: Keras' layers pass their input on and name what they would do") {
  const auto x = random_tensor({2, 3, 4});
  const auto same = [&](const char* layer, Config config) {
    const auto values = x.values<float>();
    return all_near(run_layer({.class_name = layer, .config = std::move(config), .x = x}),
                    {values.begin(), values.end()}, 0);
  };
  CHECK(same("Dropout", Config::Map{{"rate", 0.2}, {"noise_shape", Config::List{Config(), 1, 4}}}));
  CHECK(same("SpatialDropout1D", Config::Map{{"rate", 0.2}}));
  CHECK(same("GaussianNoise", Config::Map{{"stddev", 2.0}}));
  CHECK(same("AlphaDropout", Config::Map{{"rate", 0.2}}));
  const auto graph = import_layer(
      {.class_name = "SpatialDropout1D", .config = Config::Map{{"rate", 0.2}}, .x = x});
  REQUIRE(graph.ok());
  CHECK(graph->nodes[0].attrs.ints("noise_shape") == Ints{-1, 1, -1});
  CHECK_FALSE(
      refusal({.class_name = "Dropout", .config = Config::Map{{"rate", 2}}, .x = x}).empty());
}

TEST_CASE("dropout: ActivityRegularization adds one loss a factor, once") {
  const auto graph = import_layer({.class_name = "ActivityRegularization",
                                   .config = Config::Map{{"l1", 0.1}, {"l2", 0.0}},
                                   .x = random_tensor({2, 3})});
  REQUIRE(graph.ok());
  CHECK(graph->losses.size() == 1);
}

TEST_CASE("dropout: rejects rates that are no probability") {
  CHECK_FALSE(infer_shapes(ops::kDropout, {{2, 3}}, {{"rate", 1.5}}).ok());
  CHECK_FALSE(infer_shapes(ops::kDropout, {{2, 3}}, {{"rate", -0.1}}).ok());
  CHECK_FALSE(infer_shapes(ops::kDropout, {{2, 3}}, {{"rate", std::nan("")}}).ok());
  CHECK_FALSE(infer_shapes(ops::kDropout, {{2, 3}}, {{"noise_shape", Ints{2, 2}}}).ok());
}

}  // namespace
}  // namespace ew::testing
