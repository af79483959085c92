#pragma once
// Keras' model files: `.h5` and `.keras` of both generations, weights-only files, architectures.

#include <cstdint>
#include <span>
#include <string>

#include "formats/h5_reader.h"
#include "ir/model.h"

namespace ew::formats {

/// An architecture on its own: model.to_json(), or what a model file carries.
struct KerasArchitecture {
  Config config;  ///< {"class_name", "config"}
  ir::KerasGeneration generation = ir::KerasGeneration::kKeras3;
  std::string version;
};

/// From JSON text, `.h5` or `.keras`. Errors: kInvalidData, kNotFound.
Result<KerasArchitecture> read_architecture(const std::string& path);

/// `.h5` and `.weights.h5`. A file that holds only weights needs `architecture`, a path for
/// read_architecture(); otherwise it is not looked at.
Result<ir::Model> read_keras_h5(const std::string& path, const std::string& architecture);

/// The same from the content of an `.h5`, as read_h5() gives it; messages begin without a path.
Result<ir::Model> keras_model_of(const H5Group& root, const std::string& architecture = "");

/// `.keras` (a ZIP), from its bytes; `path` is for messages, `limits` are of the weights within.
Result<ir::Model> read_keras_zip(std::span<const uint8_t> bytes, const std::string& path,
                                 const H5ReadLimits& limits = {});

}  // namespace ew::formats
