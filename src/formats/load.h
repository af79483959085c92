#pragma once
// One entry for every model format that can be read.

#include <string>
#include <vector>

#include "ir/model.h"

namespace ew::formats {

struct LoadOptions {
  /// For files that hold only weights: the architecture, a JSON file or another model.
  std::string architecture;
  /// How integer operators of TFLite files round.
  ir::Int8Profile int8_profile = ir::Int8Profile::kTflm;
  /// Values for the inputs, in order; used where a shape of an ONNX model hangs on one.
  std::vector<ir::Tensor> inputs = {};
};

/// Reads a model; `FILE#offset=A,length=B` is a model inside a container. The content decides the
/// format; the suffix only helps to word errors. Errors say what was expected, what was found and
/// where: kNotFound, kIo, kInvalidData, kUnsupported, kResourceLimit.
Result<ir::Model> load_model(const std::string& path, const LoadOptions& options = {});

}  // namespace ew::formats
