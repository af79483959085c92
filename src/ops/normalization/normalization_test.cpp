#include <doctest/doctest.h>

#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

using ir::KerasGeneration;

TEST_CASE("normalization: LayerNormalization gives mean beta and deviation gamma") {
  // (0, 2, 4) has mean 2 and variance 8/3.
  const auto y =
      run_layer({.class_name = "LayerNormalization",
                 .config = Config::Map{{"epsilon", 0.0}},
                 .x = tensor({1, 3}, {0, 2, 4}),
                 .weights = {{"gamma", tensor({3}, {1, 1, 2})}, {"beta", tensor({3}, {0, 5, 0})}}});
  CHECK(all_near(y, {-1.224744871F, 5, 2.449489743F}));
}

TEST_CASE("normalization: rms_scaling divides by the deviation without centring") {
  const auto y = run_layer({.class_name = "LayerNormalization",
                            .config = Config::Map{{"epsilon", 0.0}, {"rms_scaling", true}},
                            .x = tensor({1, 2}, {1, 3}),
                            .weights = {{"gamma", tensor({2}, {1, 1})}}});
  CHECK(all_near(y, {1, 3}));
}

TEST_CASE("normalization: a group has statistics of its own") {
  const Config config =
      Config::Map{{"groups", 2}, {"epsilon", 0.0}, {"scale", false}, {"center", false}};
  const auto x = tensor({1, 1, 4}, {1, 3, 10, 30});
  const auto y = run_layer({.class_name = "GroupNormalization", .config = config, .x = x});
  CHECK(all_near(y, {-1, 1, -1, 1}));
}

TEST_CASE("normalization: groups along axis 1") {
  const auto x = random_tensor({2, 4, 3, 5});
  Config config = Config::Map{{"groups", 2}};
  const auto last =
      run_layer({.class_name = "GroupNormalization", .config = config, .x = channels_last(x)});
  config.set("axis", 1);
  const auto first = run_layer({.class_name = "GroupNormalization", .config = config, .x = x});
  const auto back = channels_last(first);
  const auto values = last.values<float>();
  CHECK(all_near(back, {values.begin(), values.end()}));
}

TEST_CASE("normalization: RMSNormalization and UnitNormalization") {
  const auto x = tensor({1, 2}, {3, 4});
  const auto rms = run_layer({.class_name = "RMSNormalization",
                              .config = Config::Map{{"epsilon", 0.0}},
                              .x = x,
                              .weights = {{"scale", tensor({2}, {1, 2})}}});
  // The mean square is 12.5.
  CHECK(all_near(rms, {0.848528137F, 2.262741700F}));
  for (const auto generation : {KerasGeneration::kKeras2, KerasGeneration::kKeras3}) {
    const auto unit =
        run_layer({.class_name = "UnitNormalization", .x = x, .generation = generation});
    CHECK(all_near(unit, {0.6F, 0.8F}));
    const auto zero = run_layer(
        {.class_name = "UnitNormalization", .x = tensor({1, 2}, {0, 0}), .generation = generation});
    CHECK(all_near(zero, {0, 0}));
  }
}

TEST_CASE("normalization: refuses axes and groups that do not fit, and says why") {
  const auto message = [](const char* layer, Config config) {
    return refusal(
        {.class_name = layer, .config = std::move(config), .x = random_tensor({2, 3, 4})});
  };
  CHECK(message("LayerNormalization", Config::Map{{"axis", 3}}).find("axis 3 out of range") !=
        std::string::npos);
  CHECK(message("LayerNormalization", Config::Map{{"axis", Config::ints({1, -2})}})
            .find("different axes") != std::string::npos);
  CHECK(message("GroupNormalization", Config::Map{{"groups", 3}}).find("3 groups do not divide") !=
        std::string::npos);
  CHECK(message("LayerNormalization", Config::Map{{"axis", 0}}).find("unknown") !=
        std::string::npos);
  CHECK_FALSE(message("BatchNormalization", Config::Map{{"renorm", true}}).empty());
  CHECK_FALSE(message("BatchNormalization", Config::Map{{"axis", Config::ints({1, 2})}}).empty());
}

}  // namespace
}  // namespace ew::testing
