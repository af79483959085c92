#pragma once
// Writes TFLite models (docs/guide/tflite.md).

#include <vector>

#include "ir/graph.h"

namespace ew::formats {

/// The bytes of a .tflite file for a graph in inference form, quantised or not. Open sizes are
/// written as 1 with an open signature. Error kUnsupported names the node whose operator the format
/// has not. `weights` is how float kernels are stored: kF32, or kF16 behind DEQUANTIZE.
Result<std::vector<uint8_t>> write_tflite(const ir::Graph& graph, DType weights = DType::kF32);

}  // namespace ew::formats
