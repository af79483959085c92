#pragma once
// Builds a graph from ONNX nodes. Each ONNX value may exist in several forms (as the file lays it
// out, channels last, as int8), made when first asked for, so that chains of convolutions run
// channels last without a transposition between them (docs/design/0015-onnx.md).

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "formats/onnx/proto.h"
#include "ir/model.h"
#include "ops/ops.h"

namespace ew::formats::onnx {

using ir::Attrs;
using ir::kNoValue;
using ir::OpDef;
using ir::QuantParams;
using ir::Tensor;
using ir::ValueId;

/// Where the channels of [N, C, spatial...] lie.
enum Layout : size_t { kPlain = 0, kLast = 1 };

/// An ONNX value as int8, per tensor: what lies between QuantizeLinear and DequantizeLinear.
struct Int8Form {
  std::shared_ptr<const QuantParams> params;
  ValueId id[2] = {kNoValue, kNoValue};
  /// Makes an id where none is there yet.
  std::function<ValueId(Layout)> make;
};

/// Integers that never change, with their meaning: weights and biases behind DequantizeLinear.
struct StoredConstant {
  Tensor data;
  std::vector<float> scales;
  std::vector<int64_t> zero_points;  ///< as many as scales
  int axis = -1;                     ///< of several scales
};

/// What stands for an ONNX value.
struct Val {
  ValueId form[2] = {kNoValue, kNoValue};
  /// Makes form[kPlain] where none is there yet.
  std::function<ValueId()> make;
  /// For a real value that also exists as int8, and for the stored integers of the same.
  std::shared_ptr<Int8Form> int8;
  bool is_stored = false;
  std::shared_ptr<const StoredConstant> stored;  ///< for a real value that is a constant
  bool is_nibble = false;                        ///< 4-bit integers, kept in 8 bits
  /// The clamp of the Relu or Clip that follows is in it already.
  bool is_clamped = false;
  /// Elements of a small integer vector of which some are open: sizes >= 0, else symbols < -1.
  std::vector<int64_t> dims;
  bool has_dims = false;
  /// A sequence, or an optional of no (items empty) or one value.
  enum class Kind { kTensor, kSequence, kOptional } kind = Kind::kTensor;
  std::vector<std::shared_ptr<Val>> items;
};
using ValPtr = std::shared_ptr<Val>;

class Call;

/// Names of one graph, with those of the graph around it.
struct Scope {
  const Scope* parent = nullptr;
  std::map<std::string, ValPtr, std::less<>> values;
  const std::map<std::string, const AttributeProto*, std::less<>>* arguments = nullptr;
  std::map<std::string, int, std::less<>> uses;               ///< of each name, as input or output
  std::map<std::string, const NodeProto*, std::less<>> user;  ///< one of them
};

struct ImportInputs {
  std::string path;    ///< for messages
  std::string folder;  ///< of external data
  /// Values of the graph's inputs, in their order, or none. Those in `fixed` become constants.
  std::vector<Tensor> values;
  std::set<std::string> fixed;
  bool use_shapes = false;  ///< take the inputs' shapes from `values`
  size_t file_bytes = 0;
};

class Importer {
 public:
  Importer(const ModelProto& proto, const ImportInputs& options);

  /// The whole graph. After an error, needed() says which inputs' values would have helped.
  Result<ir::Model> run();
  const std::set<std::string>& needed() const { return needed_; }
  bool needs_shapes() const { return needs_shapes_; }

  ir::Builder& b() { return builder_; }
  bool ok() const { return builder_.ok(); }
  int64_t opset(std::string_view domain) const;

  /// One operator; computed at once where all inputs are constants.
  ValueId emit(const OpDef& op, std::vector<ValueId> inputs, Attrs attrs = {});
  std::vector<ValueId> emit_multi(const OpDef& op, std::vector<ValueId> inputs, Attrs attrs = {});

  ValueId form(Val& value, Layout layout);
  /// The int8 form; value.int8 must be there.
  ValueId int8_form(Val& value, Layout layout);
  ValueId typed_int8(ValueId id, const std::shared_ptr<const QuantParams>& params);

  /// The tensor of a value that never changes, or null. It lives as long as the importer.
  const Tensor* constant(ValueId id) const;
  const Tensor* constant(Val& value);
  /// A constant as a trainable parameter of the current node.
  ValueId parameter(Tensor data, const std::string& name);

  /// Fails because the value must be known when the model is read; notes what it depends on.
  void require(Val& value, const std::string& what);
  int64_t symbol(ValueId value, int dim);

  ValPtr find(std::string_view name) const;
  void define(std::string_view name, ValPtr value);
  void run_nodes(const std::vector<NodeProto>& nodes);
  void add_initializers(const GraphProto& graph);
  /// Runs a subgraph with these inputs; its outputs.
  std::vector<ValPtr> run_subgraph(const GraphProto& graph, const std::vector<ValPtr>& inputs);
  /// The only user of a value, if it is one node of this graph and no output.
  const NodeProto* only_user(std::string_view name) const;
  const Scope& scope() const { return *scope_; }

  const ImportInputs& options() const { return options_; }

 private:
  void run_node(const NodeProto& node);
  bool run_function(const NodeProto& node);
  void add_input(const ValueInfo& info, size_t index);
  void count_uses(const std::vector<NodeProto>& nodes, Scope& scope);
  void count_uses(const NodeProto& node, Scope& scope);
  void finish_outputs();
  std::map<std::string, Tensor> fixed_;
  void fold_last_node();
  void depend(ValueId id);

  const ModelProto& proto_;
  const ImportInputs& options_;
  ir::Graph graph_;
  ir::Builder builder_;
  Scope* scope_ = nullptr;
  std::set<std::string> needed_;
  bool needs_shapes_ = false;
  int64_t fold_budget_;
  int64_t node_budget_;
  int depth_ = 0;
  std::map<std::pair<ValueId, int>, int64_t> symbols_;
  /// What constant() gave: handles on the same data, at addresses that stay while the graph grows.
  mutable std::map<ValueId, Tensor> constants_;
  std::set<std::string> parameter_names_;
  std::string node_name_;
  const std::vector<std::pair<std::string_view, int64_t>>* opsets_;
};

}  // namespace ew::formats::onnx
