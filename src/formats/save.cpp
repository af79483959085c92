#include "formats/save.h"

#include "base/file.h"
#include "formats/keras/write_h5.h"
#include "formats/onnx/write.h"
#include "formats/tflite/write_tflite.h"

namespace ew::formats {

bool is_deployed_format(const std::string& path) {
  const std::string suffix = file_suffix(path);
  return suffix == ".tflite" || suffix == ".onnx";
}

Result<SaveReport> save_model(const ir::Model& model, const std::string& path,
                              const SaveOptions& options) {
  const std::string suffix = file_suffix(path);
  if (options.weights != DType::kF32 && suffix != ".onnx" &&
      (suffix != ".tflite" || options.weights != DType::kF16)) {
    return at(path, invalid_argument("cannot hold ", dtype_name(options.weights),
                                     " weights; float16 goes into .tflite, .onnx and .ew, bfloat16 "
                                     "into .onnx and .ew"));
  }
  Result<SaveReport> report = [&]() -> Result<SaveReport> {
    if (suffix == ".h5" || suffix == ".hdf5") return write_keras_h5(model, path, options);
    if (suffix == ".keras") return write_keras_zip(model, path, options);
    if (suffix == ".tflite") {
      EW_TRY(const std::vector<uint8_t> bytes, write_tflite(model.graph, options.weights));
      EW_TRY_VOID(write_file_atomic(path, bytes));
      return SaveReport{};
    }
    if (suffix == ".onnx") {
      EW_TRY_VOID(onnx::write_onnx(model.graph, path, options.weights));
      return SaveReport{};
    }
    return invalid_argument("cannot write '", suffix,
                            "'; known: .h5, .hdf5, .keras, .tflite, .onnx");
  }();
  if (!report.ok() && !report.error().message.starts_with(path)) return at(path, report.error());
  return report;
}

}  // namespace ew::formats
