#include "ops/signal/ssd.h"

#include <doctest/doctest.h>

#include "ir/graph.h"
#include "ops/ops.h"

namespace ew::ops::signal {
namespace {

TEST_CASE("ssd: anchors by hand") {
  SsdOptions options{.grids = {2, 1}, .smallest = 0.25, .largest = 1.0};
  const std::vector<float> a = ssd_anchors(options);
  REQUIRE(a.size() == 4 * (4 * 3 + 6));
  // First cell of the first map: its centre is a quarter of the picture from the upper left; sides
  // 0.1, then 0.25 / sqrt(2) and 0.25 * sqrt(2) either way.
  const auto near = [&](size_t anchor, double y, double x, double h, double w) {
    const double expected[] = {y, x, h, w};
    for (size_t i = 0; i < 4; ++i) {
      CHECK(static_cast<double>(a[4 * anchor + i]) == doctest::Approx(expected[i]));
    }
  };
  near(0, 0.25, 0.25, 0.1, 0.1);
  near(1, 0.25, 0.25, 0.1767767, 0.3535534);
  near(2, 0.25, 0.25, 0.3535534, 0.1767767);
  near(3, 0.25, 0.75, 0.1, 0.1);
  near(9, 0.75, 0.75, 0.1, 0.1);
  // The last map: scale 1, ratios 1, 2, 1/2, 3, 1/3, then the root of 1 times 1.
  near(12, 0.5, 0.5, 1, 1);
  near(15, 0.5, 0.5, 0.5773503, 1.7320508);
  near(17, 0.5, 0.5, 1, 1);
}

TEST_CASE("ssd: the maps of a picture of 300 pixels have 1917 anchors") {
  CHECK(ssd_anchors({.grids = {19, 10, 5, 3, 2, 1}}).size() == 4 * 1917);
}

ir::Graph two_outputs(const Shape& first, const Shape& second) {
  ir::Graph graph;
  Builder b(graph);
  graph.outputs = {b.add(kRelu, {b.input("a", {DType::kF32, first, nullptr})}),
                   b.add(kRelu, {b.input("b", {DType::kF32, second, nullptr})})};
  return graph;
}

TEST_CASE("ssd: stands behind two outputs, in either order") {
  const SsdOptions options{.grids = {2, 1}, .most = 5};
  for (const bool is_swapped : {false, true}) {
    const Shape offsets{1, 18, 1, 4};
    const Shape scores{1, 18, 3};
    const auto graph = append_ssd(
        two_outputs(is_swapped ? scores : offsets, is_swapped ? offsets : scores), options);
    REQUIRE(graph.ok());
    REQUIRE(graph->outputs.size() == 4);
    CHECK(graph->type(graph->outputs[0]).shape == Shape{1, 5, 4});
    CHECK(graph->type(graph->outputs[1]).shape == Shape{1, 5});
    CHECK(graph->type(graph->outputs[3]).shape == Shape{1});
  }
}

TEST_CASE("ssd: says what it expected and found") {
  const SsdOptions options{.grids = {2, 1}};
  const auto other = append_ssd(two_outputs({1, 18, 4}, {1, 17, 3}), options);
  REQUIRE_FALSE(other.ok());
  CHECK(other.error().message.find("expected offsets [N, 18, 4] and scores [N, 18, classes]") !=
        std::string::npos);
  CHECK(other.error().message.find("17") != std::string::npos);
  CHECK_FALSE(append_ssd(two_outputs({1, 18, 4}, {1, 18, 3}), {.grids = {0}}).ok());
  CHECK_FALSE(append_ssd(two_outputs({1, 18, 4}, {1, 18, 3}), {}).ok());
}

}  // namespace
}  // namespace ew::ops::signal
