// reduce_sum, reduce_mean and reduce_max.
#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Ints = std::vector<int64_t>;

TEST_CASE("reduce: every facet agrees with the reference") {
  for (const ir::OpDef* op : {&ops::kReduceSum, &ops::kReduceMean, &ops::kReduceMax}) {
    check_op(*op, {{.why = "everything", .in = {{3, 4}}},
                   {.why = "the last axis", .in = {{3, 4}}, .attrs = {{"axes", Ints{-1}}}},
                   {.why = "axes in the middle, kept",
                    .in = {{2, 3, 4, 5}},
                    .attrs = {{"axes", Ints{1, 2}}, {"keepdims", true}}},
                   {.why = "the batch", .in = {{4, 3, 2}}, .attrs = {{"axes", Ints{0}}}},
                   {.why = "a scalar", .in = {{}}}});
  }
}

TEST_CASE("reduce: matches values done by hand") {
  const auto x = tensor({2, 3}, {1, 2, 3, 4, 5, 9});
  const ir::Attrs rows{{"axes", Ints{1}}};
  CHECK(all_near(run(ops::kReduceSum, {x}, rows)[0], {6, 18}));
  CHECK(all_near(run(ops::kReduceMean, {x}, rows)[0], {2, 6}));
  CHECK(all_near(run(ops::kReduceMax, {x}, rows)[0], {3, 9}));
}

TEST_CASE("reduce: keeps open dimensions open and rejects axes outside the rank") {
  const auto y =
      infer_shapes(ops::kReduceSum, {{kUnknown, 3, 4}}, {{"axes", Ints{1}}, {"keepdims", true}});
  REQUIRE(y.ok());
  CHECK((*y)[0] == Shape{kUnknown, 1, 4});
  CHECK_FALSE(infer_shapes(ops::kReduceSum, {{2, 3}}, {{"axes", Ints{2}}}).ok());
}

}  // namespace
}  // namespace ew::testing
