#pragma once
// Kernels stored in half the bytes.

#include "ir/graph.h"

namespace ew::formats {

/// Whether a constant is a float kernel that `dtype` can shorten.
bool is_shortened(const ir::Tensor& weights, DType dtype);

/// `weights` rounded to `dtype`. Error kInvalidArgument for a finite value that becomes infinite.
Result<ir::Tensor> shorten(const ir::Tensor& weights, DType dtype, const std::string& name);
/// Rounds what shorten() would shorten, and keeps it in float32: kernels find by themselves that 16
/// bits hold it. Errors as of shorten().
Status round_weights(ir::Graph& graph, DType dtype);

}  // namespace ew::formats
