#include "formats/tflite/read_tflite.h"

#include <algorithm>
#include <array>

#include "formats/tflite/op_context.h"
#include "ir/passes.h"

namespace ew::formats {
namespace tflite {

LowerFn find_lowering(BuiltinOperator code) {
  for (const auto table : {window_lowerings, elementwise_lowerings, shape_lowerings,
                           index_lowerings, reduction_lowerings}) {
    for (const Lowering& lowering : table()) {
      if (lowering.code == code) return lowering.build;
    }
  }
  return nullptr;
}

namespace {

using ir::Graph;
using ir::Node;
using ir::Tensor;
using ir::TensorType;
using ir::ValueKind;

/// Larger results of constant operators are left to be computed at run time.
constexpr int64_t kMaxFolded = int64_t{1} << 24;

class Importer {
 public:
  Importer(const ModelInfo& info, Graph& graph)
      : info_(info), graph_(graph), b_(graph), tensors_(b_, info) {}

  Status run() {
    for (const int32_t tensor : info_.inputs) EW_TRY_VOID(add_input(tensor));
    for (size_t i = 0; i < info_.operators.size(); ++i) {
      const OperatorInfo& op = info_.operators[i];
      Status added = add_operator(op);
      if (!added.ok()) return at(str(label(op), " (node ", i, ")"), added.error());
    }
    for (const int32_t tensor : info_.outputs) {
      EW_TRY(const ValueId id, tensors_.value(tensor));
      graph_.outputs.push_back(id);
    }
    if (!b_.ok()) return b_.status().error();
    name_ports();
    ir::remove_dead_nodes(graph_);
    ir::remove_unused_values(graph_);
    return ir::verify(graph_, ir::Stage::kQuantised);
  }

 private:
  static std::string label(const OperatorInfo& op) {
    return op.code == kCustom ? str("custom operator '", op.custom, "'") : operator_name(op.code);
  }

  Status add_input(int32_t tensor) {
    EW_TRY(TensorType type, tensors_.type(tensor));
    tensors_.set_value(tensor, b_.input(tensors_.info(tensor).name, std::move(type)));
    return {};
  }

  Status add_operator(const OperatorInfo& op) {
    const LowerFn build = op.code == kCustom ? nullptr : find_lowering(op.code);
    if (build == nullptr) return unsupported("is not supported");
    const std::string name = op.outputs.empty() ? "" : tensors_.info(op.outputs[0]).name;
    b_.set_origin(str("tflite:", name.substr(0, name.find(';'))));
    const size_t first_node = graph_.nodes.size();
    const OpContext context(b_, tensors_, op);
    EW_TRY(const std::vector<ValueId> values, build(context));
    if (!b_.ok()) return b_.status().error();
    if (values.size() < op.outputs.size()) {
      return invalid_data("has ", op.outputs.size(), " outputs, expected ", values.size());
    }
    for (size_t i = 0; i < op.outputs.size(); ++i) {
      EW_TRY_VOID(set_output(op.outputs[i], values[i]));
    }
    fold_from(first_node);
    return {};
  }

  // The value takes the file's quantisation. Shapes are ours: files may leave them open.
  Status set_output(int32_t tensor, ValueId id) {
    EW_TRY(const TensorType declared, tensors_.type(tensor));
    ir::Value& value = graph_.value(id);
    if (value.type.dtype != declared.dtype) {
      return unsupported("gives ", value.type.dtype, " where the file says ", declared.dtype);
    }
    if (value.kind == ValueKind::kComputed) {
      value.type.quant = declared.quant;
      if (declared.quant && declared.quant->scales.size() > 1) {
        return unsupported("output with one scale per channel; expected one per tensor");
      }
      value.name = tensors_.info(tensor).name;
    }
    tensors_.set_value(tensor, id);
    return {};
  }

  bool is_constant(ValueId id) const {
    return id == kNoValue || graph_.value(id).kind == ValueKind::kConstant;
  }

  bool folds(const Node& node) const {
    for (const ValueId id : node.outputs) {
      const Shape& shape = graph_.type(id).shape;
      if (!shape.is_static() || shape.num_elements() > kMaxFolded) return false;
    }
    return std::all_of(node.inputs.begin(), node.inputs.end(),
                       [&](ValueId id) { return is_constant(id); });
  }

  // Nodes of constants become constants at once, because later operators may need their values.
  void fold_from(size_t first) {
    for (size_t i = first; i < graph_.nodes.size(); ++i) {
      if (!folds(graph_.nodes[i])) return;
    }
    for (size_t i = first; i < graph_.nodes.size(); ++i) fold(graph_.nodes[i]);
    graph_.nodes.resize(std::min(first, graph_.nodes.size()));
  }

  void fold(const Node& node) {
    std::vector<ir::ConstTensorView> in;
    for (const ValueId id : node.inputs) {
      in.push_back(id == kNoValue ? ir::ConstTensorView() : graph_.value(id).data);
    }
    std::vector<Tensor> results;
    for (const ValueId id : node.outputs) results.emplace_back(graph_.type(id));
    std::vector<ir::TensorView> out;
    for (Tensor& tensor : results) out.emplace_back(tensor);
    ir::evaluate(*node.op, in, out, node.attrs, graph_.int8_profile);
    for (size_t k = 0; k < results.size(); ++k) {
      ir::Value& value = graph_.value(node.outputs[k]);
      value.kind = ValueKind::kConstant;
      value.producer = -1;
      value.data = std::move(results[k]);
    }
  }

  // Signatures have the names that users know; tensors those of the converter's inner graph.
  void name_ports() {
    const auto rename = [&](const std::vector<TensorName>& names) {
      for (const TensorName& n : names) {
        if (n.tensor >= info_.tensors.size() || n.name.empty()) continue;
        const Result<ValueId> id = tensors_.value(static_cast<int32_t>(n.tensor));
        if (id.ok() && *id != kNoValue) graph_.value(*id).name = n.name;
      }
    };
    rename(info_.input_names);
    rename(info_.output_names);
  }

  const ModelInfo& info_;
  Graph& graph_;
  ir::Builder b_;
  TensorTable tensors_;
};

}  // namespace
}  // namespace tflite

bool is_tflite(std::span<const uint8_t> bytes) { return tflite::is_tflite(bytes); }

Result<ir::Model> read_tflite(std::span<const uint8_t> bytes, const std::string& where,
                              ir::Int8Profile profile) {
  // Parts that are shared are copied, so a file may take several times its size, but not more.
  tflite::FlatBuffer file(bytes, (uint64_t{1} << 26) + 16 * uint64_t{bytes.size()});
  const Result<tflite::ModelInfo> info = tflite::parse_model(file);
  if (!info.ok()) return at(where, info.error());
  ir::Model model;
  model.graph.int8_profile = profile;
  model.architecture.version = str("TFLite, ", info->description);
  const Status read = tflite::Importer(*info, model.graph).run();
  if (!file.status().ok()) return at(where, file.status().error());
  if (!read.ok()) return at(where, read.error());
  return model;
}

}  // namespace ew::formats
