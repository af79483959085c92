#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

ir::Tensor flags(std::vector<float> values, Shape shape) {
  return ir::Tensor::from(values, std::move(shape)).cast(DType::kBool);
}

}  // namespace

TEST_CASE("where: every facet agrees with the reference") {
  check_op(ops::kWhere, {{.why = "one shape",
                          .in = {{2, 2}, {2, 2}, {2, 2}},
                          .given = {{0, flags({1, 0, 0, 1}, {2, 2})}}},
                         {.why = "all three broadcast",
                          .in = {{2, 1}, {3}, {}},
                          .given = {{0, flags({1, 0}, {2, 1})}}}});
}

TEST_CASE("where: takes x where the condition holds") {
  const auto y =
      run(ops::kWhere, {flags({1, 0, 1}, {3}), tensor({3}, {1, 2, 3}), tensor({}, {-1})});
  CHECK(all_near(y[0], {1, -1, 3}));
}

TEST_CASE("where: rejects a condition that is not bool") {
  const auto y = infer_shapes(ops::kWhere, {{2}, {2}, {2}});
  REQUIRE_FALSE(y.ok());
  CHECK(y.error().message == "where: expected a condition of type bool, found float32");
}

}  // namespace ew::testing
