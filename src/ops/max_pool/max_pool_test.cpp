#include <doctest/doctest.h>

#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Ints = std::vector<int64_t>;

TEST_CASE("max_pool: every facet agrees with the reference") {
  check_op(
      ops::kMaxPool,
      {{.why = "2x2",
        .in = {{2, 6, 4, 3}},
        .attrs = {{"pool", Ints{2, 2}}, {"strides", Ints{2, 2}}}},
       {.why = "overlapping, same",
        .in = {{1, 7, 8, 9}},
        .attrs = {{"pool", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"padding", std::string("same")}}},
       {.why = "one dimension", .in = {{2, 5, 2}}, .attrs = {{"pool", Ints{3}}}},
       {.why = "three dimensions",
        .in = {{1, 4, 5, 3, 2}},
        .attrs = {{"pool", Ints{2, 2, 2}},
                  {"strides", Ints{2, 2, 2}},
                  {"padding", std::string("same")}}}});
}

TEST_CASE("max_pool: of negative numbers is negative, padded or not") {
  const auto y = run(ops::kMaxPool, {tensor({1, 3, 1}, {-3, -1, -2})},
                     {{"pool", Ints{2}}, {"padding", std::string("same")}});
  CHECK(all_near(y[0], {-1, -1, -2}));
}

TEST_CASE("max_pool: among equal elements the first gets the gradient") {
  const auto dx =
      run(ops::kMaxPoolGrad, {tensor({1, 4, 1}, {5, 5, 1, 5}), tensor({1, 3, 1}, {1, 2, 4})},
          {{"pool", Ints{2}}});
  CHECK(all_near(dx[0], {1, 2, 0, 4}));
}

TEST_CASE("max_pool: rejects a window without dimensions") {
  CHECK_FALSE(infer_shapes(ops::kMaxPool, {{1, 4, 4, 1}}).ok());
  CHECK_FALSE(infer_shapes(ops::kMaxPool, {{1, 4, 4, 1}}, {{"pool", Ints{5, 1}}}).ok());
}

TEST_CASE("max_pool: Keras layers compute the same in either data format") {
  const std::vector<std::pair<const char*, Shape>> layers{
      {"MaxPooling1D", {2, 7, 3}},          {"MaxPooling2D", {2, 7, 6, 3}},
      {"MaxPooling3D", {1, 4, 5, 3, 2}},    {"GlobalMaxPooling1D", {2, 7, 3}},
      {"GlobalMaxPooling2D", {2, 7, 6, 3}}, {"GlobalMaxPooling3D", {1, 4, 5, 3, 2}},
  };
  for (const auto& [layer, shape] : layers) {
    INFO(layer);
    const auto x = random_tensor(shape);
    Config config = Config::Map{{"padding", "same"}, {"keepdims", true}};
    const auto last = run_layer({.class_name = layer, .config = config, .x = x});
    config.set("data_format", "channels_first");
    const auto first = run_layer({.class_name = layer, .config = config, .x = channels_first(x)});
    const auto back = channels_last(first);
    CHECK(back.shape() == last.shape());
    const auto values = last.values<float>();
    CHECK(all_near(back, {values.begin(), values.end()}));
  }
}

}  // namespace
}  // namespace ew::testing
