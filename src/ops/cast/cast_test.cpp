#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

using ir::Tensor;

TEST_CASE("cast: saturates and rounds on the way to integers") {
  const auto y =
      run(ops::kCast, {tensor({4}, {-1.6F, 2.5F, 300, 3.5F})}, {{"to", std::string("uint8")}});
  CHECK(y[0].dtype() == DType::kU8);
  CHECK(all_near(y[0], {0, 2, 255, 4}, 1));
}

TEST_CASE("cast: to float16 and back keeps 11 bits") {
  const auto half =
      run(ops::kCast, {tensor({2}, {1.0009765625F, 2049})}, {{"to", std::string("float16")}});
  CHECK(all_near(half[0], {1.0009765625F, 2048}, 0));
}

TEST_CASE("cast: every facet agrees with the reference") {
  check_op(ops::kCast,
           {{.why = "to float64", .in = {{3, 4}}, .attrs = {{"to", std::string("float64")}}},
            {.why = "to float32, which rounds differences away",
             .in = {{3, 4}},
             .has_gradient = false}});
}

TEST_CASE("cast: rejects what is no dtype") {
  CHECK_FALSE(infer_shapes(ops::kCast, {{2}}, {{"to", std::string("complex64")}}).ok());
}

}  // namespace
}  // namespace ew::testing
