#include "ir/passes.h"

#include <algorithm>

namespace ew::ir {

Result<Graph> for_one_sample(const Graph& graph, int64_t other) {
  std::vector<Shape> shapes;
  for (const ValueId id : graph.inputs) {
    Shape shape = graph.type(id).shape;
    for (int d = 0; d < shape.rank(); ++d) {
      if (shape[d] == kUnknown) shape[d] = d == 0 ? 1 : other;
    }
    shapes.push_back(std::move(shape));
  }
  return specialize(graph, shapes);
}

void remove_dead_nodes(Graph& graph, std::span<const ValueId> keep, size_t begin) {
  std::vector<bool> needed(graph.values.size(), false);
  const auto need = [&](ValueId id) {
    if (id != kNoValue) needed[static_cast<size_t>(id)] = true;
  };
  std::for_each(graph.outputs.begin(), graph.outputs.end(), need);
  std::for_each(graph.losses.begin(), graph.losses.end(), need);
  std::for_each(graph.output_masks.begin(), graph.output_masks.end(), need);
  std::for_each(keep.begin(), keep.end(), need);
  for (const Update& update : graph.updates) need(update.value);

  std::vector<Node> live;
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    Node& node = graph.nodes[i];
    const bool is_live =
        i < begin || std::any_of(
                         node.outputs.begin(), node.outputs.end(),
                         [&](ValueId id) { return needed[static_cast<size_t>(id)]; });
    if (!is_live) continue;
    std::for_each(node.inputs.begin(), node.inputs.end(), need);
    live.push_back(std::move(node));
  }
  std::reverse(live.begin(), live.end());
  graph.nodes = std::move(live);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const ValueId id : graph.nodes[i].outputs) graph.value(id).producer = static_cast<int>(i);
  }
}

void reorder_values(Graph& graph, std::span<const ValueId> order) {
  std::vector<ValueId> now(graph.values.size(), kNoValue);
  std::vector<Value> values;
  for (const ValueId id : order) {
    now[static_cast<size_t>(id)] = static_cast<ValueId>(values.size());
    values.push_back(std::move(graph.value(id)));
  }
  graph.values = std::move(values);
  const auto renumber = [&](ValueId& id) {
    if (id != kNoValue) id = now[static_cast<size_t>(id)];
  };
  for (Node& node : graph.nodes) {
    std::for_each(node.inputs.begin(), node.inputs.end(), renumber);
    std::for_each(node.outputs.begin(), node.outputs.end(), renumber);
  }
  std::for_each(graph.inputs.begin(), graph.inputs.end(), renumber);
  std::for_each(graph.outputs.begin(), graph.outputs.end(), renumber);
  std::for_each(graph.losses.begin(), graph.losses.end(), renumber);
  std::for_each(graph.output_masks.begin(), graph.output_masks.end(), renumber);
  for (Update& update : graph.updates) {
    renumber(update.parameter);
    renumber(update.value);
  }
}

void remove_unused_values(Graph& graph) {
  std::vector<int> uses = graph.use_counts();
  const auto use = [&](ValueId id) { ++uses[static_cast<size_t>(id)]; };
  std::for_each(graph.inputs.begin(), graph.inputs.end(), use);
  for (const Node& node : graph.nodes) std::for_each(node.outputs.begin(), node.outputs.end(), use);
  for (const Update& update : graph.updates) use(update.parameter);
  std::vector<ValueId> order;
  for (size_t i = 0; i < uses.size(); ++i) {
    if (uses[i] > 0) order.push_back(static_cast<ValueId>(i));
  }
  reorder_values(graph, order);
}

}  // namespace ew::ir
