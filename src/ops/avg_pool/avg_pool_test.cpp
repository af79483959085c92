#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Ints = std::vector<int64_t>;

TEST_CASE("avg_pool: every facet agrees with the reference") {
  check_op(
      ops::kAvgPool,
      {{.why = "2x2",
        .in = {{2, 6, 4, 3}},
        .attrs = {{"pool", Ints{2, 2}}, {"strides", Ints{2, 2}}}},
       {.why = "overlapping, same",
        .in = {{1, 7, 8, 9}},
        .attrs = {{"pool", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"padding", std::string("same")}}},
       {.why = "one dimension", .in = {{2, 5, 2}}, .attrs = {{"pool", Ints{3}}}},
       {.why = "three dimensions",
        .in = {{1, 4, 5, 3, 2}},
        .attrs = {{"pool", Ints{2, 2, 2}}, {"padding", std::string("same")}}}});
}

TEST_CASE("avg_pool: padding does not count") {
  const auto y = run(ops::kAvgPool, {tensor({1, 3, 1}, {2, 4, 6})},
                     {{"pool", Ints{2}}, {"padding", std::string("same")}});
  CHECK(all_near(y[0], {3, 5, 6}));
}

}  // namespace
}  // namespace ew::testing
