#include "api/model_impl.h"
#include "compress/quantize.h"
#include "ops/ops.h"
#include "ops/passes.h"

namespace ew::api {

Result<ir::Graph> inference_graph(const ir::Model& model) {
  if (model.is_executable && !model.quantization) return model.graph;
  return compress::deployed_graph(model);
}

Result<ir::Graph> executable_graph(const ir::Model& model) {
  EW_TRY(ir::Graph graph, inference_graph(model));
  if (model.is_executable && !model.quantization) return graph;
  return ops::fuse_for_execution(graph);
}

namespace {

bool is_quantised(const ir::Graph& graph, ir::ValueId id) {
  return id != ir::kNoValue && graph.type(id).quant != nullptr;
}

/// A node of one input and one output that stands at `index`.
ir::Node border(ir::Graph& graph, const ir::OpDef& op, ir::Attrs attrs, ir::ValueId from,
                ir::ValueId to, size_t index) {
  graph.value(to).kind = ir::ValueKind::kComputed;
  graph.value(to).producer = static_cast<int>(index);
  return {&op, std::move(attrs), {from}, {to}, ""};
}

}  // namespace

ir::Graph with_real_ports(ir::Graph graph) {
  std::vector<ir::Node> first;
  for (ir::ValueId& id : graph.inputs) {
    if (!is_quantised(graph, id)) continue;
    const ir::Value& old = graph.value(id);
    ir::Value real{old.name, {DType::kF32, old.type.shape, nullptr}, ir::ValueKind::kInput, -1, {},
                   nullptr};
    const ir::Attrs attrs{{"to", std::string(dtype_name(old.type.dtype))}};
    graph.values.push_back(std::move(real));
    const auto now = static_cast<ir::ValueId>(graph.values.size()) - 1;
    first.push_back(border(graph, ops::kQuantize, attrs, now, id, first.size()));
    id = now;
  }
  for (const ir::Node& node : graph.nodes) {
    for (const ir::ValueId id : node.outputs) {
      graph.value(id).producer += static_cast<int>(first.size());
    }
  }
  graph.nodes.insert(graph.nodes.begin(), first.begin(), first.end());
  for (ir::ValueId& id : graph.outputs) {
    if (!is_quantised(graph, id)) continue;
    ir::Value real{graph.value(id).name,
                   {DType::kF32, graph.type(id).shape, nullptr},
                   ir::ValueKind::kComputed,
                   -1,
                   {},
                   nullptr};
    graph.values.push_back(std::move(real));
    const auto now = static_cast<ir::ValueId>(graph.values.size()) - 1;
    graph.nodes.push_back(border(graph, ops::kDequantize, {}, id, now, graph.nodes.size()));
    id = now;
  }
  return graph;
}

Result<ir::Model> deployed_model(const ir::Model& model) {
  ir::Model deployed;
  deployed.architecture.version = model.architecture.version;
  deployed.is_executable = true;
  deployed.fixed_inputs = model.fixed_inputs;
  EW_TRY(deployed.graph, executable_graph(model));
  return deployed;
}

}  // namespace ew::api
