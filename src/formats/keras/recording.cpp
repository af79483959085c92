#include "formats/keras/recording.h"

#include <algorithm>
#include <map>

#include "formats/keras/importer.h"

namespace ew::formats {
namespace {

using Node = std::pair<size_t, size_t>;  // layer, call

// The traversal of Keras' map_graph_network: depth first from each output, inputs in order.
class Traversal {
 public:
  explicit Traversal(const Recording& recording) : recording_(recording) {}

  // Not recursive: a chain may have thousands of layers.
  void visit(const Node& start) {
    std::vector<std::pair<Node, size_t>> stack;
    const auto enter = [&](const Node& node) {
      if (seen_.contains(node)) return;
      seen_[node] = true;
      layer_indices_.emplace(node.first, layer_indices_.size());
      stack.push_back({node, 0});
    };
    enter(start);
    while (!stack.empty()) {
      const Node node = stack.back().first;
      const std::vector<RecordedTensor>& refs = call(node).refs;
      if (stack.back().second == refs.size()) {
        finished_.push_back(node);
        stack.pop_back();
        continue;
      }
      const RecordedTensor& next = refs[stack.back().second++];
      enter({next.layer, next.call});
    }
  }

  std::vector<size_t> order() {
    std::map<Node, int64_t> node_depth;
    std::map<size_t, int64_t> layer_depth;
    for (auto it = finished_.rbegin(); it != finished_.rend(); ++it) {
      const int64_t depth = std::max(node_depth[*it], layer_depth[it->first]);
      node_depth[*it] = layer_depth[it->first] = depth;
      for (const RecordedTensor& ref : call(*it).refs) {
        int64_t& below = node_depth[{ref.layer, ref.call}];
        below = std::max(below, depth + 1);
      }
    }
    // Inputs that no output depends on stay.
    for (const RecordedTensor& input : recording_.inputs) layer_depth.emplace(input.layer, 0);
    std::vector<size_t> layers;
    for (const auto& [layer, depth] : layer_depth) layers.push_back(layer);
    const auto index = [&](size_t layer) {
      const auto found = layer_indices_.find(layer);
      return found == layer_indices_.end() ? -1 : static_cast<int64_t>(found->second);
    };
    std::sort(layers.begin(), layers.end(), [&](size_t a, size_t b) {
      return std::make_pair(-layer_depth[a], index(a)) < std::make_pair(-layer_depth[b], index(b));
    });
    return layers;
  }

 private:
  const RecordedCall& call(const Node& node) const {
    return recording_.layers[node.first].calls[node.second];
  }

  const Recording& recording_;
  std::map<Node, bool> seen_;
  std::map<size_t, size_t> layer_indices_;
  std::vector<Node> finished_;
};

}  // namespace

std::vector<size_t> keras_order(const Recording& recording) {
  if (recording.is_chain) {
    std::vector<size_t> order(recording.layers.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    return order;
  }
  Traversal traversal(recording);
  for (const RecordedTensor& output : recording.outputs) {
    traversal.visit({output.layer, output.call});
  }
  return traversal.order();
}

}  // namespace ew::formats
