#include "formats/load.h"

#include <string_view>

#include "base/file.h"
#include "formats/container.h"
#include "formats/keras/keras_file.h"
#include "formats/onnx/import.h"
#include "formats/tflite/read_tflite.h"

namespace ew::formats {

Result<ir::Model> load_model(const std::string& path, const LoadOptions& options) {
  if (is_directory(path)) {
    return unsupported(path, ": is a folder; expected a model file (.h5, .keras, .tflite, .onnx)");
  }
  EW_TRY(const std::vector<uint8_t> bytes, read_part(path));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("PK\x03\x04")) return read_keras_zip(bytes, path);
  if (is_tflite(bytes)) return read_tflite(bytes, path, options.int8_profile);
  const std::string suffix = file_suffix(path);
  // A user block may stand before HDF5's signature, so the suffix counts too.
  if (text.starts_with("\x89HDF\r\n\x1a\n") || suffix == ".h5" || suffix == ".hdf5") {
    return read_keras_h5(path, options.architecture);
  }
  if (text.empty()) return invalid_data(path, ": the file is empty");
  if (text.starts_with("{")) {
    return invalid_data(path,
                        ": holds an architecture without weights; load its weights file and "
                        "name this one as the architecture");
  }
  if (suffix == ".onnx" || onnx::looks_like_model(bytes)) {
    return onnx::import_model(bytes, path, options.inputs);
  }
  return unsupported(
      path,
      ": expected a model (.h5, .keras, .tflite, .onnx), found neither an HDF5 nor a "
      "ZIP nor a TFLite signature, nor an ONNX model");
}

}  // namespace ew::formats
