#include "formats/tflite/write_tflite.h"

#include "formats/tflite/emit.h"
#include "ir/passes.h"
#include "ops/passes.h"

namespace ew::formats {
Result<std::vector<uint8_t>> write_tflite(const ir::Graph& graph, DType weights) {
  EW_TRY(const ir::Graph open, ops::fuse_clamps(graph));
  EW_TRY(const ir::Graph fixed, ir::for_one_sample(open));
  tflite::FileBuilder file(fixed, open, weights);
  for (const ir::ValueId id : fixed.inputs) file.tensor(id);
  for (size_t i = 0; i < fixed.nodes.size(); ++i) {
    const ir::Node& node = fixed.nodes[i];
    const std::string where = node.origin.empty() ? str("node ", i) : node.origin;
    const tflite::EmitFn emit = tflite::find_emitter(*node.op);
    if (emit == nullptr) {
      return unsupported(where, ": .tflite files have no operator for ", node.op->name);
    }
    const Status written = emit({file, node});
    if (!written.ok()) return at(where, written.error());
  }
  return file.finish();
}

}  // namespace ew::formats
