#include <doctest/doctest.h>

#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

using ir::Tensor;

TEST_CASE("preprocessing: Rescaling takes integers, and a scale per channel") {
  const Tensor bytes = Tensor::from(std::vector<uint8_t>{0, 255}, Shape{1, 2});
  CHECK(all_near(run_layer({.class_name = "Rescaling",
                            .config = Config::Map{{"scale", 2.0 / 255}, {"offset", -1.0}},
                            .x = bytes}),
                 {-1, 1}));
  CHECK(all_near(run_layer({.class_name = "Rescaling",
                            .config = Config::Map{{"scale", Config::List{2, 3}}},
                            .x = tensor({2, 2}, {1, 1, 5, 5})}),
                 {2, 3, 10, 15}));
}

TEST_CASE("preprocessing: Normalization and its inverse") {
  Config config = Config::Map{{"mean", Config::List{1, 2}}, {"variance", Config::List{4, 0}}};
  const auto y =
      run_layer({.class_name = "Normalization", .config = config, .x = tensor({1, 2}, {5, 2})});
  CHECK(all_near(y, {2, 0}));
  config.set("invert", true);
  const auto x = run_layer({.class_name = "Normalization", .config = config, .x = y});
  CHECK(all_near(x, {5, 2}));
  const Config scalar = Config::Map{{"axis", Config()}, {"mean", 1}, {"variance", 4}};
  CHECK(all_near(
      run_layer({.class_name = "Normalization", .config = scalar, .x = tensor({1, 2}, {5, 3})}),
      {2, 1}));
}

TEST_CASE("preprocessing: an adapted Normalization keeps its statistics as weights") {
  const auto y =
      run_layer({.class_name = "Normalization",
                 .config = Config::Map{{"axis", Config::ints({-1})}},
                 .x = tensor({1, 2, 2}, {1, 1, 3, 3}),
                 .weights = {{"mean", tensor({2}, {1, 3})}, {"variance", tensor({2}, {1, 4})}}});
  CHECK(all_near(y, {0, -1, 2, 0}));
}

TEST_CASE("preprocessing: random layers pass images on") {
  const auto x = random_tensor({1, 2, 3, 1});
  const auto values = x.values<float>();
  for (const char* layer : {"RandomFlip", "RandomRotation", "RandomZoom", "RandomBrightness"}) {
    CHECK(all_near(run_layer({.class_name = layer, .x = x}), {values.begin(), values.end()}, 0));
  }
}

TEST_CASE("preprocessing: refuses statistics that do not fit") {
  const auto message = [](Config config) {
    return refusal(
        {.class_name = "Normalization", .config = std::move(config), .x = random_tensor({2, 3})});
  };
  CHECK(message(Config::Map{{"mean", Config::List{1, 2}}, {"variance", 1}})
            .find("mean: expected 3 numbers, found 2") != std::string::npos);
  CHECK_FALSE(message(Config::Map{{"mean", "high"}, {"variance", 1}}).empty());
  CHECK_FALSE(message(Config::Map{{"axis", 5}}).empty());
}

}  // namespace
}  // namespace ew::testing
