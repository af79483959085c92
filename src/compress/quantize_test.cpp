#include "compress/quantize.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "compress/fold_batch_norm.h"
#include "compress/test_models.h"
#include "ops/int8.h"
#include "ops/ops.h"
#include "ops/passes.h"

namespace ew::compress {
namespace {

using ir::Graph;
using ir::Tensor;

Ranges ranges_of(const ir::Model& model, const Tensor& x) {
  const auto g = quantizable_graph(model);
  REQUIRE(g.ok());
  const auto ranges = calibrate(*g, {&x, 1});
  REQUIRE(ranges.ok());
  return *ranges;
}

ir::Model folded_cnn() {
  const auto model = fold_batch_norm(testing::small_cnn());
  REQUIRE(model.ok());
  return *model;
}

ir::Model quantised(const ir::Model& model, const Tensor& x, const QuantizeOptions& options = {}) {
  const auto result = quantize(model, ranges_of(model, x), options);
  REQUIRE_MESSAGE(result.ok(), (result.ok() ? std::string() : result.error().message));
  return *result;
}

Graph graph_of(const ir::Model& model) {
  const auto g = quantized_graph(model);
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? std::string() : g.error().message));
  return *g;
}

std::vector<std::string> op_names(const Graph& g) {
  std::vector<std::string> names;
  for (const ir::Node& node : g.nodes) names.emplace_back(node.op->name);
  return names;
}

// One int8 step of the graph's output.
double output_step(const Graph& g) {
  return double{ops::int8::scale_of(g.type(g.producer(g.outputs[0])->inputs[0]))};
}

TEST_CASE("activation_params: zero is exact and the range is covered") {
  const ir::QuantParams q = activation_params({-1, 3});
  // 4 / 255 a step; -1 is 63.75 steps below zero: -128 + 64 = -64.
  CHECK(q.scales[0] == doctest::Approx(4.0 / 255));
  CHECK(q.zero_points[0] == -64);
  CHECK(activation_params({0.5, 3}).zero_points[0] == -128);
  CHECK(activation_params({-3, -1}).zero_points[0] == 127);
  CHECK(activation_params({0, 0}).scales[0] == 1);
}

TEST_CASE("round_scale_up: never shrinks a scale and leaves few mantissa bits") {
  CHECK(round_scale_up(0.75F, 4) == 0.75F);
  CHECK(round_scale_up(0.76F, 4) == 0.8125F);  // 13 / 16
  CHECK(round_scale_up(0.97F, 4) == 1.0F);
  for (const float s : {0.003F, 1.7e-5F, 12.1F}) {
    const float r = round_scale_up(s, 4);
    CHECK(r >= s);
    CHECK(r < s * 1.13F);
    CHECK(round_scale_up(s, 24) == s);
  }
}

TEST_CASE("quantize: a chain of layers becomes int8 from border to border") {
  const ir::Model model = folded_cnn();
  const Tensor x = testing::samples({32, 8, 8, 3}, 9);
  const Graph g = graph_of(quantised(model, x));
  // relu and relu6 are clamps of the convolutions before them.
  CHECK(op_names(g) == std::vector<std::string>{"quantize", "conv", "depthwise_conv", "conv",
                                                "reduce_mean", "dense", "softmax", "dequantize"});
  CHECK(g.nodes[1].attrs.number("clamp_min") == 0);
  CHECK(g.nodes[2].attrs.number("clamp_max") == 6);
  CHECK(ops::int8::zero_of(g.type(g.nodes[1].outputs[0])) == -128);
  CHECK(ir::verify(g, ir::Stage::kQuantised).ok());
}

TEST_CASE("quantize: int8 predictions are near the float ones") {
  const ir::Model model = folded_cnn();
  const Tensor x = testing::samples({64, 8, 8, 3}, 9);
  const Tensor exact = testing::run(*inference_graph(model), x)[0];
  for (const bool per_channel : {true, false}) {
    const ir::Model small = quantised(model, x, {.per_channel = per_channel});
    const Tensor y = testing::run(graph_of(small), x)[0];
    // Softmax steps are 1/256; eight rounded layers add a few of them.
    CHECK(testing::max_difference(exact, y) < 0.08);
  }
}

