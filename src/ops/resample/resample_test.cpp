#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {

using ir::Tensor;

namespace {

const Tensor kIds = Tensor::from(std::vector<int64_t>{0, 1, 1, 2, 2, 9}, Shape{3, 2});
const Tensor kWeights = Tensor::from(std::vector<double>{0.5, 0.5, 0.25, 0.75, 1, 1}, Shape{3, 2});

}  // namespace

TEST_CASE("resample: sums weighted elements; ids outside add nothing") {
  // (1 + 2) / 2, 2 / 4 + 3 * 4 / 4 ... by hand: 1.5, 0.5 + 3, 4
  const auto y = run(ops::kResample, {tensor({3}, {1, 2, 4}), kIds, kWeights});
  CHECK(all_near(y[0], {1.5F, 3.5F, 4}));
}

TEST_CASE("resample: works along any axis") {
  const auto y = run(ops::kResample, {tensor({3, 2}, {1, 10, 2, 20, 4, 40}), kIds, kWeights},
                     {{"axis", int64_t{0}}});
  CHECK(all_near(y[0], {1.5F, 15, 3.5F, 35, 4, 40}));
}

TEST_CASE("resample: rejects tables of different shapes") {
  CHECK_FALSE(infer_shapes(ops::kResample, {{3}, {3, 2}, {3, 1}}).ok());
}

}  // namespace ew::testing
