#include <doctest/doctest.h>

#include <cmath>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Ints = std::vector<int64_t>;
using ir::Tensor;

Tensor step(int64_t value) { return Tensor::from(std::vector<int64_t>{value}, Shape{}); }

std::vector<float> noisy_ones(int64_t n, int64_t at, const ir::Attrs& attrs) {
  const Tensor ones = tensor({n}, std::vector<float>(static_cast<size_t>(n), 1.F));
  const Tensor y = run(ops::kNoise, {ones, step(at)}, attrs)[0];
  return {y.values<float>().begin(), y.values<float>().end()};
}

TEST_CASE("noise: every facet agrees with the reference") {
  for (const char* kind : {"keep", "multiply_normal", "add_normal"}) {
    check_op(ops::kNoise, {{.why = kind,
                            .in = {{4, 5}, {}},
                            .attrs = {{"kind", std::string(kind)}, {"drop", 0.3}, {"scale", 1.5}},
                            .given = {{1, step(3)}}}});
  }
}

TEST_CASE("noise: drops the asked share and keeps the mean") {
  // 40,000 draws: the share has a standard deviation of 0.0023.
  const auto y = noisy_ones(40000, 0, {{"drop", 0.3}, {"scale", 1 / 0.7}});
  double sum = 0;
  double zeros = 0;
  for (const float v : y) {
    sum += static_cast<double>(v);
    zeros += v == 0 ? 1 : 0;
  }
  CHECK(zeros / 40000 == doctest::Approx(0.3).epsilon(0.04));
  CHECK(sum / 40000 == doctest::Approx(1).epsilon(0.02));
}

TEST_CASE("noise: normal numbers have mean 0 and variance 1") {
  const auto y = noisy_ones(40000, 0, {{"kind", std::string("add_normal")}});
  double sum = 0;
  double squares = 0;
  for (const float v : y) {
    sum += static_cast<double>(v) - 1;
    squares += (static_cast<double>(v) - 1) * (static_cast<double>(v) - 1);
  }
  CHECK(std::abs(sum / 40000) < 0.02);
  CHECK(squares / 40000 == doctest::Approx(1).epsilon(0.03));
}

TEST_CASE("noise: depends on step, stream and seed, and on nothing else") {
  const ir::Attrs attrs{{"drop", 0.5}};
  const auto base = noisy_ones(64, 1, attrs);
  CHECK(base == noisy_ones(64, 1, attrs));
  CHECK(base != noisy_ones(64, 2, attrs));
  CHECK(base != noisy_ones(64, 1, {{"drop", 0.5}, {"stream", int64_t{1}}}));
  CHECK(base != noisy_ones(64, 1, {{"drop", 0.5}, {"seed", int64_t{1}}}));
  // Stream 1 at step 2 is not stream 2 at step 1.
  CHECK(noisy_ones(64, 2, {{"drop", 0.5}, {"stream", int64_t{1}}}) !=
        noisy_ones(64, 1, {{"drop", 0.5}, {"stream", int64_t{2}}}));
}

TEST_CASE("noise: a noise_shape of 1 shares one fate") {
  const Tensor ones = tensor({2, 16}, std::vector<float>(32, 1.F));
  const Tensor y =
      run(ops::kNoise, {ones, step(0)}, {{"drop", 0.5}, {"noise_shape", Ints{1, -1}}})[0];
  const auto v = y.values<float>();
  for (size_t i = 0; i < 16; ++i) CHECK(v[i] == v[i + 16]);
}

}  // namespace
}  // namespace ew::testing
