#pragma once
// Types and constant contents of a file's tensors.

#include "formats/tflite/schema.h"
#include "ir/tensor.h"

namespace ew::formats::tflite {

/// The tensor's type as the graph knows it. int4 counts as int8. Errors: kUnsupported for strings
/// and other element types that we have not; kInvalidData for scales that are not positive or do
/// not fit the shape.
Result<ir::TensorType> tensor_type(const TensorInfo& info);

/// The contents of a constant: int4 unpacked, sparse tensors made dense; variables start at zero.
/// Error kInvalidData if the stored bytes are not what the type needs.
Result<ir::Tensor> stored_tensor(const TensorInfo& info);

/// The bytes of a sparse tensor as those of a dense one (the schema's SparsityParameters).
Result<std::vector<uint8_t>> densify(const TensorInfo& info, size_t element_bytes);

}  // namespace ew::formats::tflite
