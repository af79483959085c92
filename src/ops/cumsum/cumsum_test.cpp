#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {

using ir::Tensor;

TEST_CASE("cumsum: every facet agrees with the reference") {
  check_op(ops::kCumsum, {{.why = "middle axis",
                           .in = {{2, 3, 2}},
                           .attrs = {{"axis", int64_t{1}}},
                           .has_gradient = false}});
}

TEST_CASE("cumsum: exclusive sums leave the element out, reverse ones start at the end") {
  const Tensor x = tensor({3}, {1, 2, 4});
  CHECK(all_near(run(ops::kCumsum, {x})[0], {1, 3, 7}));
  CHECK(all_near(run(ops::kCumsum, {x}, {{"exclusive", true}})[0], {0, 1, 3}));
  CHECK(all_near(run(ops::kCumsum, {x}, {{"reverse", true}})[0], {7, 6, 4}));
  CHECK(all_near(run(ops::kCumsum, {x}, {{"reverse", true}, {"exclusive", true}})[0], {6, 4, 0}));
}

TEST_CASE("cumsum: rejects an axis outside the rank") {
  CHECK_FALSE(infer_shapes(ops::kCumsum, {{2}}, {{"axis", int64_t{1}}}).ok());
}

}  // namespace ew::testing
