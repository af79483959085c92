// Weights in fewer bits than float32, written and read back.
#include <doctest/doctest.h>

#include <cmath>

#include "formats/onnx/import.h"
#include "formats/onnx/write.h"
#include "formats/tflite/read_tflite.h"
#include "formats/tflite/write_tflite.h"
#include "ops/ops.h"

namespace ew::formats {
namespace {

using ir::Tensor;

Tensor wave(Shape shape) {
  Tensor t(DType::kF32, std::move(shape));
  float phase = 0;
  for (float& v : t.mutable_values<float>()) v = std::sin(phase += 0.37F);
  return t;
}

/// [K, N] values in [-8, 7], with a scale per output and group of inputs (0: all).
Tensor four_bits(int64_t inputs, int64_t outputs, int64_t group) {
  ir::QuantParams quant;
  quant.axis = 1;
  const int64_t groups = group == 0 ? 1 : (inputs + group - 1) / group;
  for (int64_t i = 0; i < groups * outputs; ++i) {
    quant.scales.push_back(0.01F * static_cast<float>(1 + i % 17));
    quant.zero_points.push_back(0);
  }
  Tensor t(DType::kI8, Shape{inputs, outputs});
  int64_t i = 0;
  for (int8_t& v : t.mutable_values<int8_t>()) v = static_cast<int8_t>(i++ * 7 % 16 - 8);
  t.set_quant(std::make_shared<const ir::QuantParams>(quant));
  return t;
}

ir::Graph dense(Tensor w, const ir::Attrs& attrs = {}) {
  ir::Graph graph;
  ir::Builder b(graph);
  const ir::ValueId x = b.input("x", {DType::kF32, Shape{1, w.shape()[0]}, nullptr});
  const ir::ValueId bias = b.constant(wave({w.shape()[1]}), "bias");
  graph.outputs.push_back(b.add(ops::kDense, {x, b.constant(std::move(w), "w"), bias}, attrs));
  return graph;
}

const Tensor& kernel_of(const ir::Graph& graph) {
  for (const ir::Node& node : graph.nodes) {
    if (node.op == &ops::kDense) return graph.value(node.inputs[1]).data;
  }
  FAIL("no dense layer");
  return graph.values[0].data;
}

TEST_CASE("half weights: a .tflite is half as large and reads as the rounded values") {
  const Tensor w = wave({64, 80});
  const auto plain = write_tflite(dense(w));
  const auto half = write_tflite(dense(w), DType::kF16);
  REQUIRE_MESSAGE(plain.ok(), plain.error().message);
  REQUIRE_MESSAGE(half.ok(), half.error().message);
  CHECK(half->size() < plain->size() * 6 / 10);
  const auto again = read_tflite(*half, "half", ir::Int8Profile::kTflm);
  REQUIRE_MESSAGE(again.ok(), again.error().message);
  const Tensor want = w.cast(DType::kF16).cast(DType::kF32);
  CHECK(std::memcmp(kernel_of(again->graph).data(), want.data(), want.size_bytes()) == 0);
}

TEST_CASE(
    "half weights: an .onnx is half as large in either type and reads as the rounded values") {
  const Tensor w = wave({64, 80});
  const auto plain = onnx::export_graph(dense(w));
  REQUIRE(plain.ok());
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    const auto half = onnx::export_graph(dense(w), dtype);
    REQUIRE(half.ok());
    CHECK(half->size() < plain->size() * 6 / 10);
    const auto* bytes = reinterpret_cast<const uint8_t*>(half->data());
    const auto again = onnx::import_model({bytes, half->size()}, "half.onnx");
    REQUIRE_MESSAGE(again.ok(), again.error().message);
    const Tensor want = w.cast(dtype).cast(DType::kF32);
    CHECK(std::memcmp(kernel_of(again->graph).data(), want.data(), want.size_bytes()) == 0);
  }
}

TEST_CASE("half weights: a value that does not fit is an error with the weight's name") {
  Tensor w = wave({64, 80});
  w.mutable_values<float>()[5] = 1e6F;
  const auto bytes = write_tflite(dense(w), DType::kF16);
  REQUIRE_FALSE(bytes.ok());
  CHECK(bytes.error().message.find("'w' does not fit float16") != std::string::npos);
}

TEST_CASE("half activations: have no place in a .tflite, whose kernels compute in float32") {
  ir::Graph graph;
  ir::Builder b(graph);
  const ir::ValueId x = b.input("x", {DType::kF16, Shape{1, 4}, nullptr});
  graph.outputs = {b.add(ops::kRelu, {x})};
  const auto bytes = write_tflite(graph);
  REQUIRE_FALSE(bytes.ok());
  CHECK(bytes.error().message.find("relu of float16") != std::string::npos);
}

TEST_CASE("int4 weights: a .tflite holds two to a byte and reads as the same integers") {
  const Tensor w = four_bits(63, 81, 0);
  const auto bytes = write_tflite(dense(w, {{"asymmetric_inputs", true}}));
  REQUIRE_MESSAGE(bytes.ok(), bytes.error().message);
  CHECK(bytes->size() < static_cast<size_t>(w.size()) / 2 + 3000);
  const auto again = read_tflite(*bytes, "int4", ir::Int8Profile::kTflm);
  REQUIRE_MESSAGE(again.ok(), again.error().message);
  const Tensor& got = kernel_of(again->graph);
  CHECK(got.type() == w.type());
  CHECK(std::memcmp(got.data(), w.data(), w.size_bytes()) == 0);
  CHECK_FALSE(write_tflite(dense(four_bits(64, 80, 32))).ok());
}

TEST_CASE("int4 weights: an .onnx keeps groups of inputs, the last of them short") {
  for (const int64_t inputs : {64, 72}) {
    const Tensor w = four_bits(inputs, 80, 32);
    const auto bytes = onnx::export_graph(dense(w, {{"asymmetric_inputs", true}}));
    REQUIRE_MESSAGE(bytes.ok(), bytes.error().message);
    const auto* data = reinterpret_cast<const uint8_t*>(bytes->data());
    const auto again = onnx::import_model({data, bytes->size()}, "int4.onnx");
    REQUIRE_MESSAGE(again.ok(), again.error().message);
    const Tensor& got = kernel_of(again->graph);
    CHECK(got.type() == w.type());
    CHECK(std::memcmp(got.data(), w.data(), w.size_bytes()) == 0);
  }
}

}  // namespace
}  // namespace ew::formats
