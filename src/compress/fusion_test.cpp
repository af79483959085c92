// The passes that fuse nodes, on graphs as Keras models give them.
#include <doctest/doctest.h>

#include "compress/quantize.h"
#include "compress/test_models.h"
#include "ops/ops.h"
#include "ops/passes.h"

namespace ew::compress {
namespace {

using ir::Graph;
using ir::Tensor;
using ir::ValueId;

int64_t count(const Graph& g, const ir::OpDef& op) {
  int64_t n = 0;
  for (const ir::Node& node : g.nodes) n += node.op == &op ? 1 : 0;
  return n;
}

// x -> `rest`, with one output.
template <typename Rest>
Graph graph_of(const Shape& shape, Rest rest) {
  Graph g;
  ir::Builder b(g);
  const ValueId x = b.input("x", {DType::kF32, shape, nullptr});
  g.outputs = {rest(b, x)};
  REQUIRE(b.ok());
  return g;
}

double change(const Graph& before, const Graph& after, const Shape& shape) {
  const Tensor x = testing::samples(shape, 9);
  return testing::max_difference(testing::run(before, x)[0], testing::run(after, x)[0]);
}

TEST_CASE("fusion: a convolutional net keeps its products and little else") {
  const auto g = inference_graph(testing::small_cnn());
  REQUIRE(g.ok());
  REQUIRE(count(*g, ops::kMul) == 2);
  const auto fused = ops::fuse_for_execution(*g);
  REQUIRE(fused.ok());
  CHECK(fused->nodes.size() == 6);  // conv, depthwise, conv, mean, dense, softmax
  CHECK(change(*g, *fused, {4, 8, 8, 3}) < 1e-6);
}

TEST_CASE("fusion: a branch keeps the batch normalisation that another reader sees through") {
  const auto g = inference_graph(testing::residual());
  REQUIRE(g.ok());
  const auto fused = ops::fuse_for_execution(*g);
  REQUIRE(fused.ok());
  CHECK(count(*fused, ops::kMul) == 0);
  CHECK(count(*fused, ops::kAdd) == 1);  // the one where the branches meet
  CHECK(change(*g, *fused, {4, 6, 6, 4}) < 1e-6);
}

TEST_CASE("fusion: scales of channels fold, others stay") {
  const auto product = [](ir::Builder& b, ValueId x) {
    return b.add(ops::kDense, {x, b.constant(testing::samples({6, 5}, 2)), ir::kNoValue});
  };
  const auto times = [&](const Shape& by) {
    return graph_of({4, 6}, [&](ir::Builder& b, ValueId x) {
      return b.add(ops::kMul, {b.constant(testing::samples(by, 3)), product(b, x)});
    });
  };
  for (const Shape& by : {Shape{5}, Shape{1, 5}, Shape{}, Shape{1}}) {
    const Graph g = times(by);
    const auto folded = ops::fold_scales(g);
    REQUIRE(folded.ok());
    CHECK(folded->nodes.size() == 1);
    CHECK(change(g, *folded, {4, 6}) < 1e-5);
  }
  CHECK(ops::fold_scales(times({4, 1}))->nodes.size() == 2);  // a factor for every row
  const Graph read_twice = graph_of({4, 6}, [&](ir::Builder& b, ValueId x) {
    const ValueId y = product(b, x);
    return b.add(ops::kAdd, {b.add(ops::kMul, {y, b.constant(testing::samples({5}, 3))}), y});
  });
  CHECK(ops::fold_scales(read_twice)->nodes.size() == 3);
}

TEST_CASE("fusion: zeros around an image become padding, other values and axes stay") {
  const auto padded = [](std::vector<int64_t> pads, double value, const char* padding) {
    return graph_of({2, 5, 5, 3}, [&](ir::Builder& b, ValueId x) {
      const ValueId y = b.add(ops::kPad, {x}, {{"pads", std::move(pads)}, {"value", value}});
      return b.add(ops::kConv, {y, b.constant(testing::samples({3, 3, b.shape(y)[3], 4}, 2))},
                   {{"padding", std::string(padding)}});
    });
  };
  const Graph g = padded({0, 0, 1, 0, 0, 1, 2, 0}, 0, "valid");
  const auto fused = ops::fuse_pads(g);
  REQUIRE(fused.ok());
  REQUIRE(fused->nodes.size() == 1);
  CHECK(fused->nodes[0].attrs.ints("pads") == std::vector<int64_t>{0, 1, 1, 2});
  CHECK(change(g, *fused, {2, 5, 5, 3}) == 0);
  CHECK(ops::fuse_pads(padded({0, 0, 1, 0, 0, 1, 2, 0}, 1, "valid"))->nodes.size() == 2);
  CHECK(ops::fuse_pads(padded({0, 0, 1, 0, 0, 1, 2, 0}, 0, "same"))->nodes.size() == 2);
  CHECK(ops::fuse_pads(padded({0, 1, 1, 0, 0, 1, 1, 0}, 0, "valid"))->nodes.size() == 1);
  CHECK(ops::fuse_pads(padded({0, 1, 1, 1, 0, 1, 1, 1}, 0, "valid"))->nodes.size() == 2);
}

TEST_CASE("fusion: equal nodes become one, unless an attribute or an input differs") {
  const Graph g = graph_of({3, 4}, [](ir::Builder& b, ValueId x) {
    const ValueId first = b.add(ops::kClip, {x}, {{"alpha", -0.5}, {"beta", 0.5}});
    const ValueId same = b.add(ops::kClip, {x}, {{"alpha", -0.5}, {"beta", 0.5}});
    const ValueId other = b.add(ops::kClip, {x}, {{"alpha", -0.5}, {"beta", 0.25}});
    return b.add(ops::kAdd, {b.add(ops::kMul, {first, same}), other});
  });
  const auto unique = ops::remove_common_subexpressions(g);
  REQUIRE(unique.ok());
  CHECK(unique->nodes.size() == 4);
  CHECK(change(g, *unique, {3, 4}) == 0);
}

}  // namespace
}  // namespace ew::compress
