#pragma once
// The whole training state of a checkpoint in an `.h5`, in a group that Keras does not look at.
// What Keras itself reads of an optimizer is not enough to continue with the same bits: no layout
// holds the slots of every optimizer, and none the epochs done.

#include "formats/h5_tree.h"
#include "ir/model.h"

namespace ew::formats {

/// Adds the group if the state is that of a checkpoint (CompiledState::progress).
void add_checkpoint(H5Group& root, const ir::CompiledState& state);

/// Takes optimizer, iterations and slots from the group, if there is one. The slots' shapes are
/// left to the optimizer to check. Error kInvalidData.
Status read_checkpoint(const H5Group& root, ir::CompiledState& state);

}  // namespace ew::formats
