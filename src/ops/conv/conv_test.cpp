#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Ints = std::vector<int64_t>;

TEST_CASE("conv: every facet agrees with the reference") {
  check_op(
      ops::kConv,
      {{.why = "one dimension", .in = {{2, 7, 3}, {3, 3, 4}, {4}}},
       {.why = "same, no bias",
        .in = {{2, 6, 5, 3}, {3, 3, 3, 4}},
        .attrs = {{"padding", std::string("same")}}},
       {.why = "same, stride 2, even kernel",
        .in = {{1, 7, 8, 2}, {4, 2, 2, 3}, {3}},
        .attrs = {{"padding", std::string("same")}, {"strides", Ints{2, 3}}}},
       {.why = "dilated", .in = {{1, 9, 7, 2}, {3, 3, 2, 2}}, .attrs = {{"dilations", Ints{2, 3}}}},
       {.why = "groups",
        .in = {{2, 5, 5, 6}, {3, 3, 2, 9}, {9}},
        .attrs = {{"groups", int64_t{3}}, {"padding", std::string("same")}}},
       {.why = "uneven explicit pads",
        .in = {{1, 4, 5, 2}, {3, 2, 2, 2}},
        .attrs = {{"padding", std::string("explicit")}, {"pads", Ints{2, 0, 1, 3}}}},
       {.why = "stride above the kernel",
        .in = {{1, 9, 9, 2}, {1, 2, 2, 3}},
        .attrs = {{"strides", Ints{3, 4}}}},
       {.why = "three dimensions",
        .in = {{1, 4, 5, 4, 2}, {2, 3, 2, 2, 3}, {3}},
        .attrs = {{"padding", std::string("same")}, {"strides", Ints{1, 2, 1}}}},
       {.why = "1x1", .in = {{2, 4, 4, 8}, {1, 1, 8, 5}, {5}}}});
}

TEST_CASE("conv: matches sums done by hand") {
  // [1 2 3 4] with kernel [1 10]: x[i] + 10 x[i + 1].
  const auto y = run(ops::kConv, {tensor({1, 4, 1}, {1, 2, 3, 4}), tensor({2, 1, 1}, {1, 10})});
  CHECK(all_near(y[0], {21, 32, 43}));
  // The odd element of "same" padding goes to the end, so the last tap reads 0.
  const auto same = run(ops::kConv, {tensor({1, 4, 1}, {1, 2, 3, 4}), tensor({2, 1, 1}, {1, 10})},
                        {{"padding", std::string("same")}});
  CHECK(all_near(same[0], {21, 32, 43, 4}));
}

TEST_CASE("conv: keeps open dimensions open") {
  const auto y = infer_shapes(ops::kConv, {{kUnknown, kUnknown, 8, 3}, {3, 3, 3, 4}});
  REQUIRE(y.ok());
  CHECK((*y)[0] == Shape{kUnknown, kUnknown, 6, 4});
}

TEST_CASE("conv: rejects shapes that do not fit and says which") {
  const auto channels = infer_shapes(ops::kConv, {{1, 8, 8, 3}, {3, 3, 4, 2}});
  REQUIRE_FALSE(channels.ok());
  CHECK(channels.error().message.find("kernel has 4 input channels") != std::string::npos);
  const auto window = infer_shapes(ops::kConv, {{1, 2, 8, 3}, {3, 3, 3, 2}});
  REQUIRE_FALSE(window.ok());
  CHECK(window.error().message.find("window of 3 does not fit the input of 2") !=
        std::string::npos);
  CHECK_FALSE(infer_shapes(ops::kConv, {{1, 8, 8, 3}, {3, 3, 3, 2}, {3}}).ok());
  CHECK_FALSE(
      infer_shapes(ops::kConv, {{1, 8, 8, 3}, {3, 3, 3, 2}}, {{"strides", Ints{0, 1}}}).ok());
  CHECK_FALSE(
      infer_shapes(ops::kConv, {{1, 8, 8, 3}, {3, 3, 3, 2}}, {{"groups", int64_t{0}}}).ok());
}

}  // namespace
}  // namespace ew::testing
