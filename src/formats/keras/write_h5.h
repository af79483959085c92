#pragma once
// Keras files from a model; formats/save.h is the entry.

#include "formats/save.h"

namespace ew::formats {

Result<SaveReport> write_keras_h5(const ir::Model& model, const std::string& path,
                                  const SaveOptions& options);
Result<SaveReport> write_keras_zip(const ir::Model& model, const std::string& path,
                                   const SaveOptions& options);

}  // namespace ew::formats
