#pragma once
// Weights in four bits, activations real.

#include "ir/graph.h"

namespace ew::compress {

/// The float kernels [K, N] of dense layers as integers in [-7, 7], with a scale per output, or
/// (`group` > 0) per output and `group` inputs: largest magnitude / 7. Their inputs are then
/// quantised while the model runs (ops/hybrid.h). Kernels of fewer than 4096 weights stay. Error
/// kInvalidArgument for a group that is no power of two from 16 on, or where no layer has such a
/// kernel.
Result<ir::Graph> quantize_weights_int4(const ir::Graph& graph, int64_t group);

}  // namespace ew::compress
