#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

TEST_CASE("prelu: every facet agrees with the reference") {
  check_op(ops::kPrelu, {{.why = "per channel", .in = {{2, 3, 4}, {4}}},
                         {.why = "one slope", .in = {{2, 5}, {1}}}});
}

TEST_CASE("prelu: negative values take the slope of their channel") {
  const auto y = run(ops::kPrelu, {tensor({2, 2}, {1, -2, -4, 3}), tensor({2}, {0.5F, 0.25F})});
  CHECK(all_near(y[0], {1, -0.5F, -2, 3}));
}

}  // namespace
}  // namespace ew::testing
