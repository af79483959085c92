// Streams against the graph they were made of: over the whole sequence, or over each window.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "ops/ops.h"
#include "runtime/stream/stream_runner.h"

namespace ew::runtime {
namespace {

using ir::Attrs;
using ir::Builder;
using ir::Graph;
using ir::kNoValue;
using ir::QuantParams;
using ir::Tensor;
using ir::TensorType;
using ir::ValueId;
using Ints = std::vector<int64_t>;

// A net of random weights whose input has time along axis 1.
class Net {
 public:
  explicit Net(uint32_t seed, bool is_int8 = false) : rng_(seed), is_int8_(is_int8), b_(graph) {}

  ValueId input(Shape shape) {
    TensorType type{DType::kF32, std::move(shape), nullptr};
    if (is_int8_) type = {DType::kI8, type.shape, quant(0.05F, 3)};
    return b_.input("x", type);
  }
  ValueId weight(Shape shape, int axis) {
    Tensor t(is_int8_ ? DType::kI8 : DType::kF32, shape);
    if (!is_int8_) {
      for (float& v : t.mutable_values<float>()) v = real(-0.5F, 0.5F);
      return b_.constant(t);
    }
    for (int8_t& v : t.mutable_values<int8_t>()) v = static_cast<int8_t>(real(-127, 127));
    QuantParams q{{}, {}, axis};
    for (int64_t i = 0; i < shape[axis]; ++i) {
      q.scales.push_back(real(0.004F, 0.01F));
      q.zero_points.push_back(0);
    }
    t.set_quant(std::make_shared<const QuantParams>(q));
    return b_.constant(t);
  }
  // [N,T,F] -> [N,T',O], as Keras' one-dimensional layers are lowered.
  ValueId conv1d(ValueId x, int64_t taps, int64_t out, const Attrs& attrs) {
    const int64_t c = b_.shape(x)[-1];
    x = add(ops::kReshape, {x}, {{"shape", Ints{0, 1, -1, c}}});
    x = add(ops::kConv, {x, weight({1, taps, c, out}, 3)}, attrs);
    return add(ops::kReshape, {x}, {{"shape", Ints{0, -1, out}}});
  }
  ValueId causal(ValueId x, int64_t taps, int64_t dilation, int64_t out) {
    return conv1d(x, taps, out,
                  {{"dilations", Ints{1, dilation}},
                   {"padding", std::string("explicit")},
                   {"pads", Ints{0, (taps - 1) * dilation, 0, 0}}});
  }
  ValueId conv(ValueId x, int64_t h, int64_t w, int64_t out, const Attrs& attrs = {}) {
    return add(ops::kConv, {x, weight({h, w, b_.shape(x)[-1], out}, 3)}, attrs);
  }
  ValueId depthwise(ValueId x, int64_t h, int64_t w, const Attrs& attrs = {}) {
    return add(ops::kDepthwiseConv, {x, weight({h, w, b_.shape(x)[-1], 1}, 2)}, attrs);
  }
  ValueId dense(ValueId x, int64_t out) {
    return add(ops::kDense, {x, weight({b_.shape(x)[-1], out}, 1)}, {});
  }
  ValueId recurrent(const ir::OpDef& op, int64_t gates, ValueId x, int64_t units, bool sequences) {
    const int64_t features = b_.shape(x)[-1];
    const ValueId bias =
        weight(&op == &ops::kGru ? Shape{2, gates * units} : Shape{gates * units}, 0);
    Attrs attrs{{"return_sequences", sequences}};
    return b_
        .add_multi(
            op, {x, weight({features, gates * units}, 1), weight({units, gates * units}, 1), bias},
            attrs)
        .at(0);
  }
  ValueId add(const ir::OpDef& op, std::vector<ValueId> in, const Attrs& attrs) {
    const bool keeps = op.quant.kind == ir::QuantRule::Kind::kSameAsInput;
    const auto before = b_.type(in[0]).quant;
    const ValueId y = b_.add(op, std::move(in), attrs);
    REQUIRE_MESSAGE(b_.ok(), (b_.ok() ? "" : b_.status().error().message));
    if (is_int8_) {
      graph.value(y).type.quant = keeps ? before : quant(real(0.03F, 0.1F), -11);
      graph.value(y).type.dtype = DType::kI8;
    }
    return y;
  }
  Graph finish(ValueId y) {
    REQUIRE(b_.ok());
    graph.outputs = {y};
    return graph;
  }
  Tensor frames(int64_t count) {
    TensorType type = graph.type(graph.inputs[0]);
    type.shape[0] = 1;
    type.shape[1] = count;
    Tensor t(type);
    if (is_int8_) {
      for (int8_t& v : t.mutable_values<int8_t>()) v = static_cast<int8_t>(real(-128, 127.9F));
    } else {
      for (float& v : t.mutable_values<float>()) v = real(-1, 1);
    }
    return t;
  }

