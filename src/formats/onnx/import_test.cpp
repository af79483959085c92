#include "formats/onnx/import.h"

#include <doctest/doctest.h>

#include <cstdio>

#include "formats/load.h"
#include "formats/onnx/wire.h"
#include "formats/onnx/write.h"
#include "ir/graph.h"
#include "ops/ops.h"
#include "testing/temporary_folder.h"

namespace ew::formats::onnx {
namespace {

// Models from a few lines: nodes and initialisers as messages.
struct TestModel {
  WireWriter graph;
  int64_t opset = 17;

  void node(const char* op, std::vector<std::string> in, std::vector<std::string> out,
            const WireWriter& attributes = {}) {
    WireWriter n;
    for (const std::string& name : in) n.text(1, name);
    for (const std::string& name : out) n.text(2, name);
    n.text(4, op);
    WireReader r(
        {reinterpret_cast<const uint8_t*>(attributes.data().data()), attributes.data().size()});
    for (Field f; r.next(f);) n.bytes(5, f.bytes);
    graph.message(1, n);
  }

  void floats(const char* name, std::vector<int64_t> dims, std::vector<float> values) {
    WireWriter t;
    for (const int64_t d : dims) t.varint(1, d);
    t.varint(2, 1);
    for (const float v : values) t.real32(4, v);
    t.text(8, name);
    graph.message(5, t);
  }

  void ints(const char* name, std::vector<int64_t> values) {
    WireWriter t;
    t.varint(1, static_cast<int64_t>(values.size()));
    t.varint(2, 7);
    for (const int64_t v : values) t.varint(7, v);
    t.text(8, name);
    graph.message(5, t);
  }

  void port(uint32_t id, const char* name, std::vector<int64_t> dims, int64_t type = 1) {
    WireWriter shape;
    for (const int64_t d : dims) {
      WireWriter dim;
      if (d < 0) {
        dim.text(2, "N");
      } else {
        dim.varint(1, d);
      }
      shape.message(1, dim);
    }
    WireWriter tensor;
    tensor.varint(1, type);
    tensor.message(2, shape);
    WireWriter wrapped;
    wrapped.message(1, tensor);
    WireWriter info;
    info.text(1, name);
    info.message(2, wrapped);
    graph.message(id, info);
  }
  void input(const char* name, std::vector<int64_t> dims, int64_t type = 1) {
    port(11, name, std::move(dims), type);
  }
  void output(const char* name) { port(12, name, {}); }

