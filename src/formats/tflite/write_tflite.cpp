#include "formats/tflite/write_tflite.h"

#include <algorithm>

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
    // Kernels read half tensors only to widen them.
    const auto is_half = [&](ir::ValueId id) {
      return id != ir::kNoValue && fixed.type(id).dtype == DType::kF16;
    };
    if (node.op != &ops::kCast && std::any_of(node.inputs.begin(), node.inputs.end(), is_half)) {
      return unsupported(where, ": ", node.op->name,
                         " of float16; .tflite files compute in float32");
    }
    const Status written = emit({file, node});
    if (!written.ok()) return at(where, written.error());
  }
  return file.finish();
}

}  // namespace ew::formats
