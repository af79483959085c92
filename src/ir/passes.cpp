#include "ir/passes.h"

#include <algorithm>

namespace ew::ir {

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

}  // namespace ew::ir
