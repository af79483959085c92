#include <doctest/doctest.h>

#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

TEST_CASE("activation: ReLU picks the plainest operator that fits") {
  const auto op = [](Config config) {
    const auto graph = import_layer(
        {.class_name = "ReLU", .config = std::move(config), .x = random_tensor({2, 3})});
    return graph.ok() ? std::string(graph->nodes.at(0).op->name) : graph.error().message;
  };
  CHECK(op(Config::Map{{"max_value", Config()}}) == "relu");
  CHECK(op(Config::Map{{"max_value", 6}}) == "relu6");
  CHECK(op(Config::Map{{"negative_slope", 0.1}}) == "leaky_relu");
  CHECK(op(Config::Map{{"max_value", 6}, {"threshold", 1}}) == "relu_general");
}

TEST_CASE("activation: slopes by the names of both generations") {
  const auto x = tensor({1, 2}, {-10, 10});
  const auto y = [&](const char* layer, Config config) {
    return run_layer({.class_name = layer, .config = std::move(config), .x = x});
  };
  CHECK(all_near(y("LeakyReLU", Config::map()), {-3, 10}));
  CHECK(all_near(y("LeakyReLU", Config::Map{{"alpha", 0.2}}), {-2, 10}));
  CHECK(all_near(y("LeakyReLU", Config::Map{{"negative_slope", 0.1}}), {-1, 10}));
  CHECK(all_near(y("ThresholdedReLU", Config::Map{{"theta", 10}}), {0, 0}));
  CHECK(all_near(y("ThresholdedReLU", Config::Map{{"theta", 9}}), {0, 10}));
}

TEST_CASE("activation: PReLU shares its slopes along the asked axes") {
  const auto y = run_layer({.class_name = "PReLU",
                            .config = Config::Map{{"shared_axes", Config::ints({1})}},
                            .x = tensor({1, 2, 2}, {-1, -1, 2, -3}),
                            .weights = {{"alpha", tensor({1, 2}, {0.5F, 2})}}});
  CHECK(all_near(y, {-0.5F, -2, 2, -6}));
  CHECK_FALSE(refusal({.class_name = "PReLU",
                       .config = Config::Map{{"shared_axes", Config::ints({3})}},
                       .x = random_tensor({1, 2, 2})})
                  .empty());
}

TEST_CASE("activation: glu gates the first half by the second") {
  const Config glu = Config::Map{{"activation", "glu"}};
  // sigmoid(ln 3) = 3/4.
  CHECK(all_near(run_layer({.class_name = "Activation",
                            .config = glu,
                            .x = tensor({1, 4}, {4, 8, 1.098612289F, 0})}),
                 {3, 4}));
  CHECK(refusal({.class_name = "Activation", .config = glu, .x = random_tensor({1, 3})})
            .find("even last dimension") != std::string::npos);
}

}  // namespace
}  // namespace ew::testing
