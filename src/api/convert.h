#pragma once
// Between the public Array and the library's Tensor.

#include "edgewise/array.h"
#include "ir/tensor.h"

namespace ew::api {

/// A copy of the elements.
ir::Tensor to_tensor(const Array& array);
/// Shares the tensor's storage.
Array to_array(ir::Tensor tensor);

}  // namespace ew::api
