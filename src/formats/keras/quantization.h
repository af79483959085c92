#pragma once
// The quantisation record as JSON text, for an attribute that Keras ignores. Floats are kept as
// their bits, so that they read back exactly.

#include "base/config.h"
#include "ir/model.h"

namespace ew::formats {

inline constexpr const char* kQuantizationAttribute = "edgewise_quantization";

/// {"profile": "tflm", "values": {name: {"axis": -1, "scale_bits": [...], "zero_points": [...]}}}
Config quantization_to_config(const ir::QuantizationRecord& record);

/// Errors: kInvalidData (not such a map, lists of unequal length, a scale that is not finite and
/// positive).
Result<ir::QuantizationRecord> quantization_from_config(const Config& config);

/// How far a checkpoint's run has come (ir::CompiledState::progress), as JSON.
inline constexpr const char* kProgressAttribute = "edgewise_progress";

}  // namespace ew::formats
