// Regularizers and constraints.
#include <doctest/doctest.h>

#include <cmath>

#include "train/call.h"
#include "train/constraint.h"
#include "train/fixture_testing.h"
#include "train/keras_object.h"
#include "train/regularizer.h"

namespace ew::train {
namespace {

using Values = std::vector<float>;

std::unique_ptr<Regularizer> regularizer_of(const char* call) {
  return make_regularizer(parse_call(call).value()).value();
}

Values constrained(const char* call, Values value, const Shape& shape) {
  const auto constraint = make_constraint(parse_call(call).value()).value();
  constraint->check(shape).value();
  constraint->apply(value.data(), shape);
  return value;
}

void check_near(const Values& got, const Values& expected) {
  CHECK(worst_ratio(got, expected, 1e-6, 1e-6) <= 1);
}

}  // namespace

TEST_CASE("regularizer: values computed by hand") {
  const Values w = {1, -2, 3};
  CHECK(regularizer_of("L1(0.5)")->evaluate(w.data(), {3}, nullptr) == doctest::Approx(3));
  CHECK(regularizer_of("L2(0.5)")->evaluate(w.data(), {3}, nullptr) == doctest::Approx(7));
  CHECK(regularizer_of("L1L2(0.5, 0.5)")->evaluate(w.data(), {3}, nullptr) == doctest::Approx(10));
  CHECK(regularizer_of("l2")->evaluate(w.data(), {3}, nullptr) == doctest::Approx(0.14));
  Values gradient = {1, 1, 1};
  regularizer_of("L1L2(0.5, 0.25)")->evaluate(w.data(), {3}, gradient.data());
  check_near(gradient, {1 + 0.5f + 0.5f, 1 - 0.5f - 1.0f, 1 + 0.5f + 1.5f});
  CHECK(make_regularizer(Config()).value() == nullptr);
}

TEST_CASE("regularizer: orthogonal rows cost nothing, parallel ones the factor") {
  const Values orthogonal = {1, 0, 0, 2};
  const Values parallel = {1, 1, 3, 3};
  const auto rows = regularizer_of("OrthogonalRegularizer(0.1)");
  CHECK(rows->evaluate(orthogonal.data(), {2, 2}, nullptr) == doctest::Approx(0));
  CHECK(rows->evaluate(parallel.data(), {2, 2}, nullptr) == doctest::Approx(0.1));
  CHECK_FALSE(rows->check({2, 2, 2}).ok());
}

TEST_CASE("regularizer: the orthogonal gradient agrees with finite differences") {
  for (const char* mode : {"rows", "columns"}) {
    const auto regularizer =
        regularizer_of((std::string("OrthogonalRegularizer(0.5, '") + mode + "')").c_str());
    Values w = {0.5f, -1, 2, 0.25f, 1.5f, -0.75f};
    const Shape shape{2, 3};
    Values gradient(6, 0.0f);
    regularizer->evaluate(w.data(), shape, gradient.data());
    for (size_t i = 0; i < w.size(); ++i) {
      const float old = w[i];
      w[i] = old + 1e-3f;
      const double up = regularizer->evaluate(w.data(), shape, nullptr);
      w[i] = old - 1e-3f;
      const double down = regularizer->evaluate(w.data(), shape, nullptr);
      w[i] = old;
      CHECK(is_near(static_cast<double>(gradient[i]), (up - down) / 2e-3, 1e-2, 1e-3));
    }
  }
}

TEST_CASE("constraint: norms along an axis") {
  // Columns (3, 4) with norm 5 and (0.3, 0.4) with norm 0.5.
  const Values w = {3, 0.3f, 4, 0.4f};
  check_near(constrained("MaxNorm(1)", w, {2, 2}), {0.6f, 0.3f, 0.8f, 0.4f});
  check_near(constrained("UnitNorm()", w, {2, 2}), {0.6f, 0.6f, 0.8f, 0.8f});
  check_near(constrained("MinMaxNorm(1, 2)", w, {2, 2}), {1.2f, 0.6f, 1.6f, 0.8f});
  // Half way: 5 -> 0.5 * 2 + 0.5 * 5 = 3.5.
  check_near(constrained("MinMaxNorm(0, 2, 0.5)", w, {2, 2}), {2.1f, 0.3f, 2.8f, 0.4f});
  check_near(constrained("MaxNorm(1, axis=-1)", {3, 4, 0.3f, 0.4f}, {2, 2}),
             {0.6f, 0.8f, 0.3f, 0.4f});
  // A 3x1x1x2 kernel with the norm over its window and inputs: one norm per output.
  check_near(constrained("UnitNorm(axis=[0, 1, 2])", {1, 3, 2, 0, 2, 4}, {3, 1, 1, 2}),
             {1 / 3.f, 0.6f, 2 / 3.f, 0, 2 / 3.f, 0.8f});
}

TEST_CASE("constraint: NonNeg and no constraint") {
  CHECK(constrained("NonNeg()", {-1, 2}, {2}) == Values{0, 2});
  CHECK(make_constraint(Config()).value() == nullptr);
}

TEST_CASE("weight rules: errors name what is wrong") {
  CHECK(make_regularizer(Config("l3")).error().message.find("regularizer: unknown name 'l3'") == 0);
  CHECK(make_regularizer(parse_call("L1(-1)").value()).error().message.find("l1 must be in [0") ==
        0);
  CHECK(make_constraint(Config("max_nrm")).error().message ==
        "constraint: unknown name 'max_nrm', did you mean 'MaxNorm'?");
  const auto constraint = make_constraint(parse_call("UnitNorm(axis=2)").value()).value();
  CHECK(constraint->check({2, 2}).error().message == "axis 2 out of range for rank 2");
}

}  // namespace ew::train
