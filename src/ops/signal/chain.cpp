// Feature chains before and behind a graph.
#include "ir/passes.h"
#include "ops/signal/features.h"

namespace ew::ops::signal {
namespace {

bool meets(const TensorType& from, const TensorType& to) {
  bool fits = from.dtype == to.dtype && from.shape.rank() == to.shape.rank() && !to.quant;
  for (int d = 0; fits && d < to.shape.rank(); ++d) {
    const int64_t a = from.shape[d];
    const int64_t b = to.shape[d];
    fits = a == b || b == kUnknown || (d == 0 && a == kUnknown);
  }
  return fits;
}

// Appends `tail` behind the values and nodes of `graph`; its first input becomes `x`.
void append_graph(ir::Graph& graph, const ir::Graph& tail, ValueId x) {
  const auto values = static_cast<ValueId>(graph.values.size());
  const auto nodes = static_cast<int>(graph.nodes.size());
  const auto moved = [&](ValueId id) {
    if (id == kNoValue) return id;
    return id == tail.inputs[0] ? x : id + values;
  };
  const auto all_moved = [&](const std::vector<ValueId>& ids) {
    std::vector<ValueId> out;
    for (const ValueId id : ids) out.push_back(moved(id));
    return out;
  };
  for (ir::Value value : tail.values) {
    if (value.producer >= 0) value.producer += nodes;
    graph.values.push_back(std::move(value));
  }
  for (Node node : tail.nodes) {
    node.inputs = all_moved(node.inputs);
    node.outputs = all_moved(node.outputs);
    graph.nodes.push_back(std::move(node));
  }
  for (size_t i = 1; i < tail.inputs.size(); ++i) graph.inputs.push_back(moved(tail.inputs[i]));
  graph.outputs = all_moved(tail.outputs);
  graph.losses = all_moved(tail.losses);
  graph.output_masks = all_moved(tail.output_masks);
  for (const ir::Update& u : tail.updates) {
    graph.updates.push_back({moved(u.parameter), moved(u.value)});
  }
  graph.int8_profile = tail.int8_profile;
}

}  // namespace

Result<TensorType> feature_input(const Config& chain) {
  const Config::List& steps = chain.as_list();
  if (steps.empty() || steps[0]["class_name"].as_string() != "Input") {
    return invalid_argument("expected Input(shape=[...]) first: the shape of one sample");
  }
  const Config& config = steps[0]["config"];
  EW_TRY(const std::string dtype, config.get_string("dtype", "float32"));
  TensorType type;
  EW_TRY(type.dtype, parse_dtype(dtype));
  EW_TRY(const std::vector<int64_t> sizes, config.get_ints("shape", {}));
  type.shape.dims().push_back(kUnknown);
  for (const int64_t size : sizes) {
    if (size < 1) return invalid_argument("shape: expected sizes of 1 or more, found ", size);
    type.shape.dims().push_back(size);
  }
  EW_TRY_VOID(check_open_shape(type.shape));
  return type;
}

Result<ir::Graph> prepend_features(const ir::Graph& graph, const Config& chain) {
  if (graph.inputs.empty()) return invalid_argument("the model has no input");
  EW_TRY(TensorType type, feature_input(chain));
  const TensorType& wanted = graph.type(graph.inputs[0]);
  // A net for a fixed number of samples takes that many.
  if (wanted.shape.rank() > 0) type.shape[0] = wanted.shape[0];
  EW_TRY(ir::Graph joined, feature_graph(chain, type));
  joined.value(joined.inputs[0]).name = graph.value(graph.inputs[0]).name;
  const ValueId y = joined.outputs[0];
  if (!meets(joined.type(y), wanted)) {
    return invalid_argument("the features give ", joined.type(y), ", the model takes ", wanted);
  }
  append_graph(joined, graph, y);
  ir::remove_unused_values(joined);
  EW_TRY_VOID(ir::verify(joined, ir::Stage::kImported));
  return joined;
}

Result<ir::Graph> append_features(const ir::Graph& graph, const Config& chain) {
  if (graph.outputs.empty()) return invalid_argument("the model has no output");
  ir::Graph joined = graph;
  Builder b(joined);
  EW_TRY(const ValueId y, add_features(b, joined.outputs[0], chain));
  joined.value(y).name = graph.value(graph.outputs[0]).name;
  joined.outputs[0] = y;
  if (!joined.output_masks.empty()) joined.output_masks[0] = kNoValue;
  return joined;
}

}  // namespace ew::ops::signal
