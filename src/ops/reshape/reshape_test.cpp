#include <doctest/doctest.h>

#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Ints = std::vector<int64_t>;

TEST_CASE("reshape: every facet agrees with the reference") {
  check_op(ops::kReshape,
           {{.why = "given", .in = {{2, 6}}, .attrs = {{"shape", Ints{3, 4}}}},
            {.why = "copied and inferred", .in = {{2, 3, 4}}, .attrs = {{"shape", Ints{0, -1}}}}});
}

TEST_CASE("reshape: infers through an open batch") {
  const auto shape = [](const Shape& in, Ints to) {
    const auto y = infer_shapes(ops::kReshape, {in}, {{"shape", std::move(to)}});
    return y.ok() ? (*y)[0] : Shape{-9};
  };
  CHECK(shape({kUnknown, 3, 4}, {0, -1}) == Shape{kUnknown, 12});
  CHECK(shape({kUnknown, kUnknown, 4}, {0, -1, 2}) == Shape{kUnknown, kUnknown, 2});
  CHECK(shape({2, 3}, {4, -1}) == Shape{-9});
  CHECK(shape({2, 3}, {-1, -1}) == Shape{-9});
  CHECK(shape({2, 3}, {0, 0, 0}) == Shape{-9});
}

TEST_CASE("reshape: Keras' Flatten orders channels-first images as channels-last ones") {
  const auto x = random_tensor({2, 3, 4, 5});
  const auto values = x.values<float>();
  CHECK(all_near(run_layer({.class_name = "Flatten",
                            .config = Config::Map{{"data_format", "channels_first"}},
                            .x = channels_first(x)}),
                 {values.begin(), values.end()}, 0));
}

TEST_CASE("reshape: refuses a target that is none") {
  const auto message = [](Config target) {
    return refusal({.class_name = "Reshape",
                    .config = Config::Map{{"target_shape", std::move(target)}},
                    .x = random_tensor({2, 6})});
  };
  CHECK_FALSE(message(Config::ints({4, -2})).empty());
  CHECK_FALSE(message(Config::ints({0, 6})).empty());
  CHECK_FALSE(message(Config::ints({-1, 4})).empty());
}

}  // namespace
}  // namespace ew::testing
