#include "formats/onnx/importer.h"

#include <algorithm>

#include "formats/onnx/call.h"
#include "formats/onnx/tensor_data.h"
#include "ir/passes.h"

namespace ew::formats::onnx {
namespace {

constexpr int64_t kMaxFoldElements = int64_t{1} << 24;
constexpr int kMaxScopes = 32;

}  // namespace

Importer::Importer(const ModelProto& proto, const ImportInputs& options)
    : proto_(proto),
      options_(options),
      builder_(graph_),
      fold_budget_((int64_t{1} << 24) + 16 * static_cast<int64_t>(options.file_bytes)),
      node_budget_(20'000 + static_cast<int64_t>(options.file_bytes) / 4),
      opsets_(&proto.opsets) {}

int64_t Importer::opset(std::string_view domain) const {
  for (const auto& [name, version] : *opsets_) {
    if ((name == "ai.onnx" ? std::string_view() : name) == domain) return version;
  }
  return 0;
}

void Importer::fold_last_node() {
  ir::Node& node = graph_.nodes.back();
  if (node.op->is_training_dependent) return;
  std::vector<ir::ConstTensorView> in;
  for (const ValueId id : node.inputs) {
    const Tensor* tensor = id == kNoValue ? nullptr : constant(id);
    if (id != kNoValue && tensor == nullptr) return;
    in.push_back(tensor == nullptr ? ir::ConstTensorView() : ir::ConstTensorView(*tensor));
  }
  int64_t elements = 0;
  for (const ValueId id : node.outputs) {
    const Shape& shape = graph_.type(id).shape;
    if (!shape.is_static()) return;
    elements += shape.num_elements();
  }
  if (elements > kMaxFoldElements) return;
  fold_budget_ -= elements;
  if (fold_budget_ < 0) {
    builder_.fail(make_error(ErrorCode::kResourceLimit, "the constants of ", options_.path,
                             " grow beyond what its size justifies"));
    return;
  }
  std::vector<Tensor> results;
  for (const ValueId id : node.outputs) results.emplace_back(graph_.type(id));
  std::vector<ir::TensorView> out;
  for (Tensor& t : results) out.emplace_back(t);
  ir::evaluate(*node.op, in, out, node.attrs, graph_.int8_profile);
  for (size_t i = 0; i < results.size(); ++i) {
    ir::Value& value = graph_.value(node.outputs[i]);
    value.kind = ir::ValueKind::kConstant;
    value.producer = -1;
    value.data = std::move(results[i]);
  }
  graph_.nodes.pop_back();
}

std::vector<ValueId> Importer::emit_multi(const OpDef& op, std::vector<ValueId> inputs,
                                          Attrs attrs) {
  if (--node_budget_ < 0) {
    builder_.fail(make_error(ErrorCode::kResourceLimit, "the nodes of ", options_.path,
                             " are more than its size justifies"));
  }
  std::vector<ValueId> ids = builder_.add_multi(op, std::move(inputs), std::move(attrs));
  if (!builder_.ok()) return std::vector<ValueId>(8, kNoValue);
  fold_last_node();
  return ids;
}

ValueId Importer::emit(const OpDef& op, std::vector<ValueId> inputs, Attrs attrs) {
  return emit_multi(op, std::move(inputs), std::move(attrs))[0];
}

const Tensor* Importer::constant(ValueId id) const {
  if (id == kNoValue) return nullptr;
  const ir::Value& value = graph_.value(id);
  if (value.kind != ir::ValueKind::kConstant) return nullptr;
  return &constants_.try_emplace(id, value.data).first->second;
}

const Tensor* Importer::constant(Val& value) {
  if (value.form[kPlain] == kNoValue && value.form[kLast] == kNoValue && !value.make) {
    return nullptr;
  }
  return constant(form(value, kPlain));
}

ValueId Importer::parameter(Tensor data, const std::string& name) {
  std::string full = str(node_name_, "/", name);
  while (!parameter_names_.insert(full).second) full += "_";
  ir::ParameterInfo info;
  info.layer = node_name_;
  info.name = name;
  return builder_.parameter(full, std::move(data), std::move(info));
}

int64_t Importer::symbol(ValueId value, int dim) {
  const auto next = -2 - static_cast<int64_t>(symbols_.size());
  return symbols_.try_emplace({value, dim}, next).first->second;
}

void Importer::depend(ValueId id) {
  std::vector<bool> seen(graph_.values.size(), false);
  std::vector<ValueId> stack{id};
  while (!stack.empty()) {
    const ValueId at = stack.back();
    stack.pop_back();
    if (at == kNoValue || seen[static_cast<size_t>(at)]) continue;
    seen[static_cast<size_t>(at)] = true;
    const ir::Value& value = graph_.value(at);
    if (value.kind == ir::ValueKind::kInput) needed_.insert(value.name);
    if (const ir::Node* node = graph_.producer(at)) {
      stack.insert(stack.end(), node->inputs.begin(), node->inputs.end());
    }
  }
}

void Importer::require(Val& value, const std::string& what) {
  if (!ok()) return;
  if (value.has_dims) {
    needs_shapes_ = true;
  } else {
    const ValueId id = form(value, kPlain);
    if (ok()) depend(id);
  }
  std::string inputs;
  for (const std::string& name : needed_) inputs += (inputs.empty() ? " '" : "', '") + name;
  builder_.fail(unsupported(what, " must be known when the model is read",
                            needed_.empty() ? std::string("; give the inputs' shapes")
                                            : str("; it depends on the values of", inputs, "'")));
}

ValPtr Importer::find(std::string_view name) const {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->parent) {
    const auto it = scope->values.find(name);
    if (it != scope->values.end()) return it->second;
  }
  return nullptr;
}

void Importer::define(std::string_view name, ValPtr value) {
  if (name.empty()) return;
  scope_->values.insert_or_assign(std::string(name), std::move(value));
}

const NodeProto* Importer::only_user(std::string_view name) const {
  const auto it = scope_->uses.find(name);
  if (it == scope_->uses.end() || it->second != 1) return nullptr;
  const auto user = scope_->user.find(name);
  return user == scope_->user.end() ? nullptr : user->second;
}

void Importer::count_uses(const NodeProto& node, Scope& scope) {
  for (const std::string_view name : node.inputs) {
    ++scope.uses[std::string(name)];
    scope.user[std::string(name)] = &node;
  }
  // Subgraphs use names of the graphs around them.
  for (const AttributeProto& attribute : node.attributes) {
    for (const GraphProto& graph : attribute.graphs) {
      for (const NodeProto& inner : graph.nodes) {
        count_uses(inner, scope);
        for (const std::string_view name : inner.inputs) ++scope.uses[std::string(name)];
      }
      for (const ValueInfo& out : graph.outputs) scope.uses[std::string(out.name)] += 2;
    }
  }
}

void Importer::count_uses(const std::vector<NodeProto>& nodes, Scope& scope) {
  for (const NodeProto& node : nodes) count_uses(node, scope);
}

void Importer::add_initializers(const GraphProto& graph) {
  if (graph.has_sparse_initializers) {
    builder_.fail(unsupported("sparse initialisers"));
    return;
  }
  for (const TensorProto& proto : graph.initializers) {
    // A string is only an error where it is used.
    if (proto.data_type == static_cast<int32_t>(OnnxType::kString)) continue;
    Result<Tensor> tensor = to_tensor(proto, options_.folder);
    if (!tensor.ok()) {
      builder_.fail(tensor.error());
      return;
    }
    auto value = std::make_shared<Val>();
    value->form[kPlain] = builder_.constant(std::move(*tensor), std::string(proto.name));
    value->is_nibble = is_nibble(proto.data_type);
    define(proto.name, std::move(value));
  }
}

std::vector<ValPtr> Importer::run_subgraph(const GraphProto& graph,
                                           const std::vector<ValPtr>& inputs) {
  std::vector<ValPtr> outputs;
  if (!ok()) return outputs;
  if (depth_ >= kMaxScopes) {
    builder_.fail(make_error(ErrorCode::kResourceLimit, "graphs nested deeper than ", kMaxScopes));
    return outputs;
  }
  if (graph.inputs.size() > inputs.size()) {
    builder_.fail(invalid_data("subgraph '", graph.name, "': expected ", inputs.size(),
                               " inputs, found ", graph.inputs.size()));
    return outputs;
  }
  Scope inner;
  inner.parent = scope_;
  inner.arguments = scope_->arguments;
  scope_ = &inner;
  ++depth_;
  count_uses(graph.nodes, inner);
  for (const ValueInfo& out : graph.outputs) inner.uses[std::string(out.name)] += 2;
  add_initializers(graph);
  for (size_t i = 0; i < graph.inputs.size(); ++i) define(graph.inputs[i].name, inputs[i]);
  run_nodes(graph.nodes);
  for (const ValueInfo& out : graph.outputs) {
    ValPtr value = find(out.name);
    if (!value && ok()) builder_.fail(invalid_data("no node computes '", out.name, "'"));
    outputs.push_back(std::move(value));
  }
  --depth_;
  scope_ = const_cast<Scope*>(inner.parent);
  return outputs;
}

bool Importer::run_function(const NodeProto& node) {
  const auto it = std::find_if(
      proto_.functions.begin(), proto_.functions.end(),
      [&](const FunctionProto& f) { return f.name == node.op_type && f.domain == node.domain; });
  if (it == proto_.functions.end()) return false;
  if (depth_ >= kMaxScopes) {
    builder_.fail(
        make_error(ErrorCode::kResourceLimit, "functions nested deeper than ", kMaxScopes));
    return true;
  }
  std::map<std::string, const AttributeProto*, std::less<>> arguments;
  for (const AttributeProto& a : it->defaults) arguments[std::string(a.name)] = &a;
  for (const AttributeProto& a : node.attributes) arguments[std::string(a.name)] = &a;
  Scope inner;
  inner.arguments = &arguments;
  for (size_t i = 0; i < it->inputs.size() && i < node.inputs.size(); ++i) {
    if (const ValPtr value = find(node.inputs[i])) inner.values[std::string(it->inputs[i])] = value;
  }
  count_uses(it->nodes, inner);
  for (const std::string_view out : it->outputs) inner.uses[std::string(out)] += 2;
  Scope* outer = scope_;
  const auto* opsets = opsets_;
  scope_ = &inner;
  if (!it->opsets.empty()) opsets_ = &it->opsets;
  ++depth_;
  run_nodes(it->nodes);
  --depth_;
  opsets_ = opsets;
  scope_ = outer;
  for (size_t i = 0; i < it->outputs.size() && i < node.outputs.size(); ++i) {
    const auto found = inner.values.find(it->outputs[i]);
    if (found != inner.values.end()) define(node.outputs[i], found->second);
  }
  return true;
}

void Importer::run_node(const NodeProto& node) {
  const std::string name(node.name.empty() && !node.outputs.empty() ? node.outputs[0] : node.name);
  // An outer node's name stays with what its subgraphs add.
  node_name_ = name.empty() ? std::string(node.op_type) : name;
  builder_.set_origin("onnx:" + node_name_);
  if (run_function(node)) return;
  const Handler handler = find_handler(node.domain, node.op_type);
  if (handler == nullptr) {
    builder_.fail(unsupported("operator ", node.domain, node.domain.empty() ? "" : ".",
                              node.op_type, " (node '", node_name_, "')"));
    return;
  }
  if (opset(node.domain) == 0) {
    builder_.fail(
        invalid_data("names no operator set for ", node.op_type, " (node '", node_name_, "')"));
    return;
  }
  Call call(*this, node, opset(node.domain));
  handler(call);
}

void Importer::run_nodes(const std::vector<NodeProto>& nodes) {
  for (const NodeProto& node : nodes) {
    if (!ok()) return;
    run_node(node);
  }
}

void Importer::add_input(const ValueInfo& info, size_t index) {
  const std::string name(info.name);
  const auto refuse = [&](Error error) { builder_.fail(at(str("input '", name, "'"), error)); };
  if (info.kind != ValueInfo::Kind::kTensor) return refuse(unsupported("is no tensor"));
  const Result<DType> dtype = dtype_of(info.elem_type);
  if (!dtype.ok()) return refuse(dtype.error());
  Shape shape(info.dims);
  for (int64_t& d : shape.dims()) d = d < 0 ? kUnknown : d;
  const Tensor* given = index < options_.values.size() ? &options_.values[index] : nullptr;
  if (given != nullptr && options_.use_shapes) {
    bool fits = !info.has_shape || shape.rank() == given->shape().rank();
    for (int d = 0; info.has_shape && fits && d < shape.rank(); ++d) {
      fits = shape[d] == kUnknown || shape[d] == given->shape()[d];
    }
    if (!fits || *dtype != given->dtype()) {
      return refuse(invalid_argument("expected ", *dtype, shape, ", found ", given->type()));
    }
    shape = given->shape();
  } else if (!info.has_shape) {
    needs_shapes_ = true;
    return refuse(unsupported("has no declared shape; give its value"));
  }
  if (Status fits = check_open_shape(shape); !fits.ok()) return refuse(fits.error());
  auto value = std::make_shared<Val>();
  value->form[kPlain] = builder_.input(name, {*dtype, std::move(shape), nullptr});
  if (given != nullptr && options_.use_shapes && options_.fixed.contains(name)) {
    value->form[kPlain] = builder_.constant(*given, name);
    fixed_[name] = *given;
  }
  value->is_nibble = is_nibble(info.elem_type);
  define(name, std::move(value));
}

void Importer::finish_outputs() {
  for (const ValueInfo& info : proto_.graph.outputs) {
    const ValPtr value = find(info.name);
    if (!value) {
      builder_.fail(invalid_data("no node computes the output '", info.name, "'"));
      return;
    }
    const ValueId id = form(*value, kPlain);
    if (!ok()) return;
    if (graph_.value(id).kind == ir::ValueKind::kComputed || graph_.value(id).name.empty()) {
      graph_.value(id).name = std::string(info.name);
    }
    graph_.outputs.push_back(id);
  }
}

Result<ir::Model> Importer::run() {
  ir::Model model;
  Scope scope;
  scope_ = &scope;
  count_uses(proto_.graph.nodes, scope);
  for (const ValueInfo& out : proto_.graph.outputs) scope.uses[std::string(out.name)] += 2;
  add_initializers(proto_.graph);
  size_t index = 0;
  for (const ValueInfo& info : proto_.graph.inputs) {
    // Up to IR version 3 initialisers are listed as inputs too.
    if (scope.values.find(info.name) == scope.values.end()) add_input(info, index++);
    if (!ok()) break;
  }
  run_nodes(proto_.graph.nodes);
  if (ok()) finish_outputs();
  scope_ = nullptr;
  EW_TRY_VOID(builder_.status());
  ir::remove_dead_nodes(graph_);
  ir::remove_unused_values(graph_);
  EW_TRY_VOID(ir::verify(graph_, ir::Stage::kImported));
  model.graph = std::move(graph_);
  model.fixed_inputs = std::move(fixed_);
  model.architecture.version = str(proto_.producer_name, " ", proto_.producer_version);
  return model;
}

}  // namespace ew::formats::onnx
