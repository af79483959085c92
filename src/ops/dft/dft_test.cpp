#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "ops/signal/fft.h"
#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Text = std::string;

TEST_CASE("dft: every facet agrees with the reference") {
  check_op(
      ops::kDft,
      {{.why = "a real row of even length", .in = {{3, 12}}},
       {.why = "an odd length", .in = {{2, 15}}},
       {.why = "one side", .in = {{20, 16}}, .attrs = {{"onesided", true}}},
       {.why = "padded, odd", .in = {{2, 5}}, .attrs = {{"length", int64_t{8}}}},
       {.why = "cut", .in = {{2, 9}}, .attrs = {{"length", int64_t{6}}, {"onesided", true}}},
       {.why = "pairs", .in = {{2, 3, 14, 2}}, .attrs = {{"complex", true}}},
       {.why = "backwards", .in = {{17, 10, 2}}, .attrs = {{"complex", true}, {"inverse", true}}},
       {.why = "backwards from real", .in = {{2, 6}}, .attrs = {{"inverse", true}}},
       {.why = "a prime above the radices", .in = {{2, 17}}, .attrs = {{"onesided", true}}},
       {.why = "all radices", .in = {{1, 2 * 3 * 5 * 7}}},
       {.why = "radices 11 and 13", .in = {{2, 143, 2}}, .attrs = {{"complex", true}}},
       {.why = "power", .in = {{2, 8}}, .attrs = {{"onesided", true}, {"output", Text("power")}}},
       // Away from 0, where |X| has no derivative: a large constant moves no other bin than 0.
       {.why = "magnitude",
        .in = {{2, 3}},
        .attrs = {{"onesided", true}, {"output", Text("magnitude")}},
        .range = 1,
        .low = 0.25},
       {.why = "lengths 1 and 2", .in = {{2, 1}}},
       {.why = "a pair", .in = {{2, 2}}, .attrs = {{"onesided", true}}},
       {.why = "no rows", .in = {{0, 8}}}});
}

// The operator's reference on tensors of any dtype.
std::vector<ir::Tensor> evaluate(const ir::OpDef& op, const std::vector<ir::Tensor>& inputs,
                                 const ir::Attrs& attrs) {
  ir::Graph graph;
  ir::Builder b(graph);
  std::vector<ir::ValueId> ids;
  for (const ir::Tensor& x : inputs) ids.push_back(b.constant(x));
  const std::vector<ir::ValueId> outputs = b.add_multi(op, ids, attrs);
  REQUIRE(b.ok());
  std::vector<ir::ConstTensorView> in(inputs.begin(), inputs.end());
  std::vector<ir::Tensor> results;
  for (const ir::ValueId id : outputs) results.emplace_back(graph.type(id));
  std::vector<ir::TensorView> out;
  for (ir::Tensor& y : results) out.emplace_back(y);
  ir::evaluate(op, in, out, graph.nodes[0].attrs);
  return results;
}

// The sum of the definition.
std::vector<double> slow(const std::vector<double>& re, const std::vector<double>& im) {
  const size_t n = re.size();
  std::vector<double> y(2 * n);
  for (size_t k = 0; k < n; ++k) {
    for (size_t i = 0; i < n; ++i) {
      const double angle =
          -2 * std::numbers::pi * static_cast<double>(k * i % n) / static_cast<double>(n);
      y[2 * k] += re[i] * std::cos(angle) - im[i] * std::sin(angle);
      y[2 * k + 1] += re[i] * std::sin(angle) + im[i] * std::cos(angle);
    }
  }
  return y;
}

TEST_CASE("dft: is the sum of its definition at every length") {
  for (int64_t n = 1; n <= 300; ++n) {
    CAPTURE(n);
    const auto x = random_tensor({n, 2}).cast(DType::kF64);
    std::vector<double> re, im;
    for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
      re.push_back(x.values<double>()[2 * i]);
      im.push_back(x.values<double>()[2 * i + 1]);
    }
    const auto expected = slow(re, im);
    const auto pairs = evaluate(ops::kDft, {x}, {{"complex", true}})[0];
    const auto back = evaluate(ops::kDft, {pairs}, {{"complex", true}, {"inverse", true}})[0];
    const auto real = evaluate(ops::kDft, {ir::Tensor::from<double>(re, Shape{n})}, {})[0];
    const auto expected_real = slow(re, std::vector<double>(re.size(), 0.0));
    double worst = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      worst = std::max(worst, std::abs(pairs.values<double>()[i] - expected[i]));
      worst = std::max(worst, std::abs(back.values<double>()[i] - x.values<double>()[i]));
      worst = std::max(worst, std::abs(real.values<double>()[i] - expected_real[i]));
    }
    CHECK(worst < 1e-12 * static_cast<double>(n));  // n terms of at most 1, in double
  }
}

TEST_CASE("dft: matches a golden computed by hand") {
  // x = (1, 2, 3, 4): X = (10, -2 + 2j, -2, -2 - 2j).
  const auto y = run(ops::kDft, {tensor({4}, {1, 2, 3, 4})});
  CHECK(all_near(y[0], {10, 0, -2, 2, -2, 0, -2, -2}));
  const auto power =
      run(ops::kDft, {tensor({4}, {1, 2, 3, 4})}, {{"onesided", true}, {"output", Text("power")}});
  CHECK(all_near(power[0], {100, 8, 4}));
}

TEST_CASE("dft: refuses what has no transform and says why") {
  CHECK_FALSE(infer_shapes(ops::kDft, {{4, 3}}, {{"complex", true}}).ok());
  CHECK_FALSE(infer_shapes(ops::kDft, {{4, 0}}).ok());
  CHECK_FALSE(infer_shapes(ops::kDft, {{4}}, {{"length", int64_t{1} << 40}}).ok());
  CHECK_FALSE(infer_shapes(ops::kDft, {{4}}, {{"output", Text("phase")}}).ok());
  CHECK_FALSE(infer_shapes(ops::kDft, {{4}}, {{"inverse", true}, {"onesided", true}}).ok());
}

}  // namespace
}  // namespace ew::testing
