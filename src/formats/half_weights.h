#pragma once
// Kernels stored in half the bytes.

#include "ir/tensor.h"

namespace ew::formats {

/// Whether a constant is a float kernel that `dtype` can shorten.
bool is_shortened(const ir::Tensor& weights, DType dtype);

/// `weights` rounded to `dtype`. Error kInvalidArgument for a finite value that becomes infinite.
Result<ir::Tensor> shorten(const ir::Tensor& weights, DType dtype, const std::string& name);

}  // namespace ew::formats
