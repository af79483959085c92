// A whole `.onnx`; what was read is written and read again.
#include "formats/onnx/import.h"
#include "formats/onnx/write.h"
#include "ops/passes.h"
#include "targets.h"

namespace ew::fuzz {

void onnx(Bytes bytes) {
  const Result<ir::Model> model = formats::onnx::import_model(bytes, "/nonexistent/fuzz.onnx");
  if (!model.ok()) return;
  exercise(model->graph);
  const Result<ir::Graph> inference = ops::to_inference(model->graph);
  if (!inference.ok()) return;
  const Result<std::string> written = formats::onnx::export_graph(*inference);
  if (!written.ok()) return;
  const std::span<const uint8_t> again(reinterpret_cast<const uint8_t*>(written->data()),
                                       written->size());
  (void)formats::onnx::import_model(again, "/nonexistent/again.onnx");
}

}  // namespace ew::fuzz
