#include "formats/tflite/write_tflite.h"

#include "formats/tflite/emit.h"
#include "ops/passes.h"

namespace ew::formats {
namespace {

Result<ir::Graph> for_one_sample(const ir::Graph& graph) {
  std::vector<Shape> shapes;
  for (const ir::ValueId id : graph.inputs) {
    Shape shape = graph.type(id).shape;
    for (int64_t& d : shape.dims()) d = d == kUnknown ? 1 : d;
    shapes.push_back(std::move(shape));
  }
  return ir::specialize(graph, shapes);
}

}  // namespace

Result<std::vector<uint8_t>> write_tflite(const ir::Graph& graph) {
  EW_TRY(const ir::Graph open, ops::fuse_clamps(graph));
  EW_TRY(const ir::Graph fixed, for_one_sample(open));
  tflite::FileBuilder file(fixed, open);
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
