#include <doctest/doctest.h>

#include <limits>

#include "testing/op_check.h"

namespace ew::testing {

using ir::Tensor;

TEST_CASE("top_k: gives the largest in order, of equals the lower place first") {
  const Tensor x = tensor({2, 4}, {1, 3, 3, 2, 9, 7, 8, 6});
  const auto y = run(ops::kTopK, {x}, {{"k", int64_t{3}}});
  CHECK(all_near(y[0], {3, 3, 2, 9, 8, 7}));
  CHECK(all_near(y[1], {1, 2, 3, 0, 2, 1}));
}

TEST_CASE("top_k: smallest, along another axis") {
  const auto y = run(ops::kTopK, {tensor({3, 2}, {5, 1, 4, 2, 6, 0})},
                     {{"k", int64_t{2}}, {"axis", int64_t{0}}, {"smallest", true}});
  CHECK(all_near(y[0], {4, 0, 5, 1}));
  CHECK(all_near(y[1], {1, 2, 0, 0}));
}

TEST_CASE("top_k: NaN counts as the largest") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto y = run(ops::kTopK, {tensor({3}, {1, nan, 2})}, {{"k", int64_t{3}}});
  CHECK(all_near(y[1], {1, 2, 0}));
}

TEST_CASE("top_k: rejects more elements than there are") {
  CHECK(infer_shapes(ops::kTopK, {{2, 3}}, {{"k", int64_t{4}}}).error().message ==
        "top_k: cannot take 4 elements of axis 1 of (2, 3)");
}

}  // namespace ew::testing