TEST_CASE("quantize: weights become exact multiples of scales with short mantissas") {
  const ir::Model model = folded_cnn();
  const Tensor x = testing::samples({16, 8, 8, 3}, 9);
  const ir::Model small = quantised(model, x);
  for (const ir::ValueId id : small.graph.parameters()) {
    const ir::Value& v = small.graph.value(id);
    const auto it = small.quantization->values.find(v.name);
    if (it == small.quantization->values.end()) continue;
    const auto w = v.data.values<float>();
    for (size_t i = 0; i < w.size(); ++i) {
      const float q = w[i] / it->second.scales[i % it->second.scales.size()];
      REQUIRE(q == std::round(q));
      REQUIRE(std::abs(q) <= 127);
      // 7 bits of q and 2 of the scale leave the lower 14 of 23 bits zero.
      uint32_t bits = 0;
      std::memcpy(&bits, &w[i], sizeof(bits));
      REQUIRE((bits & 0x3FFF) == 0);
    }
  }
}

TEST_CASE(
    "quantize: quantising what is quantised changes nothing, so the graph is rebuilt exactly") {
  const ir::Model model = folded_cnn();
  const Tensor x = testing::samples({16, 8, 8, 3}, 9);
  const ir::Model small = quantised(model, x);
  const Graph a = graph_of(small);
  // As if the file had been written and read: only weights and record survive.
  ir::Model again = model;
  for (const ir::ValueId id : again.graph.parameters()) {
    again.graph.value(id).data = small.graph.value(id).data;
  }
  again.quantization = small.quantization;
  const Graph b = graph_of(again);
  REQUIRE(ir::to_text(a) == ir::to_text(b));
  for (size_t i = 0; i < a.values.size(); ++i) {
    const Tensor& ta = a.values[i].data;
    const Tensor& tb = b.values[i].data;
    REQUIRE(ta.size_bytes() == tb.size_bytes());
    if (ta.size_bytes() > 0) CHECK(std::memcmp(ta.data(), tb.data(), ta.size_bytes()) == 0);
  }
}

TEST_CASE("quantize: named layers stay in float, between dequantize and quantize") {
  const ir::Model model = folded_cnn();
  const Tensor x = testing::samples({16, 8, 8, 3}, 9);
  const ir::Model small = quantised(model, x, {.keep_float = {"dw"}});
  const Graph g = graph_of(small);
  CHECK(op_names(g) == std::vector<std::string>{"quantize", "conv", "dequantize", "depthwise_conv",
                                                "relu6", "quantize", "conv", "reduce_mean", "dense",
                                                "softmax", "dequantize"});
  CHECK(testing::max_difference(testing::run(*inference_graph(model), x)[0],
                                testing::run(g, x)[0]) < 0.08);
  const auto wrong = quantize(model, ranges_of(model, x), {.keep_float = {"dv"}});
  REQUIRE_FALSE(wrong.ok());
  CHECK(wrong.error().message == "no layer 'dv' to keep in float");
}

TEST_CASE("quantize: a layer without an integer form stays in float") {
  auto model = fold_batch_norm(testing::residual());
  REQUIRE(model.ok());
  for (ir::Node& node : model->graph.nodes) {
    if (node.op == &ops::kSilu) {
      node.op = &ops::kElu;
      node.attrs.set("alpha", 1.0);
    }
  }
  const Tensor x = testing::samples({16, 6, 6, 4}, 9);
  const Graph g = graph_of(quantised(*model, x));
  CHECK(op_names(g) == std::vector<std::string>{"quantize", "conv", "add", "dequantize", "elu",
                                                "reshape", "quantize", "dense", "dequantize"});
  const Tensor exact = testing::run(*inference_graph(*model), x)[0];
  // Each layer rounds by half a step, and weights have 7 bits: a few steps at the end.
  CHECK(testing::max_difference(exact, testing::run(g, x)[0]) < 6 * output_step(g));
}

