#pragma once
// Reads ONNX models (opset 7 to 22) into the graph.

#include <span>
#include <string>

#include "base/result.h"
#include "ir/model.h"

namespace ew::formats::onnx {

/// The model in `bytes`; `path` is for messages and says where external data lies. `inputs`, if not
/// empty, are values of the graph's inputs: where a shape hangs on one (the target of a Reshape,
/// the length of a Range), it is taken as fixed and noted in Model::fixed_inputs. Errors:
/// kInvalidData, kUnsupported (which operator, or which input's value is missing), kResourceLimit,
/// kNotFound for external data.
Result<ir::Model> import_model(std::span<const uint8_t> bytes, const std::string& path,
                               std::span<const ir::Tensor> inputs = {});

/// Whether the bytes look like an ONNX model: they start as a ModelProto does.
bool looks_like_model(std::span<const uint8_t> bytes);

}  // namespace ew::formats::onnx
