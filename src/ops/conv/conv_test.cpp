#include <doctest/doctest.h>

#include "testing/keras_layer.h"
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

void check_layouts_agree(const char* layer, Config config, const Shape& shape) {
  INFO(layer);
  const auto x = random_tensor(shape);
  config.set("data_format", "channels_last");
  const auto last = run_layer({.class_name = layer, .config = config, .x = x});
  config.set("data_format", "channels_first");
  const auto first = run_layer({.class_name = layer, .config = config, .x = channels_first(x)});
  const auto back = channels_last(first);
  CHECK(back.shape() == last.shape());
  const auto values = last.values<float>();
  CHECK(all_near(back, {values.begin(), values.end()}));
}

TEST_CASE("conv: Keras layers compute the same in either data format") {
  const Config conv = Config::Map{
      {"filters", 4}, {"kernel_size", 3}, {"strides", 2}, {"padding", "same"}, {"use_bias", true}};
  check_layouts_agree("Conv1D", conv, {2, 7, 3});
  check_layouts_agree("Conv2D", conv, {2, 7, 6, 3});
  check_layouts_agree("Conv3D", conv, {1, 4, 5, 3, 2});
  check_layouts_agree("Conv1DTranspose", conv, {2, 4, 3});
  check_layouts_agree("Conv2DTranspose", conv, {2, 4, 3, 3});
  check_layouts_agree("Conv3DTranspose", conv, {1, 2, 3, 2, 2});
  check_layouts_agree("DepthwiseConv1D", conv, {2, 7, 3});
  check_layouts_agree("DepthwiseConv2D", conv, {2, 7, 6, 3});
  check_layouts_agree("SeparableConv1D", conv, {2, 7, 3});
  check_layouts_agree("SeparableConv2D", conv, {2, 7, 6, 3});
}

TEST_CASE("conv: a causal layer never looks ahead") {
  // Kernel [1 1], dilation 2: y[t] = x[t - 2] + x[t].
  const auto y = run_layer({.class_name = "Conv1D",
                            .config = Config::Map{{"filters", 1},
                                                  {"kernel_size", 2},
                                                  {"dilation_rate", 2},
                                                  {"padding", "causal"},
                                                  {"use_bias", false}},
                            .x = tensor({1, 4, 1}, {1, 2, 3, 4}),
                            .weights = {{"kernel", tensor({2, 1, 1}, {1, 1})}}});
  CHECK(all_near(y, {1, 2, 4, 6}));
}

TEST_CASE("conv: refuses configurations that are none, and says why") {
  const auto message = [](Config config) {
    return refusal(
        {.class_name = "Conv2D", .config = std::move(config), .x = random_tensor({1, 6, 6, 4})});
  };
  const auto says = [&](Config config, const char* text) {
    const std::string found = message(std::move(config));
    INFO(found);
    return found.find(text) != std::string::npos;
  };
  CHECK(says(Config::Map{{"kernel_size", 3}}, "filters: expected at least 1, found 0"));
  CHECK(says(Config::Map{{"filters", 4}}, "kernel_size: expected 2 positive integers"));
  CHECK(says(Config::Map{{"filters", 4}, {"kernel_size", Config::ints({3, 0})}}, "kernel_size"));
  CHECK(says(Config::Map{{"filters", 4}, {"kernel_size", 7}}, "window of 7 does not fit"));
  CHECK(says(Config::Map{{"filters", 4}, {"kernel_size", 3}, {"groups", 3}}, "3 groups do not"));
  CHECK(says(Config::Map{{"filters", 4}, {"kernel_size", 3}, {"padding", "full"}}, "'full'"));
  CHECK(says(Config::Map{{"filters", 4}, {"kernel_size", 3}, {"padding", "causal"}}, "causal"));
  CHECK(says(Config::Map{{"filters", 4}, {"kernel_size", 3}, {"data_format", "nhwc"}}, "'nhwc'"));
  CHECK(says(Config::Map{{"filters", int64_t{1} << 40}, {"kernel_size", 3}}, "kernel"));
}

}  // namespace
}  // namespace ew::testing