TEST_CASE("quantize: silu runs as sigmoid and mul") {
  const auto model = fold_batch_norm(testing::residual());
  REQUIRE(model.ok());
  const Tensor x = testing::samples({16, 6, 6, 4}, 9);
  const Graph g = graph_of(quantised(*model, x));
  CHECK(op_names(g) == std::vector<std::string>{"quantize", "conv", "add", "sigmoid", "mul",
                                                "reshape", "dense", "dequantize"});
  const Tensor exact = testing::run(*inference_graph(*model), x)[0];
  // Each layer rounds by half a step, and weights have 7 bits: a few steps at the end.
  CHECK(testing::max_difference(exact, testing::run(g, x)[0]) < 6 * output_step(g));
}

TEST_CASE("quantize: without folding, batch norm is still part of the inference graph") {
  const ir::Model model = testing::small_cnn();
  const Tensor x = testing::samples({32, 8, 8, 3}, 9);
  const Tensor exact = testing::run(model.graph, x)[0];
  CHECK(testing::max_difference(exact, testing::run(*inference_graph(model), x)[0]) < 1e-5);
  CHECK(testing::max_difference(exact, testing::run(graph_of(quantised(model, x)), x)[0]) < 0.15);
}

TEST_CASE("quantize: a dead channel with a large bias keeps its bias") {
  ir::Model model = folded_cnn();
  const auto bias = model.graph.parameters()[1];
  const auto kernel = model.graph.parameters()[0];
  model.graph.value(bias).data.mutable_values<float>()[2] = 1.5F;
  auto w = model.graph.value(kernel).data.mutable_values<float>();
  for (size_t i = 2; i < w.size(); i += 8) w[i] = 0;
  const Tensor x = testing::samples({16, 8, 8, 3}, 9);
  const Graph g = graph_of(quantised(model, x));
  const ir::Node& conv = g.nodes[1];
  const ir::Value& b = g.value(conv.inputs[2]);
  const double real = double{b.type.quant->scales[2]} * b.data.values<int32_t>()[2];
  CHECK(real == doctest::Approx(1.5).epsilon(1e-6));
}

TEST_CASE("quantize: weights that are not finite are an error with the layer's name") {
  ir::Model model = folded_cnn();
  const Tensor x = testing::samples({4, 8, 8, 3}, 9);
  const Ranges ranges = ranges_of(model, x);
  model.graph.value(model.graph.parameters()[0]).data.mutable_values<float>()[3] = NAN;
  const auto result = quantize(model, ranges);
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().message == "'conv/kernel' holds values that are not finite");
}

TEST_CASE("quantized_graph: a record that does not fit is an error with the entry's name") {
  const ir::Model model = folded_cnn();
  const Tensor x = testing::samples({16, 8, 8, 3}, 9);
  ir::Model small = quantised(model, x);
  ir::Model broken = small;
  broken.quantization->values.erase("conv/kernel");
  auto result = quantized_graph(broken);
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().message == "the quantisation record has no entry 'conv/kernel'");
  broken = small;
  broken.quantization->values.at("input").scales[0] = -1;
  CHECK_FALSE(quantized_graph(broken).ok());
  broken = small;
  broken.quantization->values.at("conv/kernel").scales.resize(3);
  CHECK_FALSE(quantized_graph(broken).ok());
}

TEST_CASE("layer_sensitivity: a layer whose weights differ by channel hurts most per tensor") {
  ir::Model model = folded_cnn();
  auto w = model.graph.value(model.graph.parameters()[4]).data.mutable_values<float>();
  for (size_t i = 0; i < w.size(); i += 12) w[i] *= 300;  // one output of "point"
  for (size_t i = 0; i < 12; ++i) {
    auto out = model.graph.value(model.graph.parameters()[5]).data.mutable_values<float>();
    if (i == 0) std::fill(out.begin(), out.begin() + 5, 0.001F);
  }
  const Tensor x = testing::samples({16, 8, 8, 3}, 9);
  const auto list = layer_sensitivity(model, ranges_of(model, x), {&x, 1}, {.per_channel = false});
  REQUIRE(list.ok());
  REQUIRE(list->size() == 5);
  CHECK(list->front().layer == "point");
  CHECK(list->front().error > list->back().error);
}

