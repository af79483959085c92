// Model::summary and Model::summary_json.
#include <algorithm>
#include <map>

#include "api/ew_model.h"
#include "api/model_impl.h"
#include "formats/json.h"
#include "ir/passes.h"
#include "ops/passes.h"
#include "runtime/executor.h"

namespace ew {
namespace {

struct LayerRow {
  std::string name;
  std::vector<std::string> ops;
  Shape output;
  int64_t parameters = 0;
  int64_t macs = 0;
};

struct Overview {
  std::vector<LayerRow> layers;
  int64_t macs = 0;
  int64_t arena_bytes = 0;
  int64_t arena_lower_bound_bytes = 0;
  std::string packed;  // empty: no packed section
};

std::string layer_of(const ir::Node& node) {
  const size_t colon = node.origin.find(':');
  return colon == std::string::npos ? std::string(node.op->name) : node.origin.substr(colon + 1);
}

/// Parameters, and the constant weights of integer products.
bool is_weight(const ir::Graph& graph, const ir::Node& node, ir::ValueId id) {
  const ir::ValueKind kind = graph.value(id).kind;
  return kind == ir::ValueKind::kParameter ||
         (kind == ir::ValueKind::kConstant && node.op->macs != nullptr);
}

void add_node(const ir::Graph& graph, const ir::Node& node, std::map<ir::ValueId, bool>& counted,
              Overview& overview) {
  const std::string name = layer_of(node);
  if (overview.layers.empty() || overview.layers.back().name != name) {
    overview.layers.push_back({name, {}, {}, 0, 0});
  }
  LayerRow& row = overview.layers.back();
  if (row.ops.empty() || row.ops.back() != node.op->name) row.ops.emplace_back(node.op->name);
  row.output = graph.type(node.outputs[0]).shape;
  if (node.op->macs != nullptr) {
    std::vector<ir::TensorType> out;
    for (const ir::ValueId id : node.outputs) out.push_back(graph.type(id));
    const int64_t macs = node.op->macs(graph.input_types(node), out, node.attrs);
    row.macs += macs;
    overview.macs += macs;
  }
  for (const ir::ValueId id : node.inputs) {
    if (id == ir::kNoValue || !is_weight(graph, node, id)) continue;
    if (counted.emplace(id, true).second) row.parameters += graph.value(id).data.size();
  }
}

Result<Overview> overview_of(const ir::Model& model) {
  EW_TRY(const ir::Graph deployed, api::inference_graph(model));
  EW_TRY(ir::Graph graph, ir::for_one_sample(deployed));
  Overview overview;
  std::map<ir::ValueId, bool> counted;
  for (const ir::Node& node : graph.nodes) add_node(graph, node, counted, overview);
  if (!model.is_executable) {
    EW_TRY(graph, ops::fuse_for_execution(graph));
  }
  EW_TRY(const std::unique_ptr<runtime::Executor> executor,
         runtime::Executor::create(std::move(graph), {.packed = model.packed}));
  overview.packed = api::describe_packed(model, *executor);
  overview.arena_bytes = executor->memory_plan().arena_bytes;
  overview.arena_lower_bound_bytes = executor->memory_plan().lower_bound_bytes;
  for (const runtime::int8::Region* region : executor->regions()) {
    overview.arena_bytes += region->arena_bytes();
    overview.arena_lower_bound_bytes += region->lower_bound_bytes();
  }
  return overview;
}

std::string cell(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text + " ";
}

std::string describe_ports(const ir::Graph& graph, const std::vector<ir::ValueId>& ids) {
  std::vector<std::string> ports;
  for (const ir::ValueId id : ids) {
    ports.push_back(str(graph.value(id).name, " ", to_string(graph.type(id))));
  }
  return join(ports, ", ");
}

std::string writer_of(const ir::Model& model) {
  if (model.architecture.config.is_null()) return model.architecture.version;
  const bool is_keras2 = model.architecture.generation == ir::KerasGeneration::kKeras2;
  return str(is_keras2 ? "Keras 2" : "Keras 3", " ", model.architecture.version);
}

/// The rounding of a model with integer operators, "no" for others.
std::string quantisation_of(const ir::Model& model) {
  if (model.quantization) return str("int8, ", int8_profile_name(model.quantization->profile));
  const auto& values = model.graph.values;
  const bool is_int8 = std::any_of(values.begin(), values.end(),
                                   [](const ir::Value& v) { return v.type.quant != nullptr; });
  return is_int8 ? str("int8, ", int8_profile_name(model.graph.int8_profile)) : "no";
}

}  // namespace

int64_t Model::macs() const {
  const Result<Overview> overview = overview_of(impl_->model);
  return overview.ok() ? overview->macs : 0;
}

std::string Model::summary(bool stages) const {
  const ir::Model& model = impl_->model;
  const Result<Overview> overview = overview_of(model);
  if (!overview.ok()) return overview.error().message;
  std::string text;
  text += str("written by  ", writer_of(model), "\n");
  text += str("inputs      ", describe_ports(model.graph, model.graph.inputs), "\n");
  text += str("outputs     ", describe_ports(model.graph, model.graph.outputs), "\n\n");
  text += cell("layer", 32) + cell("operators", 28) + cell("output (1 sample)", 22) +
          cell("parameters", 12) + "MACs\n";
  for (const LayerRow& row : overview->layers) {
    text += cell(row.name, 32) + cell(join(row.ops, "+"), 28) + cell(to_string(row.output), 22) +
            cell(str(row.parameters), 12) + str(row.macs) + "\n";
  }
  text += str("\nparameters  ", parameter_count(), " (", trainable_count(), " trainable)\n");
  text += str("MACs        ", overview->macs, " for one sample\n");
  text += str("memory      ", overview->arena_bytes, " bytes for activations (lower bound ",
              overview->arena_lower_bound_bytes, ")\n");
  text += str("quantised   ", quantisation_of(model), "\n");
  if (!overview->packed.empty()) text += str("packed      ", overview->packed, "\n");
  text += str("compiled    ",
              model.compiled ? str(model.compiled->optimizer["class_name"].as_string(),
                                   ", iteration ", model.compiled->iterations)
                             : std::string("no"),
              "\n");
  if (!stages) return text;
  text += "\n--- imported ---\n" + to_text(model.graph);
  const Result<ir::Graph> deployed = api::inference_graph(model);
  if (deployed.ok()) {
    text +=
        str("\n--- ", model.quantization ? "quantised" : "canonical", " ---\n", to_text(*deployed));
  }
  const Result<ir::Graph> fused = api::executable_graph(model);
  if (fused.ok()) text += "\n--- fused ---\n" + to_text(*fused);
  return text;
}

std::string Model::summary_json() const {
  const ir::Model& model = impl_->model;
  const Result<Overview> overview = overview_of(model);
  if (!overview.ok()) return formats::to_json(Config::Map{{"error", overview.error().message}}, 2);
  const auto ports = [&](const std::vector<ir::ValueId>& ids) {
    Config list = Config::list();
    for (const ir::ValueId id : ids) {
      list.push_back(Config::Map{{"name", model.graph.value(id).name},
                                 {"dtype", dtype_name(model.graph.type(id).dtype)},
                                 {"shape", Config::ints(model.graph.type(id).shape.dims())}});
    }
    return list;
  };
  Config layers = Config::list();
  for (const LayerRow& row : overview->layers) {
    layers.push_back(Config::Map{{"name", row.name},
                                 {"operators", join(row.ops, "+")},
                                 {"output", Config::ints(row.output.dims())},
                                 {"parameters", row.parameters},
                                 {"macs", row.macs}});
  }
  return formats::to_json(
      Config::Map{{"keras", static_cast<int64_t>(model.architecture.generation)},
                  {"version", model.architecture.version},
                  {"inputs", ports(model.graph.inputs)},
                  {"outputs", ports(model.graph.outputs)},
                  {"layers", layers},
                  {"parameters", parameter_count()},
                  {"trainable", trainable_count()},
                  {"macs", overview->macs},
                  {"memory", Config::Map{{"arena_bytes", overview->arena_bytes},
                                         {"lower_bound_bytes", overview->arena_lower_bound_bytes}}},
                  {"quantised", quantisation_of(model) != "no"},
                  {"packed", overview->packed},
                  {"compiled", model.compiled.has_value()}},
      2);
}

}  // namespace ew
