#include <doctest/doctest.h>

#include <algorithm>

#include "formats/onnx/import.h"
#include "formats/onnx/write.h"
#include "ops/ops.h"

namespace ew::formats::onnx {
namespace {

ir::Graph read_back(const ir::Graph& graph) {
  const auto bytes = export_graph(graph);
  REQUIRE_MESSAGE(bytes.ok(), bytes.error().message);
  auto model =
      import_model({reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size()}, "m.onnx", {});
  REQUIRE_MESSAGE(model.ok(), model.error().message);
  return std::move(model->graph);
}

int64_t count(const ir::Graph& graph, const ir::OpDef& op) {
  return std::count_if(graph.nodes.begin(), graph.nodes.end(),
                       [&](const ir::Node& node) { return node.op == &op; });
}

TEST_CASE("onnx: frames and powers come back as the operators they were") {
  ir::Graph graph;
  ir::Builder b(graph);
  const ir::ValueId x = b.input("x", {DType::kF32, Shape{kUnknown, 50}, nullptr});
  const ir::ValueId frames =
      b.add(ops::kFrame, {x}, {{"length", int64_t{8}}, {"step", int64_t{3}}});
  graph.outputs.push_back(
      b.add(ops::kDft, {frames},
            {{"length", int64_t{12}}, {"onesided", true}, {"output", std::string("power")}}));
  REQUIRE(b.ok());
  const ir::Graph again = read_back(graph);
  CHECK(count(again, ops::kFrame) == 1);
  CHECK(count(again, ops::kGather) == 0);
  REQUIRE(count(again, ops::kDft) == 1);
  CHECK(again.type(again.outputs[0]) == graph.type(graph.outputs[0]));
  for (const ir::Node& node : again.nodes) {
    if (node.op == &ops::kDft) CHECK(node.attrs.text("output") == "power");
    if (node.op == &ops::kFrame) CHECK(node.attrs.integer("step") == 3);
  }
}

TEST_CASE("onnx: an operator without a form is named") {
  ir::Graph graph;
  ir::Builder b(graph);
  const ir::ValueId x = b.input("x", {DType::kF32, Shape{1, 50}, nullptr});
  graph.outputs.push_back(b.add(ops::kStatistics, {x}));
  const auto bytes = export_graph(graph);
  REQUIRE_FALSE(bytes.ok());
  CHECK(bytes.error().message.find("statistics") != std::string::npos);
}

}  // namespace
}  // namespace ew::formats::onnx
