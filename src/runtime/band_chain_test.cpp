// Chains of float layers against the same layers run one by one: the bits must be the same, for
// every stride and edge, on any number of threads.
#include "runtime/band_chain.h"

#include <doctest/doctest.h>

#include <cstring>
#include <random>

#include "ir/rewriter.h"
#include "runtime/executor.h"

namespace ew::runtime {
namespace {

using ir::Attrs;
using ir::Graph;
using ir::Tensor;
using ir::ValueId;
using Ints = std::vector<int64_t>;

class ChainMaker {
 public:
  ChainMaker(Shape input, uint32_t seed) : rng_(seed), b_(graph_) {
    input_ = random(input);
    last_ = b_.input("x", {DType::kF32, std::move(input), nullptr});
  }

  ChainMaker& conv(int64_t kernel, int64_t stride, int64_t channels) {
    const int64_t in = b_.shape(last_)[-1];
    return add(ops::kConv, Shape{kernel, kernel, in, channels}, stride, 1, channels);
  }
  ChainMaker& depthwise(int64_t kernel, int64_t stride, int64_t dilation = 1) {
    const int64_t in = b_.shape(last_)[-1];
    return add(ops::kDepthwiseConv, Shape{kernel, kernel, in, 1}, stride, dilation, in);
  }
  void check(bool is_one_chain = true) {
    REQUIRE(b_.ok());
    graph_.outputs = {last_};
    // Values that are kept are not passed on inside a chain.
    std::vector<Tensor> expected = outputs({.keep = between_});
    for (const int threads : {1, 2, 3}) {
      ThreadPool pool(threads);
      auto executor = Executor::create(graph_, {.pool = &pool});
      REQUIRE(executor.ok());
      for (const ValueId id : between_) {
        CHECK((!is_one_chain || (*executor)->view(id).data == nullptr));
      }
      const std::vector<Tensor> found = outputs({.pool = &pool});
      CHECK(std::memcmp(found[0].data(), expected[0].data(), expected[0].size_bytes()) == 0);
    }
  }

 private:
  Tensor random(const Shape& shape) {
    Tensor t(DType::kF32, shape);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (float& v : t.mutable_values<float>()) v = uniform(rng_);
    return t;
  }
  ChainMaker& add(const ir::OpDef& op, const Shape& kernel, int64_t stride, int64_t dilation,
                  int64_t channels) {
    Attrs attrs{{"strides", Ints{stride, stride}}, {"padding", std::string("same")}};
    if (dilation > 1) attrs.set("dilations", Ints{dilation, dilation});
    attrs.set("clamp_min", 0.0);
    attrs.set("clamp_max", 6.0);
    if (count_++ > 0) between_.push_back(last_);
    last_ = b_.add(op, {last_, b_.constant(random(kernel)), b_.constant(random(Shape{channels}))},
                   attrs);
    return *this;
  }
  std::vector<Tensor> outputs(const ExecutorOptions& options) {
    auto executor = Executor::create(graph_, options);
    REQUIRE(executor.ok());
    REQUIRE((*executor)->set_input(0, input_).ok());
    (*executor)->run();
    (*executor)->run();  // buffers are used again
    return {(*executor)->output(0)};
  }

  std::mt19937 rng_;
  Graph graph_;
  ir::Builder b_;
  Tensor input_;
  ValueId last_ = 0;
  int count_ = 0;
  std::vector<ValueId> between_;
};

TEST_CASE("band chain: an inverted residual has the bits of its layers") {
  ChainMaker({1, 61, 59, 8}, 1).conv(1, 1, 96).depthwise(3, 1).conv(1, 1, 24).check();
  ChainMaker({1, 120, 121, 8}, 2).conv(1, 1, 96).depthwise(3, 2).conv(1, 1, 24).check();
}

TEST_CASE("band chain: windows of five rows, dilated ones and a strided convolution at the start") {
  ChainMaker({1, 63, 60, 7}, 3).conv(1, 1, 70).depthwise(5, 1).conv(1, 1, 9).check();
  ChainMaker({1, 57, 64, 5}, 4).conv(1, 1, 72).depthwise(3, 1, 3).check();
  ChainMaker({1, 121, 120, 3}, 5).conv(3, 2, 64).depthwise(3, 1).conv(1, 1, 5).check();
}

TEST_CASE("band chain: more kernels than one chain holds") {
  ChainMaker chain({1, 60, 50, 4}, 6);
  for (int i = 0; i < 4; ++i) chain.conv(1, 1, 64).depthwise(3, 1);
  chain.conv(1, 1, 6).check(false);
}

TEST_CASE("band chain: what lies in the cache anyway is not joined") {
  Graph graph;
  ir::Builder b(graph);
  const ValueId x = b.input("x", {DType::kF32, Shape{1, 8, 8, 4}, nullptr});
  const ValueId y = b.add(ops::kConv, {x, b.constant(Tensor(DType::kF32, Shape{1, 1, 4, 8}))}, {});
  const ValueId z =
      b.add(ops::kDepthwiseConv, {y, b.constant(Tensor(DType::kF32, Shape{3, 3, 8, 1}))}, {});
  REQUIRE(b.ok());
  graph.outputs = {z};
  const auto executor = Executor::create(graph, {});
  REQUIRE(executor.ok());
  CHECK((*executor)->view(y).data != nullptr);
}

}  // namespace
}  // namespace ew::runtime
