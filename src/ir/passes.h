#pragma once
// Passes that every user of the graph shares.

#include <span>

#include "ir/graph.h"

namespace ew::ir {

/// The graph with every unknown dimension fixed: axis 0 of an input to one sample, others to
/// `other`. Errors as specialize().
Result<Graph> for_one_sample(const Graph& graph, int64_t other = 1);

/// Removes the nodes from index `begin` on that nothing needs: not the graph's outputs, losses,
/// masks or updates, nor `keep`. Value ids stay valid.
void remove_dead_nodes(Graph& graph, std::span<const ValueId> keep = {}, size_t begin = 0);

/// Keeps the values in `order` (every one that the graph uses, each once) and renumbers them so.
void reorder_values(Graph& graph, std::span<const ValueId> order);

/// Drops the values that neither a node nor the graph's ends refer to. Value ids change.
void remove_unused_values(Graph& graph);

}  // namespace ew::ir
