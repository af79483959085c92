#pragma once
// Reads TFLite models (docs/guide/tflite.md).

#include <span>
#include <string>

#include "ir/model.h"

namespace ew::formats {

/// Whether the bytes carry the format's mark.
bool is_tflite(std::span<const uint8_t> bytes);

/// The model in a TFLite file's bytes. Quantised tensors keep the file's scales and zero points,
/// and integer operators compute by `profile`. Float weights become parameters. `where` begins
/// messages. Errors: kInvalidData (damaged), kUnsupported (an operator or type, with its node
/// number), kResourceLimit.
Result<ir::Model> read_tflite(std::span<const uint8_t> bytes, const std::string& where,
                              ir::Int8Profile profile);

}  // namespace ew::formats