  std::string bytes() const {
    WireWriter set;
    set.text(1, "");
    set.varint(2, opset);
    WireWriter m;
    m.varint(1, 8);
    m.message(7, graph);
    m.message(8, set);
    return m.data();
  }
  Result<ir::Model> read(std::span<const ir::Tensor> inputs = {}) const {
    const std::string data = bytes();
    return import_model({reinterpret_cast<const uint8_t*>(data.data()), data.size()}, "m.onnx",
                        inputs);
  }
};

WireWriter attribute(const char* name, int64_t i) {
  WireWriter a;
  a.text(1, name);
  a.varint(3, i);
  a.varint(20, 2);
  WireWriter list;
  list.message(1, a);
  return list;
}

// The first output of a model whose inputs are all constants.
std::vector<float> constant_output(const TestModel& m) {
  const Result<ir::Model> model = m.read();
  REQUIRE_MESSAGE(model.ok(), model.error().message);
  const ir::Value& value = model->graph.value(model->graph.outputs[0]);
  REQUIRE(value.kind == ir::ValueKind::kConstant);
  const ir::Tensor wide = value.data.cast(DType::kF32);
  return {wide.values<float>().begin(), wide.values<float>().end()};
}

std::string error_of(const TestModel& m, ErrorCode code) {
  const Result<ir::Model> model = m.read();
  REQUIRE_FALSE(model.ok());
  CHECK(model.error().code == code);
  return model.error().message;
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

int count_nodes(const ir::Graph& g, const ir::OpDef& op) {
  int n = 0;
  for (const ir::Node& node : g.nodes) n += node.op == &op ? 1 : 0;
  return n;
}

}  // namespace

TEST_CASE("onnx: constants are folded") {
  TestModel m;
  m.floats("a", {2}, {1, 2});
  m.floats("b", {2}, {10, 20});
  m.node("Add", {"a", "b"}, {"s"});
  m.node("ReduceSum", {"s"}, {"y"});
  m.output("y");
  CHECK(constant_output(m) == std::vector<float>{33});
}

TEST_CASE("onnx: softmax up to opset 12 takes the axis and all behind it as one") {
  TestModel m;
  m.floats("x", {1, 2, 2}, {0, 0, 0, 0});
  m.node("Softmax", {"x"}, {"y"});
  m.output("y");
  m.opset = 12;
  CHECK(constant_output(m) == std::vector<float>(4, 0.25F));
  m.opset = 13;
  CHECK(constant_output(m) == std::vector<float>(4, 0.5F));
}

TEST_CASE("onnx: chains of convolutions run channels last with no transposition between") {
  TestModel m;
  m.input("x", {-1, 2, 5, 5});
  m.floats("w", {3, 2, 1, 1}, {1, 2, 3, 4, 5, 6});
  m.floats("v", {2, 3, 1, 1}, {1, 2, 3, 4, 5, 6});
  m.node("Conv", {"x", "w"}, {"a"});
  m.node("Relu", {"a"}, {"b"});
  m.node("Conv", {"b", "v"}, {"y"});
  m.output("y");
  const ir::Model model = m.read().value();
  CHECK(count_nodes(model.graph, ops::kConv) == 2);
  CHECK(count_nodes(model.graph, ops::kTranspose) == 2);
  // Input and output keep the file's layout.
  CHECK(model.graph.type(model.graph.inputs[0]).shape == Shape{kUnknown, 2, 5, 5});
  CHECK(model.graph.type(model.graph.outputs[0]).shape == Shape{kUnknown, 2, 5, 5});
  CHECK(model.graph.parameters().size() == 2);
}

TEST_CASE("onnx: shapes computed from an open batch are followed") {
  TestModel m;
  m.input("x", {-1, 4, 6});
  m.node("Shape", {"x"}, {"s"});
  m.ints("zero", {0});
  m.node("Gather", {"s", "zero"}, {"n"});
  m.ints("rest", {24});
  m.node("Concat", {"n", "rest"}, {"t"}, attribute("axis", 0));
  m.node("Reshape", {"x", "t"}, {"y"});
  m.output("y");
  const ir::Model model = m.read().value();
  CHECK(model.graph.type(model.graph.outputs[0]).shape == Shape{kUnknown, 24});
}

TEST_CASE("onnx: an input whose value decides a shape must be given, and is then fixed") {
  TestModel m;
  m.input("x", {6});
  m.input("shape", {2}, 7);
  m.node("Reshape", {"x", "shape"}, {"y"});
  m.output("y");
  CHECK(contains(error_of(m, ErrorCode::kUnsupported), "depends on the values of 'shape'"));
  const std::vector<ir::Tensor> inputs{
      ir::Tensor(DType::kF32, Shape{6}),
      ir::Tensor::from<int64_t>(std::vector<int64_t>{2, 3}, Shape{2})};
  const ir::Model model = m.read(inputs).value();
  CHECK(model.graph.type(model.graph.outputs[0]).shape == Shape{2, 3});
  CHECK(model.fixed_inputs.size() == 1);
  CHECK(model.fixed_inputs.contains("shape"));
}

TEST_CASE("onnx: what is missing is named") {
  TestModel m;
  m.input("x", {2});
  m.node("Frobnicate", {"x"}, {"y"});
  m.output("y");
  CHECK(contains(error_of(m, ErrorCode::kUnsupported), "operator Frobnicate"));
  m.opset = 99;
  CHECK(contains(error_of(m, ErrorCode::kUnsupported), "operator set 99; expected 7 to 22"));
}

TEST_CASE("onnx: names that nothing computes, and wrong shapes, are errors with the node") {
  TestModel m;
  m.input("x", {2});
  m.node("Add", {"x", "nothing"}, {"y"});
  m.output("y");
  CHECK(contains(error_of(m, ErrorCode::kInvalidData), "'nothing' is computed nowhere before"));
  TestModel n;
  n.input("x", {1, 3, 4, 4});
  n.floats("w", {1, 2, 1, 1}, {1, 2});
  n.node("Conv", {"x", "w"}, {"y"});
  n.output("y");
  CHECK(contains(error_of(n, ErrorCode::kInvalidData), "do not fit together"));
}

TEST_CASE("onnx: tensors must hold what their shape says") {
  TestModel m;
  m.floats("a", {3}, {1, 2});
  m.node("Neg", {"a"}, {"y"});
  m.output("y");
  CHECK(
      contains(error_of(m, ErrorCode::kInvalidData), "tensor 'a' of shape (3,): found 2 elements"));
  TestModel big;
  big.floats("a", {int64_t{1} << 40}, {1});
  CHECK(contains(error_of(big, ErrorCode::kResourceLimit), "tensor 'a'"));
}

TEST_CASE("onnx: constants grow no further than the file's size justifies") {
  TestModel m;
  m.ints("n", {1 << 12, 1 << 12});
  m.floats("one", {1}, {1});
  m.node("Expand", {"one", "n"}, {"a0"});
  for (int i = 0; i < 8; ++i) {
    m.node("Neg", {"a" + std::to_string(i)}, {"a" + std::to_string(i + 1)});
  }
  m.output("a8");
  CHECK(contains(error_of(m, ErrorCode::kResourceLimit), "beyond what its size justifies"));
}

TEST_CASE("onnx: external data stays in the model's folder") {
  const auto model_with = [](const char* location) {
    WireWriter entry;
    entry.text(1, "location");
    entry.text(2, location);
    WireWriter t;
    t.varint(1, 2);
    t.varint(2, 1);
    t.text(8, "a");
    t.message(13, entry);
    t.varint(14, 1);
    TestModel m;
    m.graph.message(5, t);
    m.node("Neg", {"a"}, {"y"});
    m.output("y");
    return m;
  };
  for (const char* location : {"/etc/hostname", "../secret", "a/../../secret", ""}) {
    CHECK(contains(error_of(model_with(location), ErrorCode::kInvalidData),
                   "expected a path inside the model's folder"));
  }
  CHECK(contains(error_of(model_with("nowhere.bin"), ErrorCode::kNotFound), "nowhere.bin"));
}

TEST_CASE("onnx: errors of operands end the reading before anything is made of them") {
  TestModel cast;  // no input at all
  cast.node("Cast", {}, {"y"}, attribute("to", 1));
  cast.output("y");
  CHECK(contains(error_of(cast, ErrorCode::kInvalidData), "expected at least 1 inputs"));
  TestModel reverse;  // lengths that do not fit the batch
  reverse.input("x", {4, 3});
  reverse.ints("n", {1, 2});
  reverse.node("ReverseSequence", {"x", "n"}, {"y"});
  reverse.output("y");
  CHECK_FALSE(reverse.read().ok());
}

TEST_CASE("onnx: every shorter form of a file ends in an error or a model, never in a crash") {
  TestModel m;
  m.input("x", {-1, 2, 5, 5});
  m.floats("w", {3, 2, 1, 1}, {1, 2, 3, 4, 5, 6});
  m.node("Conv", {"x", "w"}, {"a"});
  m.node("GlobalAveragePool", {"a"}, {"y"});
  m.output("y");
  const std::string whole = m.bytes();
  for (size_t n = 0; n < whole.size(); ++n) {
    const auto* data = reinterpret_cast<const uint8_t*>(whole.data());
    CHECK_FALSE(import_model({data, n}, "cut.onnx").ok());
  }
}

TEST_CASE("onnx: what is written is read back as the same operators") {
  TestModel m;
  m.input("x", {-1, 2, 6, 6});
  m.floats("w", {3, 2, 1, 1}, {1, 2, 3, 4, 5, 6});
  m.node("Conv", {"x", "w"}, {"a"});
  m.node("Relu", {"a"}, {"b"});
  m.node("GlobalAveragePool", {"b"}, {"c"});
  m.node("Flatten", {"c"}, {"y"});
  m.output("y");
  const ir::Model model = m.read().value();
  testing::TemporaryFolder folder;
  REQUIRE(write_onnx(model.graph, folder.path("m.onnx")).ok());
  const ir::Model again = load_model(folder.path("m.onnx")).value();
  CHECK(count_nodes(again.graph, ops::kConv) == 1);
  CHECK(count_nodes(again.graph, ops::kRelu) == 1);
  CHECK(count_nodes(again.graph, ops::kReduceMean) == 1);
  CHECK(again.graph.value(again.graph.inputs[0]).name == "x");
  CHECK(again.graph.value(again.graph.outputs[0]).name == "y");
  const ir::Value& kernel = again.graph.value(again.graph.parameters()[0]);
  CHECK(kernel.data.values<float>()[1] == 3);  // [1, 1, C, O]: input 0 to output 1
}

TEST_CASE("onnx: an operator without an ONNX form is named") {
  ir::Graph g;
  ir::Builder b(g);
  const ir::ValueId x = b.input("x", {DType::kF32, Shape{2, 3}, nullptr});
  b.set_origin("keras:odd");
  g.outputs.push_back(b.add(ops::kReluGrad, {x, x, x}));
  const Result<std::string> bytes = export_graph(g);
  REQUIRE_FALSE(bytes.ok());
  CHECK(bytes.error().message == "keras:odd (relu_grad): has no ONNX form");
}

}  // namespace ew::formats::onnx
