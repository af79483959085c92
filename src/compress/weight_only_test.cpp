#include "compress/weight_only.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "ops/ops.h"
#include "runtime/executor.h"

namespace ew::compress {
namespace {

ir::Tensor random(Shape shape, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  ir::Tensor t(DType::kF32, std::move(shape));
  for (float& v : t.mutable_values<float>()) v = normal(rng);
  return t;
}

ir::Graph dense_graph(int64_t inputs, int64_t outputs) {
  ir::Graph graph;
  ir::Builder b(graph);
  const ir::ValueId x = b.input("x", {DType::kF32, Shape{3, inputs}, nullptr});
  const ir::ValueId w = b.constant(random({inputs, outputs}, 1), "w");
  const ir::ValueId bias = b.constant(random({outputs}, 2), "bias");
  graph.outputs = {b.add(ops::kDense, {x, w, bias})};
  return graph;
}

double error_of(const ir::Graph& graph, const ir::Graph& exact, const ir::Tensor& x) {
  const auto got = runtime::run_graph(graph, {&x, 1});
  const auto want = runtime::run_graph(exact, {&x, 1});
  REQUIRE(got.ok());
  REQUIRE(want.ok());
  const auto a = (*got)[0].values<float>();
  const auto b = (*want)[0].values<float>();
  double squares = 0;
  double all = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    squares += std::pow(static_cast<double>(a[i] - b[i]), 2);
    all += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(squares / all);
}

TEST_CASE("int4 weights: smaller groups of inputs lose less") {
  const ir::Graph exact = dense_graph(256, 40);
  const ir::Tensor x = random({3, 256}, 3);
  const auto whole = quantize_weights_int4(exact, 0);
  const auto groups = quantize_weights_int4(exact, 32);
  REQUIRE(whole.ok());
  REQUIRE(groups.ok());
  const double coarse = error_of(*whole, exact, x);
  const double fine = error_of(*groups, exact, x);
  CAPTURE(coarse);
  CAPTURE(fine);
  // A step is 1/7 of the largest weight (about 3 sigma of 256, 2 of 32): rms step / sqrt(12).
  CHECK(coarse < 0.16);
  CHECK(fine < 0.11);
  CHECK(fine < coarse);
}

TEST_CASE("int4 weights: the fast kernel has the reference's bits") {
  for (const int64_t group : {0, 16, 32, 128}) {
    CAPTURE(group);
    for (const int64_t outputs : {17, 40, 64, 130}) {
      const auto graph = quantize_weights_int4(dense_graph(250, outputs), group);
      REQUIRE(graph.ok());
      const ir::Tensor x = random({3, 250}, 4);
      const auto fast = runtime::run_graph(*graph, {&x, 1});
      const auto reference = runtime::run_graph(*graph, {&x, 1}, {.reference_only = true});
      REQUIRE(fast.ok());
      REQUIRE(reference.ok());
      CHECK(std::memcmp((*fast)[0].data(), (*reference)[0].data(), (*fast)[0].size_bytes()) == 0);
    }
  }
}

TEST_CASE("int4 weights: says where there is nothing to do") {
  const auto none = quantize_weights_int4(dense_graph(10, 10), 0);
  REQUIRE_FALSE(none.ok());
  CHECK(none.error().message == "no dense layer with at least 4096 float weights");
}

}  // namespace
}  // namespace ew::compress
