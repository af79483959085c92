#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Ints = std::vector<int64_t>;

TEST_CASE("depthwise_conv: every facet agrees with the reference") {
  check_op(
      ops::kDepthwiseConv,
      {{.why = "valid", .in = {{2, 6, 5, 3}, {3, 3, 3, 1}, {3}}},
       {.why = "same, stride 2, two filters a channel",
        .in = {{1, 7, 6, 4}, {3, 2, 4, 2}, {8}},
        .attrs = {{"padding", std::string("same")}, {"strides", Ints{2, 2}}}},
       {.why = "dilated", .in = {{1, 7, 7, 9}, {3, 3, 9, 1}}, .attrs = {{"dilations", Ints{2, 2}}}},
       {.why = "one dimension", .in = {{2, 8, 3}, {3, 3, 2}}}});
}

TEST_CASE("depthwise_conv: is conv with a group per channel") {
  const auto x = tensor({1, 2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  const std::vector<float> w{1, -1, 2, 0.5F, 3, 0, 1, 1};
  const auto depthwise = run(ops::kDepthwiseConv, {x, tensor({2, 1, 2, 2}, w)});
  const auto grouped = run(ops::kConv, {x, tensor({2, 1, 1, 4}, w)}, {{"groups", int64_t{2}}});
  const auto values = grouped[0].values<float>();
  CHECK(all_near(depthwise[0], {values.begin(), values.end()}));
}

TEST_CASE("depthwise_conv: rejects a kernel for other channels") {
  CHECK_FALSE(infer_shapes(ops::kDepthwiseConv, {{1, 5, 5, 4}, {3, 3, 3, 1}}).ok());
  CHECK_FALSE(infer_shapes(ops::kDepthwiseConv, {{1, 5, 5, 3}, {3, 3, 3, 2}, {3}}).ok());
}

}  // namespace
}  // namespace ew::testing
