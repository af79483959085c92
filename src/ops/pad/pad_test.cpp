#include <doctest/doctest.h>

#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Ints = std::vector<int64_t>;

TEST_CASE("pad: every facet agrees with the reference") {
  check_op(ops::kPad, {{.why = "one side", .in = {{2, 3}}, .attrs = {{"pads", Ints{0, 1, 0, 0}}}},
                       {.why = "all sides, a value",
                        .in = {{2, 3, 2}},
                        .attrs = {{"pads", Ints{1, 0, 2, 0, 3, 1}}, {"value", -1.5}}},
                       {.why = "nothing", .in = {{2, 3}}, .attrs = {{"pads", Ints{0, 0, 0, 0}}}}});
}

TEST_CASE("pad: puts elements where they belong") {
  const auto y =
      run(ops::kPad, {tensor({2, 2}, {1, 2, 3, 4})}, {{"pads", Ints{1, 0, 0, 1}}, {"value", 9.0}});
  CHECK(y[0].shape() == Shape{3, 3});
  CHECK(all_near(y[0], {9, 9, 9, 1, 2, 9, 3, 4, 9}));
}

TEST_CASE("pad: rejects pads of the wrong count or sign") {
  CHECK_FALSE(infer_shapes(ops::kPad, {{2, 3}}, {{"pads", Ints{1, 1}}}).ok());
  CHECK_FALSE(infer_shapes(ops::kPad, {{2, 3}}, {{"pads", Ints{-1, 0, 0, 0}}}).ok());
  const Ints huge{int64_t{1} << 30, 0, int64_t{1} << 30, 0};
  CHECK_FALSE(infer_shapes(ops::kPad, {{2, 3}}, {{"pads", huge}}).ok());
}

TEST_CASE("pad: Keras' ways of writing borders") {
  const auto shape = [](const char* layer, const char* key, const Config& borders,
                        const Shape& in) {
    return run_layer(
               {.class_name = layer, .config = Config::Map{{key, borders}}, .x = random_tensor(in)})
        .shape();
  };
  const Config pair = Config::List{Config::ints({1, 2}), Config::ints({0, 3})};
  CHECK(shape("ZeroPadding1D", "padding", 2, {1, 4, 1}) == Shape{1, 8, 1});
  CHECK(shape("ZeroPadding1D", "padding", Config::ints({1, 2}), {1, 4, 1}) == Shape{1, 7, 1});
  CHECK(shape("ZeroPadding2D", "padding", 1, {1, 4, 5, 1}) == Shape{1, 6, 7, 1});
  CHECK(shape("ZeroPadding2D", "padding", Config::ints({1, 2}), {1, 4, 5, 1}) == Shape{1, 6, 9, 1});
  CHECK(shape("ZeroPadding2D", "padding", pair, {1, 4, 5, 1}) == Shape{1, 7, 8, 1});
  CHECK(shape("ZeroPadding3D", "padding", Config::ints({1, 0, 2}), {1, 2, 3, 4, 1}) ==
        Shape{1, 4, 3, 8, 1});
  CHECK(shape("Cropping1D", "cropping", Config::ints({1, 0}), {1, 4, 1}) == Shape{1, 3, 1});
  CHECK(shape("Cropping2D", "cropping", pair, {1, 4, 5, 1}) == Shape{1, 1, 2, 1});
  CHECK(shape("Cropping3D", "cropping", 1, {1, 3, 4, 5, 2}) == Shape{1, 1, 2, 3, 2});
}

TEST_CASE("pad: refuses borders that are none") {
  const auto message = [](const char* layer, const char* key, const Config& borders) {
    return refusal({.class_name = layer,
                    .config = Config::Map{{key, borders}},
                    .x = random_tensor({1, 4, 5, 1})});
  };
  CHECK(message("Cropping2D", "cropping", 2).find("leaves nothing of 4") != std::string::npos);
  CHECK_FALSE(message("ZeroPadding2D", "padding", -1).empty());
  CHECK_FALSE(message("ZeroPadding2D", "padding", "same").empty());
  CHECK_FALSE(message("ZeroPadding2D", "padding", Config::ints({1, 2, 3})).empty());
  CHECK_FALSE(message("ZeroPadding2D", "padding", Config()).empty());
}

TEST_CASE("pad: channels first is channels last transposed") {
  const auto x = random_tensor({2, 4, 5, 3});
  Config config = Config::Map{{"padding", Config::ints({1, 2})}, {"cropping", 1}};
  for (const char* layer : {"ZeroPadding2D", "Cropping2D"}) {
    config.set("data_format", "channels_last");
    const auto last = run_layer({.class_name = layer, .config = config, .x = x});
    config.set("data_format", "channels_first");
    const auto first = run_layer({.class_name = layer, .config = config, .x = channels_first(x)});
    const auto expected = channels_first(last);
    CHECK(first.shape() == expected.shape());
    const auto values = expected.values<float>();
    CHECK(all_near(first, {values.begin(), values.end()}));
  }
}

}  // namespace
}  // namespace ew::testing
