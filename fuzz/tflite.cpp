// The TFLite reader, and the writer on what it has read.
#include "formats/tflite/read_tflite.h"
#include "formats/tflite/write_tflite.h"
#include "targets.h"

namespace ew::fuzz {

void tflite(Bytes bytes) {
  const Result<ir::Model> model = formats::read_tflite(bytes, "fuzz", ir::Int8Profile::kTflm);
  if (!model.ok()) return;
  exercise(model->graph);
  const Result<std::vector<uint8_t>> written = formats::write_tflite(model->graph);
  if (!written.ok()) return;
  const Result<ir::Model> again = formats::read_tflite(*written, "again", ir::Int8Profile::kTflm);
  require(again.ok() || again.error().code == ErrorCode::kUnsupported ||
              again.error().code == ErrorCode::kResourceLimit,
          "a file that was written is not damaged");
}

}  // namespace ew::fuzz
