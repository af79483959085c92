#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

TEST_CASE("batch_norm: every facet agrees with the reference") {
  // The training form is what gradients are taken of, but for the frozen layer.
  check_op(ops::kBatchNorm,
           {{.why = "images", .in = {{2, 3, 3, 4}, {4}, {4}, {4}, {4}}, .range = 2, .low = 0.1},
            {.why = "features", .in = {{6, 5}, {5}, {5}, {5}, {5}}, .range = 2, .low = 0.1},
            {.why = "axis 1",
             .in = {{3, 2, 4}, {2}, {2}, {2}, {2}},
             .attrs = {{"axis", int64_t{1}}},
             .range = 2,
             .low = 0.1},
            {.why = "no gamma", .in = {{4, 3}, kAbsent, {3}, {3}, {3}}, .range = 2, .low = 0.1},
            {.why = "no beta", .in = {{4, 3}, {3}, kAbsent, {3}, {3}}, .range = 2, .low = 0.1},
            {.why = "frozen",
             .in = {{4, 3}, {3}, {3}, {3}, {3}},
             .attrs = {{"is_frozen", true}},
             .range = 2,
             .low = 0.1,
             .has_gradient = false}});
}

TEST_CASE("batch_norm: in training normalises by the batch and moves the averages") {
  // Mean 2, variance 1 (sample variance 4/3): y = x - 2; 0.9 of the old average, 0.1 of the new.
  const auto x = tensor({4, 1}, {1, 3, 1, 3});
  const auto zero = tensor({1}, {0});
  const auto one = tensor({1}, {1});
  const auto y = run(ops::kBatchNormTrain, {x, one, zero, tensor({1}, {10}), tensor({1}, {5})},
                     {{"epsilon", 0.0}, {"momentum", 0.9}});
  CHECK(all_near(y[0], {-1, 1, -1, 1}));
  CHECK(all_near(y[1], {9.2F}));
  CHECK(all_near(y[2], {4.6F}));
  const auto sample = run(ops::kBatchNormTrain, {x, one, zero, tensor({1}, {10}), tensor({1}, {5})},
                          {{"epsilon", 0.0}, {"momentum", 0.9}, {"sample_variance", true}});
  CHECK(all_near(sample[2], {4.5F + 0.4F / 3}));
}

TEST_CASE("batch_norm: rejects vectors of another length") {
  CHECK_FALSE(infer_shapes(ops::kBatchNorm, {{2, 3}, {3}, {3}, {4}, {3}}).ok());
  CHECK_FALSE(infer_shapes(ops::kBatchNorm, {{2, 3}, {3}, {3}, kAbsent, {3}}).ok());
  CHECK_FALSE(
      infer_shapes(ops::kBatchNorm, {{2, 3}, {3}, {3}, {3}, {3}}, {{"axis", int64_t{2}}}).ok());
}

}  // namespace
}  // namespace ew::testing
