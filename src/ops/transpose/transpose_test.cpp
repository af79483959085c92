#include <doctest/doctest.h>

#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Ints = std::vector<int64_t>;

TEST_CASE("transpose: every facet agrees with the reference") {
  check_op(ops::kTranspose,
           {{.why = "a matrix", .in = {{3, 4}}, .attrs = {{"perm", Ints{1, 0}}}},
            {.why = "a cycle", .in = {{2, 3, 4}}, .attrs = {{"perm", Ints{2, 0, 1}}}},
            {.why = "NCHW to NHWC", .in = {{2, 3, 4, 5}}, .attrs = {{"perm", Ints{0, 2, 3, 1}}}}});
}

TEST_CASE("transpose: dimension d of the output is dimension perm[d] of the input") {
  const auto y =
      run(ops::kTranspose, {tensor({1, 2, 3}, {1, 2, 3, 4, 5, 6})}, {{"perm", Ints{2, 0, 1}}});
  CHECK(y[0].shape() == Shape{3, 1, 2});
  CHECK(all_near(y[0], {1, 4, 2, 5, 3, 6}));
}

TEST_CASE("transpose: rejects what is no permutation") {
  CHECK_FALSE(infer_shapes(ops::kTranspose, {{2, 3}}, {{"perm", Ints{0, 0}}}).ok());
  CHECK_FALSE(infer_shapes(ops::kTranspose, {{2, 3}}, {{"perm", Ints{0}}}).ok());
  CHECK_FALSE(refusal({.class_name = "Permute",
                       .config = Config::Map{{"dims", Config::ints({2, 2})}},
                       .x = random_tensor({2, 3, 4})})
                  .empty());
}

}  // namespace
}  // namespace ew::testing
