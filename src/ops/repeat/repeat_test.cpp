#include <doctest/doctest.h>

#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

TEST_CASE("repeat: every facet agrees with the reference") {
  check_op(ops::kRepeat,
           {{.why = "the last axis", .in = {{2, 3}}, .attrs = {{"repeats", int64_t{3}}}},
            {.why = "an axis in the middle",
             .in = {{2, 3, 4}},
             .attrs = {{"axis", int64_t{1}}, {"repeats", int64_t{2}}}}});
}

TEST_CASE("repeat: repeats elements, not the whole") {
  const auto y = run(ops::kRepeat, {tensor({2, 2}, {1, 2, 3, 4})},
                     {{"axis", int64_t{0}}, {"repeats", int64_t{2}}});
  CHECK(all_near(y[0], {1, 2, 1, 2, 3, 4, 3, 4}));
}

TEST_CASE("repeat: rejects counts below 1") {
  CHECK_FALSE(infer_shapes(ops::kRepeat, {{2, 2}}, {{"repeats", int64_t{0}}}).ok());
  CHECK_FALSE(refusal({.class_name = "UpSampling2D",
                       .config = Config::Map{{"size", Config::ints({2, -1})}},
                       .x = random_tensor({1, 2, 2, 1})})
                  .empty());
}

TEST_CASE("repeat: Keras' UpSampling in three dimensions and in channels-first layout") {
  CHECK(run_layer({.class_name = "UpSampling3D", .x = random_tensor({1, 2, 3, 2, 1})}).shape() ==
        Shape{1, 4, 6, 4, 1});
  const auto x = random_tensor({1, 2, 3, 2});
  for (const char* method : {"nearest", "bilinear"}) {
    Config config = Config::Map{{"interpolation", method}, {"size", Config::ints({2, 3})}};
    const auto last = run_layer({.class_name = "UpSampling2D", .config = config, .x = x});
    config.set("data_format", "channels_first");
    const auto first =
        run_layer({.class_name = "UpSampling2D", .config = config, .x = channels_first(x)});
    const auto back = channels_last(first);
    const auto values = last.values<float>();
    CHECK(all_near(back, {values.begin(), values.end()}));
  }
}

}  // namespace
}  // namespace ew::testing
