#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

TEST_CASE("unary: every row agrees with its reference and its derivative with differences") {
  // Functions that are defined, or tame, for positive numbers only.
  const std::map<std::string, double> lowest{{"acosh", 1.2},      {"log", 0.2},   {"power", 0.2},
                                             {"reciprocal", 0.2}, {"rsqrt", 0.2}, {"sqrt", 0.2}};
  // Functions that are defined, or tame, around 0 only.
  const std::map<std::string, double> highest{
      {"acos", 0.9}, {"asin", 0.9}, {"atanh", 0.9}, {"tan", 1.2}};
  const auto check = [&](const ir::OpDef& op) {
    const auto low = lowest.find(op.name);
    const auto high = highest.find(op.name);
    const double range = high == highest.end() ? 3 : high->second;
    check_op(op, {{.why = "drawn",
                   .in = {{3, 7}},
                   .range = range,
                   .low = low == lowest.end() ? -range : low->second},
                  {.why = "a scalar",
                   .in = {{}},
                   .range = std::min(range, 2.0),
                   .low = low == lowest.end() ? 0.5 : std::max(low->second, 0.5)}});
  };
#define EW_UNARY(name, Name, ...) check(ops::k##Name);
#include "ops/unary/unary.def"
#undef EW_UNARY
}

TEST_CASE("unary: attributes reach the functions") {
  const auto y = [](const ir::OpDef& op, std::vector<float> x, const ir::Attrs& attrs) {
    const auto n = static_cast<int64_t>(x.size());
    return run(op, {tensor({n}, x)}, attrs)[0];
  };
  CHECK(all_near(y(ops::kClip, {-3, 0, 3}, {{"alpha", -1.0}, {"beta", 2.0}}), {-1, 0, 2}));
  CHECK(all_near(y(ops::kLeakyRelu, {-2, 2}, {{"alpha", 0.1}}), {-0.2F, 2}));
  CHECK(all_near(y(ops::kPower, {2, 3}, {{"alpha", 3.0}}), {8, 27}));
  CHECK(all_near(y(ops::kSquareplus, {0, 1.5F}, {{"alpha", 4.0}}), {1, 2}));
  // Keras' ReLU(max_value=2, negative_slope=0.1, threshold=0.5); at the threshold itself it is 0.
  const ir::Attrs general{{"alpha", 2.0}, {"beta", 0.1}, {"gamma", 0.5}};
  CHECK(all_near(y(ops::kReluGeneral, {-0.5F, 0.5F, 1, 3}, general), {-0.1F, 0, 1, 2}));
}

TEST_CASE("unary: extreme arguments stay finite") {
  const auto x = tensor({2}, {-200, 200});
  CHECK(all_near(run(ops::kSigmoid, {x})[0], {0, 1}));
  CHECK(all_near(run(ops::kSoftplus, {x})[0], {0, 200}));
  CHECK(all_near(run(ops::kLogSigmoid, {x})[0], {-200, 0}));
  CHECK(all_near(run(ops::kGelu, {x})[0], {0, 200}));
  CHECK(all_near(run(ops::kMish, {x})[0], {0, 200}));
}

TEST_CASE("unary: hard_sigmoid and leaky_relu follow the generation and their defaults") {
  const auto x = tensor({1, 3}, {-1, 0.6F, 5});
  const auto run_activation = [&](const char* name, ir::KerasGeneration generation) {
    return run_layer({.class_name = "Activation",
                      .config = Config::Map{{"activation", name}},
                      .x = x,
                      .generation = generation});
  };
  CHECK(all_near(run_activation("hard_sigmoid", ir::KerasGeneration::kKeras2), {0.3F, 0.62F, 1}));
  CHECK(all_near(run_activation("hard_sigmoid", ir::KerasGeneration::kKeras3), {1.F / 3, 0.6F, 1}));
  CHECK(all_near(run_activation("leaky_relu", ir::KerasGeneration::kKeras3), {-0.2F, 0.6F, 5}));
  CHECK(all_near(run_activation("sparse_sigmoid", ir::KerasGeneration::kKeras3), {0, 0.8F, 1}));
}

}  // namespace
}  // namespace ew::testing
