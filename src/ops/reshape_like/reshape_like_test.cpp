#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {

TEST_CASE("reshape_like: every facet agrees with the reference") {
  check_op(ops::kReshapeLike, {{.why = "batch and time", .in = {{6, 4}, {2, 3, 5}}},
                               {.why = "three leading dimensions",
                                .in = {{12}, {2, 3, 2, 7}},
                                .attrs = {{"leading", int64_t{3}}}}});
}

TEST_CASE("reshape_like: open dimensions come from the other tensor") {
  const auto y = infer_shapes(ops::kReshapeLike, {{kUnknown, 4}, {kUnknown, kUnknown, 5}});
  REQUIRE(y.ok());
  CHECK((*y)[0] == Shape{kUnknown, kUnknown, 4});
}

TEST_CASE("reshape_like: rejects a first dimension that is not the product") {
  const auto y = infer_shapes(ops::kReshapeLike, {{7, 4}, {2, 3, 5}});
  REQUIRE_FALSE(y.ok());
  CHECK(y.error().message ==
        "reshape_like: cannot split the first dimension of (7, 4) into (2, 3)");
  CHECK_FALSE(infer_shapes(ops::kReshapeLike, {{6}, {6}}).ok());
}

}  // namespace ew::testing
