#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {

using ir::Tensor;

TEST_CASE("arg_max: finds the place along the axis; of equals the first, or the last") {
  const Tensor x = tensor({2, 3}, {1, 5, 5, 4, 0, 0});
  const auto of = [&](ir::Attrs attrs) {
    const Tensor y = run(ops::kArgMax, {x}, attrs)[0];
    return std::vector<int64_t>(y.values<int64_t>().begin(), y.values<int64_t>().end());
  };
  CHECK(of({{"axis", int64_t{1}}}) == std::vector<int64_t>{1, 0});
  CHECK(of({{"axis", int64_t{-1}}, {"last", true}}) == std::vector<int64_t>{2, 0});
  CHECK(of({{"axis", int64_t{1}}, {"smallest", true}}) == std::vector<int64_t>{0, 1});
  CHECK(of({{"axis", int64_t{0}}}) == std::vector<int64_t>{1, 0, 0});
}

TEST_CASE("arg_max: keeps the axis as 1 and rejects an empty one") {
  CHECK(infer_shapes(ops::kArgMax, {{2, 3}}, {{"axis", int64_t{1}}}).value()[0] == Shape{2, 1});
  CHECK_FALSE(infer_shapes(ops::kArgMax, {{2, 0}}, {{"axis", int64_t{1}}}).ok());
}

}  // namespace ew::testing
