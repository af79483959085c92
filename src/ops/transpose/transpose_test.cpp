#include <doctest/doctest.h>

#include <algorithm>

#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Ints = std::vector<int64_t>;

TEST_CASE("transpose: every facet agrees with the reference") {
  check_op(
      ops::kTranspose,
      {{.why = "a matrix", .in = {{3, 4}}, .attrs = {{"perm", Ints{1, 0}}}},
       {.why = "a cycle", .in = {{2, 3, 4}}, .attrs = {{"perm", Ints{2, 0, 1}}}},
       {.why = "longer than a tile", .in = {{2, 35, 3, 18}}, .attrs = {{"perm", Ints{0, 3, 2, 1}}}},
       {.why = "rows stay whole", .in = {{3, 5, 7}}, .attrs = {{"perm", Ints{1, 0, 2}}}},
       {.why = "NCHW to NHWC", .in = {{2, 3, 4, 5}}, .attrs = {{"perm", Ints{0, 2, 3, 1}}}}});
}

TEST_CASE("transpose: dimension d of the output is dimension perm[d] of the input") {
  const auto y =
      run(ops::kTranspose, {tensor({1, 2, 3}, {1, 2, 3, 4, 5, 6})}, {{"perm", Ints{2, 0, 1}}});
  CHECK(y[0].shape() == Shape{3, 1, 2});
  CHECK(all_near(y[0], {1, 4, 2, 5, 3, 6}));
}

TEST_CASE("transpose: every element comes from where perm says") {
  const Shape shape{3, 17, 2, 33};
  const ir::Tensor x = random_tensor(shape);
  Ints perm{0, 1, 2, 3};
  do {
    const auto y = run(ops::kTranspose, {x}, {{"perm", perm}});
    const Shape& to = y[0].shape();
    const std::vector<int64_t> from = strides_of(shape);
    const std::span<const float> found = y[0].values<float>();
    bool is_equal = true;
    size_t at = 0;
    for (int64_t a = 0; a < to[0]; ++a) {
      for (int64_t b = 0; b < to[1]; ++b) {
        for (int64_t c = 0; c < to[2]; ++c) {
          for (int64_t d = 0; d < to[3]; ++d) {
            const int64_t index[]{a, b, c, d};
            int64_t source = 0;
            for (size_t i = 0; i < 4; ++i) source += index[i] * from[static_cast<size_t>(perm[i])];
            is_equal &= found[at++] == x.values<float>()[static_cast<size_t>(source)];
          }
        }
      }
    }
    CHECK_MESSAGE(is_equal, "perm ", perm[0], perm[1], perm[2], perm[3]);
  } while (std::next_permutation(perm.begin(), perm.end()));
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
