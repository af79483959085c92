#pragma once
// Writes a graph as ONNX (opset 17).

#include <string>

#include "base/result.h"
#include "ir/graph.h"

namespace ew::formats::onnx {

/// The bytes of a model file. `graph` is in its inference form, float or quantised; int8 becomes
/// pairs of QuantizeLinear and DequantizeLinear around float operators. Inputs and outputs keep the
/// graph's layout. Errors: kUnsupported names an operator that has no ONNX form; kResourceLimit
/// above 2 GiB. `weights` is how float kernels are stored: kF32, or kF16 or kBF16 behind a Cast.
Result<std::string> export_graph(const ir::Graph& graph, DType weights = DType::kF32);

/// The same, into a file.
Status write_onnx(const ir::Graph& graph, const std::string& path, DType weights = DType::kF32);

}  // namespace ew::formats::onnx
