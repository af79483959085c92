#pragma once
// Copies a graph node by node, so that a pass can drop, replace or insert nodes on the way.

#include <vector>

#include "ir/graph.h"

namespace ew::ir {

/// Starts with the source's inputs, parameters and constants (in their order) and no nodes. A pass
/// calls copy() for nodes it keeps, builds others with b(), and says by map() what stands for a
/// value that it did not copy. The source must outlive the rewriter.
class Rewriter {
 public:
  explicit Rewriter(const Graph& source);

  Builder& b() { return builder_; }
  /// The copy's value for a value of the source; kNoValue for kNoValue and for values without one.
  ValueId at(ValueId old) const;
  /// A node's inputs as values of the copy.
  std::vector<ValueId> inputs(const Node& node) const;
  void map(ValueId old, ValueId now) { map_[static_cast<size_t>(old)] = now; }
  /// Emits `node` on the mapped inputs, with its names and quantisation.
  void copy(const Node& node);

  /// The finished graph with the source's outputs, losses, masks and updates. Error: the builder's.
  Result<Graph> finish();

 private:
  const Graph& source_;
  Graph graph_;
  Builder builder_;
  std::vector<ValueId> map_;
};

}  // namespace ew::ir
