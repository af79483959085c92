#include "ir/rewriter.h"

namespace ew::ir {

Rewriter::Rewriter(const Graph& source)
    : source_(source), builder_(graph_), map_(source.values.size(), kNoValue) {
  graph_.int8_profile = source.int8_profile;
  for (size_t i = 0; i < source.values.size(); ++i) {
    if (source.values[i].kind == ValueKind::kComputed) continue;
    map_[i] = static_cast<ValueId>(graph_.values.size());
    graph_.values.push_back(source.values[i]);
  }
  for (const ValueId id : source.inputs) graph_.inputs.push_back(at(id));
}

ValueId Rewriter::at(ValueId old) const {
  return old == kNoValue ? kNoValue : map_[static_cast<size_t>(old)];
}

std::vector<ValueId> Rewriter::inputs(const Node& node) const {
  std::vector<ValueId> ids;
  for (const ValueId id : node.inputs) ids.push_back(at(id));
  return ids;
}

void Rewriter::copy(const Node& node) {
  builder_.set_origin(node.origin);
  const std::vector<ValueId> outputs = builder_.add_multi(*node.op, inputs(node), node.attrs);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Value& old = source_.value(node.outputs[i]);
    Value& now = graph_.value(outputs[i]);
    now.name = old.name;
    now.type.quant = old.type.quant;
    if (old.type.quant) now.type.dtype = old.type.dtype;
    map(node.outputs[i], outputs[i]);
  }
}

Result<Graph> Rewriter::finish() {
  if (!builder_.ok()) return builder_.status().error();
  for (const ValueId id : source_.outputs) graph_.outputs.push_back(at(id));
  for (const ValueId id : source_.losses) graph_.losses.push_back(at(id));
  for (const ValueId id : source_.output_masks) graph_.output_masks.push_back(at(id));
  for (const Update& u : source_.updates) {
    graph_.updates.push_back({at(u.parameter), at(u.value)});
  }
  return std::move(graph_);
}

}  // namespace ew::ir