  Graph graph;

 private:
  float real(float low, float high) {
    return std::uniform_real_distribution<float>(low, high)(rng_);
  }
  static std::shared_ptr<const QuantParams> quant(float scale, int32_t zero) {
    return std::make_shared<const QuantParams>(QuantParams{{scale}, {zero}});
  }
  std::mt19937 rng_;
  bool is_int8_;
  Builder b_;
};

Tensor slice_frames(const Tensor& x, int64_t begin, int64_t count) {
  TensorType type = x.type();
  const size_t frame = x.size_bytes() / static_cast<size_t>(type.shape[1]);
  type.shape[1] = count;
  Tensor part(type);
  std::memcpy(part.mutable_data(),
              static_cast<const uint8_t*>(x.data()) + static_cast<size_t>(begin) * frame,
              part.size_bytes());
  return part;
}

Tensor whole_run(const Graph& graph, const Tensor& x) {
  auto out = run_graph(graph, std::vector<Tensor>{x});
  REQUIRE_MESSAGE(out.ok(), (out.ok() ? "" : out.error().message));
  return out->at(0);
}

// Bytes for int8; floats within 1e-5 of the largest, since kernels may sum in another order.
void check_same(const uint8_t* found, const Tensor& expected, size_t offset, size_t bytes) {
  const uint8_t* wanted = static_cast<const uint8_t*>(expected.data()) + offset;
  if (expected.dtype() == DType::kI8) {
    CHECK(std::memcmp(found, wanted, bytes) == 0);
    return;
  }
  float largest = 0;
  for (const float v : expected.values<float>()) largest = std::max(largest, std::abs(v));
  float worst = 0;
  for (size_t i = 0; i + 4 <= bytes; i += 4) {
    float a;
    float b;
    std::memcpy(&a, found + i, 4);
    std::memcpy(&b, wanted + i, 4);
    worst = std::max(worst, std::abs(a - b));
  }
  CHECK(worst <= 1e-5F * largest);
}

std::unique_ptr<StreamRunner> open(const Graph& graph, const StreamGraphOptions& options) {
  auto stream = make_stream_graph(graph, options);
  REQUIRE_MESSAGE(stream.ok(), (stream.ok() ? "" : stream.error().message));
  auto runner = StreamRunner::create(std::move(*stream), {});
  REQUIRE_MESSAGE(runner.ok(), (runner.ok() ? "" : runner.error().message));
  return std::move(*runner);
}

bool push(StreamRunner& runner, const Tensor& x, int64_t frame) {
  const std::span<uint8_t> to = runner.frame();
  std::memcpy(to.data(),
              static_cast<const uint8_t*>(x.data()) + static_cast<size_t>(frame) * to.size(),
              to.size());
  return runner.push();
}

// Every output of a stream of `count` frames, along time, against one run over all of them.
void check_sequence(Net& net, const Graph& graph, int64_t count, int64_t frames = 0) {
  const auto runner = open(graph, {.frames = frames, .mode = StreamMode::kSequence});
  const Tensor x = net.frames(count);
  const Tensor expected = whole_run(graph, x);
  for (int pass = 0; pass < 2; ++pass) {  // the second after reset()
    size_t at = 0;
    for (int64_t i = 0; i < count; ++i) {
      if (!push(*runner, x, i)) continue;
      const Tensor y = runner->output(0);
      REQUIRE(at + y.size_bytes() <= expected.size_bytes());
      check_same(static_cast<const uint8_t*>(y.data()), expected, at, y.size_bytes());
      at += y.size_bytes();
    }
    const auto one = expected.size_bytes() / static_cast<size_t>(expected.shape()[1]);
    // Frames short of a whole run wait for more.
    CHECK(at + one * static_cast<size_t>(runner->stream().frames) > expected.size_bytes());
    runner->reset();
  }
}

// After each frame, a value against a run over the frames so far.
void check_latest(Net& net, const Graph& graph, int64_t first, int64_t count) {
  const auto runner = open(graph, {});
  const Tensor x = net.frames(count);
  for (int64_t i = 0; i < count; ++i) {
    const bool is_due = push(*runner, x, i);
    CHECK(is_due == (i + 1 >= first));
    if (!is_due) continue;
    const Tensor y = runner->output(0);
    check_same(static_cast<const uint8_t*>(y.data()), whole_run(graph, slice_frames(x, 0, i + 1)),
               0, y.size_bytes());
  }
}

// Every output against a run over its window; returns the share of the products that is saved.
double check_windows(Net& net, const Graph& graph, int64_t window, int64_t count) {
  const auto runner = open(graph, {.mode = StreamMode::kWindow});
  const int64_t hop = runner->stream().frames;
  const Tensor x = net.frames(count);
  int64_t found = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (!push(*runner, x, i)) continue;
    const int64_t begin = found++ * hop;
    REQUIRE(begin + window <= i + 1);
    const Tensor y = runner->output(0);
    check_same(static_cast<const uint8_t*>(y.data()),
               whole_run(graph, slice_frames(x, begin, window)), 0, y.size_bytes());
  }
  CHECK(found >= (count - window) / hop);
  return 1 - static_cast<double>(runner->stream().macs) /
                 static_cast<double>(runner->stream().whole_macs);
}

Graph tcn(Net& net) {
  ValueId x = net.input({kUnknown, kUnknown, 5});
  x = net.causal(x, 3, 1, 8);
  for (const int64_t dilation : {1, 2, 4}) {
    ValueId y = net.add(ops::kRelu, {net.causal(x, 3, dilation, 8)}, {});
    y = net.causal(y, 2, dilation, 8);
    x = net.add(ops::kAdd, {x, y}, {});
  }
  return net.finish(net.dense(x, 3));
}

TEST_CASE("stream: a causal net over time equals one run over the sequence") {
  for (const bool is_int8 : {false, true}) {
    Net net(1, is_int8);
    const Graph graph = tcn(net);
    check_sequence(net, graph, 40);
    check_sequence(net, graph, 42, 3);
  }
}

TEST_CASE("stream: strides along time run every so many frames") {
  for (const bool is_int8 : {false, true}) {
    Net net(2, is_int8);
    ValueId x = net.input({kUnknown, kUnknown, 4});
    // A padded stride of 2, then an unpadded one of 3.
    x = net.conv1d(x, 4, 6,
                   {{"strides", Ints{1, 2}},
                    {"padding", std::string("explicit")},
                    {"pads", Ints{0, 3, 0, 0}}});
    x = net.conv1d(x, 5, 6, {{"strides", Ints{1, 3}}});
    const Graph graph = net.finish(x);
    CHECK(open(graph, {})->stream().frames == 6);
    check_sequence(net, graph, 61);
  }
}

TEST_CASE("stream: every kernel, stride and dilation of one layer") {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    Net net(100 + seed, seed % 2 == 0);
    const int64_t taps = 1 + seed % 5;
    const int64_t stride = 1 + seed / 5 % 4;
    const int64_t dilation = stride == 1 ? 1 + seed / 20 : 1;
    const int64_t pad = seed % 3 == 0 ? 0 : (taps - 1) * dilation / (seed % 3);
    ValueId x = net.input({kUnknown, kUnknown, 3});
    if (seed % 7 == 0 && pad == 0) x = net.conv1d(x, 3, 3, {});
    x = net.conv1d(x, taps, 4,
                   {{"strides", Ints{1, stride}},
                    {"dilations", Ints{1, dilation}},
                    {"padding", std::string("explicit")},
                    {"pads", Ints{0, pad, 0, 0}}});
    CAPTURE(seed);
    check_sequence(net, net.finish(x), 50);
  }
}

