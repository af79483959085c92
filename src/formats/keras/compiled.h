#pragma once
// The compiled training state of Keras files.

#include "formats/h5_tree.h"
#include "ir/model.h"

namespace ew::formats {

/// From `training_config` (.h5: "optimizer_config") or `compile_config` (.keras: "optimizer") of
/// either generation, in Keras 3's words: classes without package, functions as names, "accuracy"
/// for the accuracy that Keras 2 had resolved, one flat list of metrics for a model with one
/// output. Error kInvalidData.
Result<ir::CompiledState> read_compiled(const Config& training, size_t outputs);

/// The optimizer's variables: `group` is "optimizer_weights" of an `.h5`.
Status read_h5_optimizer(const H5Group& group, const ir::Graph& graph, ir::CompiledState& state);
/// The same of a `.keras`: the root of model.weights.h5 with optimizer/vars/0, 1, ...
Status read_store_optimizer(const H5Group& root, const ir::Graph& graph,
                            ir::KerasGeneration generation, ir::CompiledState& state);

}  // namespace ew::formats
