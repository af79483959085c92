#include "compress/calibrate.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "compress/test_models.h"
#include "ops/ops.h"

namespace ew::compress {
namespace {

using ir::Tensor;

// y = relu(x)
ir::Graph relu_graph() {
  ir::Graph g;
  ir::Builder b(g);
  const ir::ValueId x = b.input("x", {DType::kF32, Shape{kUnknown, 2}, nullptr});
  g.outputs = {b.add(ops::kRelu, {x})};
  return g;
}

TEST_CASE("calibrate: sees every value over all batches") {
  const ir::Graph g = relu_graph();
  const Tensor x = Tensor::from<float>({-3, 1, 2, 0.5, -1, 7}, {3, 2});
  const auto ranges = calibrate(g, {&x, 1}, {.batch_size = 2});
  REQUIRE(ranges.ok());
  CHECK(ranges->at(g.inputs[0]) == ValueRange{-3, 7});
  CHECK(ranges->at(g.outputs[0]) == ValueRange{0, 7});
}

TEST_CASE("calibrate: ignores what is not finite") {
  const ir::Graph g = relu_graph();
  const Tensor x =
      Tensor::from<float>({-3, std::numeric_limits<float>::infinity(), NAN, 2}, {2, 2});
  const auto ranges = calibrate(g, {&x, 1});
  REQUIRE(ranges.ok());
  CHECK(ranges->at(g.inputs[0]) == ValueRange{-3, 2});
}

TEST_CASE("calibrate: percentile and MSE cut an outlier off, min-max does not") {
  const ir::Graph g = relu_graph();
  Tensor x = testing::samples({5000, 2}, 5);
  x.mutable_values<float>()[77] = 500;
  const auto all = calibrate(g, {&x, 1});
  const auto percentile =
      calibrate(g, {&x, 1}, {.rule = RangeRule::kPercentile, .percentile = 99.9});
  REQUIRE(all.ok());
  REQUIRE(percentile.ok());
  CHECK(all->at(g.inputs[0]).max == 500);
  CHECK(percentile->at(g.inputs[0]).max < 10);
  CHECK(percentile->at(g.inputs[0]).max > 2);
}

TEST_CASE("mse_range: keeps a uniform range and clips a long thin tail") {
  Histogram uniform{{-1, 1}, std::vector<int64_t>(2048, 10)};
  CHECK(mse_range(uniform).max == doctest::Approx(1).epsilon(0.03));
  Histogram tail{{0, 100}, std::vector<int64_t>(2048, 0)};
  for (size_t i = 0; i < 200; ++i) tail.bins[i] = 100'000;  // up to 9.8
  tail.bins[2047] = 1;
  CHECK(mse_range(tail).max < 100);
}

TEST_CASE("calibrate: refuses to guess without samples") {
  const ir::Graph g = relu_graph();
  CHECK_FALSE(calibrate(g, {}).ok());
  const Tensor none(DType::kF32, Shape{0, 2});
  CHECK_FALSE(calibrate(g, {&none, 1}).ok());
}

}  // namespace
}  // namespace ew::compress