TEST_CASE("stream: recurrent layers keep their state") {
  Net net(3);
  ValueId x = net.input({kUnknown, kUnknown, 6});
  x = net.recurrent(ops::kGru, 3, x, 7, true);
  x = net.recurrent(ops::kLstm, 4, x, 5, true);
  x = net.recurrent(ops::kSimpleRnn, 1, x, 4, true);
  check_sequence(net, net.finish(x), 25);
  check_sequence(net, net.graph, 24, 4);
}

TEST_CASE("stream: the last state of a recurrent layer is the result so far") {
  Net net(4);
  ValueId x = net.input({kUnknown, kUnknown, 6});
  x = net.recurrent(ops::kLstm, 4, x, 5, true);
  x = net.recurrent(ops::kGru, 3, x, 7, false);
  check_latest(net, net.finish(net.add(ops::kSoftmax, {net.dense(x, 3)}, {})), 1, 12);
}

TEST_CASE("stream: frames that a convolution without padding drops do not reach a state") {
  Net net(5);
  ValueId x = net.input({kUnknown, kUnknown, 6});
  x = net.conv1d(x, 4, 6, {});
  x = net.recurrent(ops::kGru, 3, x, 7, false);
  check_latest(net, net.finish(net.dense(x, 3)), 4, 15);
}

