#include <doctest/doctest.h>

#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

TEST_CASE("softmax: every facet agrees with the reference") {
  check_op(ops::kSoftmax,
           {{.why = "default axis", .in = {{2, 10}}},
            {.why = "axis in the middle", .in = {{2, 3, 4}}, .attrs = {{"axis", int64_t{1}}}},
            {.why = "exp() would overflow", .in = {{7}}, .range = 200},
            {.why = "a single class", .in = {{3, 1}}}});
}

TEST_CASE("softmax: matches a golden computed by hand") {
  // exp(ln k) = k, so softmax(ln 1, ln 2, ln 5) = (1, 2, 5) / 8.
  const auto y = run(ops::kSoftmax, {tensor({3}, {0.F, 0.693147181F, 1.609437912F})});
  CHECK(all_near(y[0], {0.125F, 0.25F, 0.625F}));
}

TEST_CASE("softmax: adding a constant to the input changes nothing") {
  CHECK(all_near(run(ops::kSoftmax, {tensor({3}, {99, 100, 102})})[0],
                 {0.042010065F, 0.114195198F, 0.843794763F}));
  CHECK(all_near(run(ops::kSoftmax, {tensor({3}, {-1, 0, 2})})[0],
                 {0.042010065F, 0.114195198F, 0.843794763F}));
}

TEST_CASE("softmax: rejects an axis outside the rank and says which") {
  const auto y = infer_shapes(ops::kSoftmax, {{2, 3}}, {{"axis", int64_t{2}}});
  REQUIRE_FALSE(y.ok());
  CHECK(y.error().message.find("axis 2 out of range for rank 2") != std::string::npos);
}

TEST_CASE("softmax: the Keras layer takes several axes at once") {
  const auto x = random_tensor({2, 3, 4});
  const auto y = run_layer(
      {.class_name = "Softmax", .config = Config::Map{{"axis", Config::ints({1, 2})}}, .x = x});
  const auto flat = run(ops::kSoftmax, {x.reshaped({2, 12})})[0];
  const auto values = flat.values<float>();
  CHECK(all_near(y, {values.begin(), values.end()}));
}

}  // namespace
}  // namespace ew::testing
