#include <doctest/doctest.h>

#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

TEST_CASE("dense: every facet agrees with the reference") {
  check_op(ops::kDense, {{.why = "rank 2", .in = {{3, 5}, {5, 4}, {4}}},
                         {.why = "no bias", .in = {{3, 5}, {5, 4}}},
                         {.why = "rank 4", .in = {{2, 3, 2, 5}, {5, 1}, {1}}},
                         {.why = "a vector", .in = {{5}, {5, 4}, {4}}},
                         {.why = "wide", .in = {{17, 33}, {33, 65}, {65}}}});
}

TEST_CASE("dense: matches sums done by hand") {
  const auto y = run(ops::kDense,
                     {tensor({1, 2}, {1, 2}), tensor({2, 2}, {1, 2, 3, 4}), tensor({2}, {10, 20})});
  CHECK(all_near(y[0], {17, 30}));
}

TEST_CASE("dense: rejects a kernel or bias of another size and says which") {
  const auto y = infer_shapes(ops::kDense, {{2, 3}, {4, 5}});
  REQUIRE_FALSE(y.ok());
  CHECK(y.error().message.find("kernel has 4 inputs, x has 3 features") != std::string::npos);
  CHECK_FALSE(infer_shapes(ops::kDense, {{2, 3}, {3, 5}, {3}}).ok());
  CHECK_FALSE(refusal({.class_name = "Dense", .x = random_tensor({2, 3})}).empty());
}

}  // namespace
}  // namespace ew::testing
