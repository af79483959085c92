#pragma once
// Batch normalisation folded into the layer before it, in the graph and in the architecture, so
// that the saved model really has fewer layers.

#include <string>
#include <vector>

#include "ir/model.h"

namespace ew::compress {

/// Folds every BatchNormalization that directly follows a convolution, depthwise convolution or
/// dense layer (its only user) with float32 weights: the kernel is scaled, the bias takes the
/// shift (and is added where the layer had none, use_bias becomes true), the layer disappears from
/// the configuration and its users are rewired. The model predicts the same up to rounding.
///
/// If anything was folded, the optimizer's slots are dropped: they belong to other parameters.
/// Layers it cannot fold stay. `folded`, if not null, receives the names of the layers removed.
/// Errors: kInternal for a broken graph.
Result<ir::Model> fold_batch_norm(const ir::Model& model,
                                  std::vector<std::string>* folded = nullptr);

}  // namespace ew::compress
