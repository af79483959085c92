#pragma once
// One entry for every model format that can be written.

#include <string>
#include <vector>

#include "ir/model.h"

namespace ew::formats {

/// Which Keras generations must open an `.h5`.
enum class KerasVersion {
  kBoth,    ///< one file for both; Keras 2 resumes training from it, Keras 3 evaluates
  kKeras2,  ///< tf-keras' own layout
  kKeras3,  ///< as kBoth without the optimizer's variables, so that Keras 3 can fit() it
};

struct SaveOptions {
  KerasVersion keras_version = KerasVersion::kBoth;
  bool include_optimizer = true;
  /// Of the kernels of float layers in `.tflite` and `.onnx`: kF32, kF16 or (only `.onnx`) kBF16.
  DType weights = DType::kF32;
  bool compress = true;  ///< shuffle and gzip datasets where that makes the file smaller
};

struct SaveReport {
  /// What the reader of the file must know, one sentence each: a generation that cannot open it, an
  /// optimizer whose state does not travel.
  std::vector<std::string> notes;
};

/// Whether files of this suffix hold the graph that inference runs, quantised if the model is.
bool is_deployed_format(const std::string& path);

/// Writes by suffix: `.h5` (docs/guide/keras-files.md), `.keras` (Keras 3), `.tflite` or `.onnx`,
/// for which the graph must be the one that inference runs (is_deployed_format()). Errors:
/// kUnsupported for another suffix or a model that did not come from Keras; kIo; nothing is left
/// half written.
Result<SaveReport> save_model(const ir::Model& model, const std::string& path,
                              const SaveOptions& options = {});

}  // namespace ew::formats