TEST_CASE("passes: Keras' ReLU becomes the plain function of its attributes") {
  struct Case {
    double max_value, slope, threshold;
    const ir::OpDef* op;
  };
  const Case cases[] = {{-1, 0, 0, &ops::kRelu},         {6, 0, 0, &ops::kRelu6},
                        {4, 0, 0, &ops::kClip},          {-1, 0.1, 0, &ops::kLeakyRelu},
                        {6, 0.1, 0, &ops::kReluGeneral}, {-1, 0, 0.5, &ops::kReluGeneral}};
  const Tensor x = testing::samples({1, 100}, 3);
  for (const Case& c : cases) {
    Graph g;
    ir::Builder b(g);
    const ir::ValueId in = b.input("x", {DType::kF32, Shape{1, 100}, nullptr});
    g.outputs = {b.add(ops::kReluGeneral, {in},
                       {{"alpha", c.max_value}, {"beta", c.slope}, {"gamma", c.threshold}})};
    const auto plain = ops::to_inference(g);
    REQUIRE(plain.ok());
    CHECK(plain->nodes[0].op == c.op);
    CHECK(testing::max_difference(testing::run(g, x)[0], testing::run(*plain, x)[0]) == 0);
  }
}

TEST_CASE("passes: a clamp fuses in float as well, with the same result") {
  const auto g = inference_graph(folded_cnn());
  REQUIRE(g.ok());
  const auto fused = ops::fuse_clamps(*g);
  REQUIRE(fused.ok());
  CHECK(fused->nodes.size() == g->nodes.size() - 3);
  const Tensor x = testing::samples({4, 8, 8, 3}, 9);
  CHECK(testing::max_difference(testing::run(*g, x)[0], testing::run(*fused, x)[0]) == 0);
}

TEST_CASE("passes: fused clamps hold in every float kernel, with broadcasting as well") {
  using ops::kAdd, ops::kMul, ops::kSub;
  for (const ir::OpDef* op : {&kAdd, &kMul, &kSub}) {
    for (const Shape& second : {Shape{4, 6}, Shape{6}, Shape{4, 1}, Shape{}}) {
      Graph g;
      ir::Builder b(g);
      const ir::ValueId x = b.input("x", {DType::kF32, Shape{4, 6}, nullptr});
      const ir::ValueId y = b.constant(testing::samples(second, 3));
      g.outputs = {b.add(ops::kClip, {b.add(*op, {x, y})}, {{"alpha", -0.25}, {"beta", 0.5}})};
      const auto fused = ops::fuse_clamps(g);
      REQUIRE(fused.ok());
      REQUIRE(fused->nodes.size() == 1);
      const Tensor in = testing::samples({4, 6}, 9);
      CHECK(testing::max_difference(testing::run(g, in)[0], testing::run(*fused, in)[0]) == 0);
    }
  }
}

TEST_CASE("passes: a dense layer takes its activation") {
  Graph g;
  ir::Builder b(g);
  const ir::ValueId x = b.input("x", {DType::kF32, Shape{4, 6}, nullptr});
  const ir::ValueId y = b.add(ops::kDense, {x, b.constant(testing::samples({6, 20}, 2)),
                                            b.constant(testing::samples({20}, 3))});
  g.outputs = {b.add(ops::kRelu, {y})};
  const auto fused = ops::fuse_clamps(g);
  REQUIRE(fused.ok());
  REQUIRE(fused->nodes.size() == 1);
  const Tensor in = testing::samples({4, 6}, 9);
  CHECK(testing::max_difference(testing::run(g, in)[0], testing::run(*fused, in)[0]) == 0);
}

}  // namespace
}  // namespace ew::compress