// Windows of 20 frames of 10 features: convolutions without padding along time, then a global mean.
Graph keyword_net(Net& net, int64_t stride, bool flattens) {
  ValueId x = net.input({kUnknown, 20, 10, 1});
  const Attrs strides{{"strides", Ints{stride, 2}}};
  x = net.add(ops::kRelu, {net.conv(x, 4, 4, 8, strides)}, {});
  for (int i = 0; i < 2; ++i) {
    x = net.depthwise(x, 3, 1);
    x = net.add(ops::kRelu, {net.conv(x, 1, 1, 8)}, {});
  }
  const Shape shape = net.graph.type(x).shape;
  if (flattens) {
    x = net.add(ops::kReshape, {x}, {{"shape", Ints{0, shape[1] * shape[2] * shape[3]}}});
  } else {
    x = net.add(ops::kAvgPool, {x}, {{"pool", Ints{shape[1], shape[2]}}});
    x = net.add(ops::kReshape, {x}, {{"shape", Ints{0, -1}}});
  }
  return net.finish(net.dense(x, 4));
}

TEST_CASE("stream: every window of a net without padding along time equals its own run") {
  for (const bool is_int8 : {false, true}) {
    for (const int64_t stride : {1, 2, 3}) {
      Net net(6, is_int8);
      CHECK(check_windows(net, keyword_net(net, stride, stride == 1), 20, 57) > 0.6);
    }
  }
}

TEST_CASE("stream: layers that pad a window run over the whole of it, and are named") {
  Net net(7);
  ValueId x = net.input({kUnknown, 12, 6, 1});
  x = net.conv(x, 3, 3, 4);
  x = net.conv(x, 3, 3, 4, {{"padding", std::string("same")}});
  x = net.add(ops::kReshape, {x}, {{"shape", Ints{0, -1}}});
  const Graph graph = net.finish(net.dense(x, 3));
  CHECK(check_windows(net, graph, 12, 30) > 0);
  const auto sequence = make_stream_graph(graph, {.mode = StreamMode::kSequence});
  REQUIRE_FALSE(sequence.ok());
  CHECK(sequence.error().code == ErrorCode::kUnsupported);
  CHECK(sequence.error().message.find("conv") != std::string::npos);
  CHECK(sequence.error().message.find("pads the end of time by 1") != std::string::npos);
  CHECK(open(graph, {})->stream().whole_from.find("conv") != std::string::npos);
}

TEST_CASE("stream: what does not fit is an error that says what would") {
  Net net(8);
  const Graph graph = tcn(net);
  const auto message = [&](const StreamGraphOptions& options) {
    const auto made = make_stream_graph(graph, options);
    return made.ok() ? std::string() : made.error().message;
  };
  CHECK(message({.time_axis = 3}).find("expected 1 to 2") != std::string::npos);
  CHECK(message({.mode = StreamMode::kWindow}).find("say how many frames") != std::string::npos);
  Net strided(9);
  const Graph two = strided.finish(
      strided.conv1d(strided.input({kUnknown, kUnknown, 2}), 2, 2, {{"strides", Ints{1, 2}}}));
  const auto made = make_stream_graph(two, {.frames = 3});
  REQUIRE_FALSE(made.ok());
  CHECK(made.error().message.find("runs of 6 frames") != std::string::npos);
}

}  // namespace
}  // namespace ew::runtime
