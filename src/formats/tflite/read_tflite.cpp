#include "formats/tflite/read_tflite.h"

#include <algorithm>
#include <array>
#include <set>

#include "formats/tflite/op_context.h"
#include "ir/passes.h"
#include "ops/int16.h"

namespace ew::formats {
namespace tflite {

LowerFn find_lowering(BuiltinOperator code) {
  for (const auto table :
       {window_lowerings, elementwise_lowerings, shape_lowerings, recurrent_lowerings,
        index_lowerings, reduction_lowerings, select_lowerings, signal_lowerings}) {
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

/// How many elements constant operators may compute while a file of that size is read; what is
/// beyond is left to be computed at run time. Half-precision weights are two bytes each.
int64_t max_folded(size_t file_bytes) {
  return (int64_t{1} << 22) + 64 * static_cast<int64_t>(file_bytes);
}

constexpr int64_t kMaxSteps = 4096;            // of a loop
constexpr size_t kMaxNodes = size_t{1} << 18;  // that loops may make

class Importer {
 public:
  Importer(const ModelInfo& info, size_t file_bytes, Graph& graph)
      : info_(info), graph_(graph), b_(graph), max_folded_(max_folded(file_bytes)) {
    for (const Subgraph& subgraph : info.subgraphs) tables_.emplace_back(b_, subgraph);
    runs_.resize(tables_.size(), false);
  }

  Status run() {
    std::vector<ValueId> inputs;
    for (const int32_t tensor : info_.subgraphs[0].inputs) {
      EW_TRY(TensorType type, tables_[0].type(tensor));
      inputs.push_back(b_.input(tables_[0].info(tensor).name, std::move(type)));
    }
    find_last_uses();
    EW_TRY(graph_.outputs, run_subgraph(0, inputs));
    if (!b_.ok()) return b_.status().error();
    name_ports();
    ir::remove_dead_nodes(graph_);
    ir::remove_unused_values(graph_);
    const Status valid = ir::verify(graph_, ir::Stage::kQuantised);
    return valid.ok() ? valid : Status(invalid_data(valid.error().message));
  }

 private:
  static std::string label(const OperatorInfo& op) {
    return op.code == kCustom ? str("custom operator '", op.custom, "'") : operator_name(op.code);
  }

  static bool suits_complex(BuiltinOperator code) {
    using enum BuiltinOperator;
    return code == kReshape || code == kSqueeze || code == kExpandDims || code == kCast ||
           code == kReal || code == kImag || code == kComplexAbs;
  }

  /// The values of its outputs. Its nodes are added once more each time.
  Result<std::vector<ValueId>> run_subgraph(size_t index, const std::vector<ValueId>& in) {
    const Subgraph& subgraph = info_.subgraphs[index];
    if (runs_[index]) return invalid_data("subgraph ", index, " runs itself");
    if (in.size() != subgraph.inputs.size()) {
      return invalid_data("gives subgraph ", index, " ", in.size(), " inputs, expected ",
                          subgraph.inputs.size());
    }
    TensorTable& tensors = tables_[index];
    tensors.clear_set();
    for (size_t i = 0; i < in.size(); ++i) tensors.set_value(subgraph.inputs[i], in[i]);
    runs_[index] = true;
    for (size_t i = 0; i < subgraph.operators.size(); ++i) {
      const OperatorInfo& op = subgraph.operators[i];
      Status added = add_operator(tensors, op);
      if (!added.ok()) return at(str(label(op), " (node ", i, ")"), added.error());
      if (index == 0) release_constants(op, i);
    }
    runs_[index] = false;
    std::vector<ValueId> out;
    for (const int32_t tensor : subgraph.outputs) {
      EW_TRY(const ValueId id, tensors.value(tensor));
      out.push_back(id);
    }
    return out;
  }

  /// The subgraph that field `field` of the options names.
  Result<size_t> subgraph_of(const OperatorInfo& op, int field) const {
    const auto index = op.options.scalar<int32_t>(field);
    if (index <= 0 || static_cast<size_t>(index) >= tables_.size()) {
      return invalid_data("runs subgraph ", index, ", expected 1 to ",
                          static_cast<int64_t>(tables_.size()) - 1);
    }
    return static_cast<size_t>(index);
  }

  /// A condition that is known now.
  Result<bool> known_flag(ValueId id) const {
    const ir::Value& value = graph_.value(id);
    if (value.kind != ValueKind::kConstant) {
      return unsupported("depends on values that are computed at run time");
    }
    if (value.data.dtype() != DType::kBool || value.data.size() != 1) {
      return invalid_data("has a condition of ", value.type, ", expected one bool");
    }
    return value.data.values<bool>()[0];
  }

  Result<std::vector<ValueId>> run_branch(const OperatorInfo& op, std::vector<ValueId> in) {
    if (in.empty()) return invalid_data("has no condition");
    EW_TRY(const bool is_taken, known_flag(in[0]));
    EW_TRY(const size_t branch, subgraph_of(op, is_taken ? 0 : 1));
    in.erase(in.begin());
    return run_subgraph(branch, in);
  }

  // Unrolled: how often it runs must follow from constants, as for a layer over time.
  Result<std::vector<ValueId>> run_loop(const OperatorInfo& op, std::vector<ValueId> state) {
    EW_TRY(const size_t condition, subgraph_of(op, 0));
    EW_TRY(const size_t body, subgraph_of(op, 1));
    for (int64_t step = 0;; ++step) {
      EW_TRY(const std::vector<ValueId> goes_on, run_subgraph(condition, state));
      if (goes_on.size() != 1) return invalid_data("has ", goes_on.size(), " conditions");
      EW_TRY(const bool is_on, known_flag(goes_on[0]));
      if (!is_on) return state;
      if (step == kMaxSteps || graph_.nodes.size() > kMaxNodes) {
        return unsupported("of more than ", step, " steps");
      }
      EW_TRY(state, run_subgraph(body, state));
    }
  }

  /// WHILE and IF.
  Status add_control(TensorTable& tensors, const OperatorInfo& op) {
    std::vector<ValueId> in;
    for (const int32_t tensor : op.inputs) {
      if (tensor < 0) return invalid_data("an input is missing");
      EW_TRY(const ValueId id, tensors.value(tensor));
      in.push_back(id);
    }
    EW_TRY(const std::vector<ValueId> out, op.code == BuiltinOperator::kWhile
                                               ? run_loop(op, std::move(in))
                                               : run_branch(op, std::move(in)));
    if (out.size() < op.outputs.size()) {
      return invalid_data("has ", op.outputs.size(), " outputs, expected ", out.size());
    }
    for (size_t i = 0; i < op.outputs.size(); ++i) {
      EW_TRY_VOID(set_output(tensors, op.outputs[i], out[i]));
      keep(out[i]);  // the subgraph may have it once more
    }
    return {};
  }

  Status add_operator(TensorTable& tensors, const OperatorInfo& op) {
    if (op.code == BuiltinOperator::kWhile || op.code == BuiltinOperator::kIf) {
      return add_control(tensors, op);
    }
    const LowerFn build =
        op.code == kCustom ? find_custom_lowering(op.custom) : find_lowering(op.code);
    if (build == nullptr) return unsupported("is not supported");
    if (op.outputs.empty()) return invalid_data("has no output");
    if (!suits_complex(op.code) && std::ranges::any_of(op.inputs, [&](int32_t i) {
          return i >= 0 && tensors.info(i).type == ElementType::kComplex64;
        })) {
      return unsupported("of complex numbers");
    }
    const std::string& name = tensors.info(op.outputs[0]).name;
    b_.set_origin(str("tflite:", name.substr(0, name.find(';'))));
    const size_t first_node = graph_.nodes.size();
    const OpContext context(b_, tensors, op);
    EW_TRY(const std::vector<ValueId> values, build(context));
    if (!b_.ok()) return b_.status().error();
    if (values.size() < op.outputs.size()) {
      return invalid_data("has ", op.outputs.size(), " outputs, expected ", values.size());
    }
    for (size_t i = first_node; i < graph_.nodes.size(); ++i) EW_TRY_VOID(check(graph_.nodes[i]));
    for (size_t i = 0; i < op.outputs.size(); ++i) {
      EW_TRY_VOID(set_output(tensors, op.outputs[i], values[i]));
      if (is_bound(tensors, op, values[i], i)) keep(values[i]);
    }
    for (size_t i = first_node; i < graph_.nodes.size(); ++i) {
      EW_TRY_VOID(check_outputs(graph_.nodes[i]));
    }
    fold_from(first_node);
    return {};
  }

  /// Of the main subgraph, which runs once: the last operator that reads each tensor.
  void find_last_uses() {
    const Subgraph& main = info_.subgraphs[0];
    last_use_.assign(main.tensors.size(), 0);
    for (size_t i = 0; i < main.operators.size(); ++i) {
      for (const int32_t tensor : main.operators[i].inputs) {
        if (tensor >= 0) last_use_[static_cast<size_t>(tensor)] = i;
      }
    }
    for (const int32_t tensor : main.outputs) {
      last_use_[static_cast<size_t>(tensor)] = main.operators.size();
    }
  }

  /// Constants that weights were made of, as half-precision and transposed ones, are let go as soon
  /// as nothing can read them any more, so that a model is not in memory in each form.
  void release_constants(const OperatorInfo& op, size_t index) {
    for (; scanned_ < graph_.nodes.size(); ++scanned_) {
      std::ranges::for_each(graph_.nodes[scanned_].inputs, [&](ValueId id) { keep(id); });
    }
    for (const int32_t tensor : op.inputs) {
      if (tensor < 0 || last_use_[static_cast<size_t>(tensor)] != index) continue;
      const ValueId id = tables_[0].known(tensor);
      if (id == kNoValue || graph_.value(id).kind != ValueKind::kConstant) continue;
      if (!kept_.contains(id)) graph_.value(id).data = {};
    }
  }
  void keep(ValueId id) { kept_.insert(id); }

  /// Whether the operator's output `index` is a value that some other tensor has, too.
  bool is_bound(const TensorTable& tensors, const OperatorInfo& op, ValueId id, size_t index) {
    const bool is_first = bound_.insert(id).second;
    return !is_first || std::ranges::any_of(op.inputs, [&](int32_t tensor) {
      return tensor >= 0 && tensor != op.outputs[index] && tensors.known(tensor) == id;
    });
  }

  // Integer references are written for certain types; moving elements suits all.
  Status check(const Node& node) const {
    const auto is_quantised = [&](ValueId id) {
      return id != kNoValue && graph_.type(id).quant != nullptr;
    };
    if (std::none_of(node.inputs.begin(), node.inputs.end(), is_quantised)) return {};
    const bool is_product = node.op->macs != nullptr;
    const bool only_moves = node.op == &ops::kReshape || node.op == &ops::kTranspose ||
                            node.op == &ops::kSlice || node.op == &ops::kPad ||
                            node.op == &ops::kRepeat || node.op == &ops::kBroadcastTo;
    const bool only_converts = node.op == &ops::kQuantize || node.op == &ops::kDequantize;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == kNoValue) continue;
      const TensorType& type = graph_.type(node.inputs[i]);
      const bool is_weight = is_product && i > 0;
      const bool is_int8 = type.dtype == DType::kI8;
      const bool is_int16 = type.dtype == DType::kI16;
      if (!type.quant && is_int8) return unsupported("mixes integers with and without a scale");
      if (!type.quant) continue;
      const bool is_bias = is_weight && (type.dtype == DType::kI32 || type.dtype == DType::kI64);
      const bool has_form = is_int8 || (is_int16 && ops::int16::has_form(*node.op));
      if (node.op->reference_i8 == nullptr ||
          (!has_form && !only_moves && !only_converts && !is_bias)) {
        return unsupported("has no integer form for ", type);
      }
      if (is_int16 && !only_moves && !only_converts && type.quant->zero_points[0] != 0) {
        return unsupported("of ", type, "; int16 needs the zero point 0");
      }
      const bool may_have_axis =
          is_weight || node.op == &ops::kDequantize || node.op == &ops::kReshape;
      if (type.quant->scales.size() > 1 && !may_have_axis) {
        return unsupported("of ", type, "; expected one scale");
      }
    }
    return {};
  }

  // What reads integers must write them, each with one scale.
  Status check_outputs(const Node& node) const {
    const size_t data = node.op == &ops::kWhere ? 1 : 0;  // behind the condition
    const bool leaves_integers = node.op == &ops::kDequantize || node.op == &ops::kArgMax;
    const bool reads_integers = !leaves_integers && node.inputs.size() > data &&
                                node.inputs[data] != kNoValue &&
                                graph_.type(node.inputs[data]).quant != nullptr;
    for (const ValueId id : node.outputs) {
      const TensorType& type = graph_.type(id);
      const bool is_integer = reads_integers || node.op == &ops::kQuantize;
      if (is_integer != (type.quant != nullptr)) {
        return invalid_data("gives ", type, is_integer ? ", expected a scale" : " with a scale",
                            " in the file");
      }
    }
    return {};
  }

  // The value takes the file's quantisation. Shapes are ours: files may leave them open.
  Status set_output(TensorTable& tensors, int32_t tensor, ValueId id) {
    EW_TRY(const TensorType declared, tensors.type(tensor));
    ir::Value& value = graph_.value(id);
    if (value.type.dtype != declared.dtype) {
      return unsupported("gives ", value.type.dtype, " where the file says ", declared.dtype);
    }
    if (value.kind == ValueKind::kComputed) {
      value.type.quant = declared.quant;
      if (declared.quant && declared.quant->scales.size() > 1) {
        return unsupported("output with one scale per channel; expected one per tensor");
      }
      value.name = tensors.info(tensor).name;
    }
    tensors.set_value(tensor, id);
    return {};
  }

  /// Constants, and what nodes from `first` on compute: those fold before.
  bool is_constant(ValueId id, size_t first) const {
    if (id == kNoValue || graph_.value(id).kind == ValueKind::kConstant) return true;
    return graph_.value(id).producer >= static_cast<int>(first);
  }

  // Windows and products are left to run time: their work is more than their sizes.
  bool folds(const Node& node, size_t first) const {
    if (node.op->macs != nullptr || node.attrs.has("pool")) return false;
    int64_t left = max_folded_ - folded_;
    for (const std::vector<ValueId>* ids : {&node.inputs, &node.outputs}) {
      for (const ValueId id : *ids) {
        if (id == kNoValue) continue;
        // Empty tensors cost their other sizes: references walk over them.
        int64_t size = 1;
        for (const int64_t d : graph_.type(id).shape) {
          if (d == kUnknown) return false;
          size *= std::max<int64_t>(d, 1);
          if (size > left) return false;
        }
        left -= size;
      }
    }
    return std::all_of(node.inputs.begin(), node.inputs.end(),
                       [&](ValueId id) { return is_constant(id, first); });
  }

  // Nodes of constants become constants at once, because later operators may need their values.
  void fold_from(size_t first) {
    for (size_t i = first; i < graph_.nodes.size(); ++i) {
      if (!folds(graph_.nodes[i], first)) return;
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
      folded_ += results[k].size();
      value.data = std::move(results[k]);
    }
  }

  // Signatures have the names that users know; tensors those of the converter's inner graph.
  void name_ports() {
    const auto rename = [&](const std::vector<TensorName>& names) {
      for (const TensorName& n : names) {
        if (n.tensor >= info_.subgraphs[0].tensors.size() || n.name.empty()) continue;
        const Result<ValueId> id = tables_[0].value(static_cast<int32_t>(n.tensor));
        if (id.ok() && *id != kNoValue) graph_.value(*id).name = n.name;
      }
    };
    rename(info_.input_names);
    rename(info_.output_names);
  }

  const ModelInfo& info_;
  Graph& graph_;
  ir::Builder b_;
  std::vector<TensorTable> tables_;  // of each subgraph
  std::vector<bool> runs_;           // which subgraphs are being read
  int64_t max_folded_;
  int64_t folded_ = 0;            // elements that constant operators computed
  std::vector<size_t> last_use_;  // per tensor of the main subgraph
  std::set<ValueId> bound_;       // values that are a tensor's
  std::set<ValueId> kept_;        // constants that nodes or several tensors have
  size_t scanned_ = 0;            // nodes whose inputs are kept
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
  const Status read = tflite::Importer(*info, bytes.size(), model.graph).run();
  if (!file.status().ok()) return at(where, file.status().error());
  if (!read.ok()) return at(where, read.error());
  return model;
}

}  // namespace ew::formats
