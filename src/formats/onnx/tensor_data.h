#pragma once
// The contents of TensorProto messages.

#include <string>

#include "formats/onnx/proto.h"
#include "ir/tensor.h"

namespace ew::formats::onnx {

/// Our dtype for one of the file's. 4-bit integers are unpacked to 8 bits. Error kUnsupported for
/// strings, complex numbers and 8-bit floats.
Result<DType> dtype_of(int32_t data_type);
/// Whether it is one of the 4-bit integers.
bool is_nibble(int32_t data_type);
/// The reverse; every dtype of ours has one.
OnnxType onnx_type(DType dtype);

/// The tensor. External data is read from `folder`, whose files alone a model may name. Errors:
/// kInvalidData for contents that do not fill the shape or a location outside the folder;
/// kUnsupported for an element type; kResourceLimit; kNotFound.
Result<ir::Tensor> to_tensor(const TensorProto& proto, const std::string& folder);

}  // namespace ew::formats::onnx
