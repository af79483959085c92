#pragma once
// The graph: typed values and the nodes that compute them. One graph serves import, training,
// quantisation, execution and export; verify() says what holds at each stage.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/config.h"
#include "ir/op_def.h"

namespace ew::ir {

using ValueId = int32_t;
/// An absent optional input, or "no gradient".
inline constexpr ValueId kNoValue = -1;

enum class ValueKind : uint8_t { kInput, kParameter, kConstant, kComputed };

/// What training and files need to know of a weight.
struct ParameterInfo {
  std::string layer;       ///< the layer's name; nested: "block/dense"
  std::string name;        ///< "kernel", "moving_mean", ...
  std::string store_path;  ///< where `.keras` keeps it: "layers/dense/vars/0"
  bool is_trainable = true;
  Config regularizer;  ///< null, or {"class_name", "config"} as Keras writes it
  Config constraint;   ///< likewise
};

struct Value {
  std::string name;
  TensorType type;
  ValueKind kind = ValueKind::kComputed;
  int producer = -1;                          ///< node index, for kComputed
  Tensor data;                                ///< for kParameter and kConstant
  std::shared_ptr<const ParameterInfo> info;  ///< for kParameter
};

struct Node {
  const OpDef* op = nullptr;
  Attrs attrs;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::string origin;  ///< "keras:conv2d_3"
};

/// "After a run, store `value` into `parameter`": moving averages, recurrent state.
struct Update {
  ValueId parameter = kNoValue;
  ValueId value = kNoValue;
};

enum class Stage { kImported, kCanonical, kQuantised, kPlanned };
const char* stage_name(Stage stage);

struct Graph {
  std::vector<Value> values;
  std::vector<Node> nodes;  ///< in an order in which every input is computed before its use
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::vector<Update> updates;
  /// Extra scalar losses (activity regularisation), added to the training loss.
  std::vector<ValueId> losses;
  /// Per output: the value of its Keras mask (bool), or kNoValue; weighs the loss.
  std::vector<ValueId> output_masks;
  Int8Profile int8_profile = Int8Profile::kTflm;

  const Value& value(ValueId id) const { return values[static_cast<size_t>(id)]; }
  Value& value(ValueId id) { return values[static_cast<size_t>(id)]; }
  const TensorType& type(ValueId id) const { return value(id).type; }
  /// The node that computes `id`, or null.
  const Node* producer(ValueId id) const;
  /// Input types of a node, null where absent.
  std::vector<const TensorType*> input_types(const Node& node) const;
  /// Number of uses of each value as a node input, graph output, update or loss.
  std::vector<int> use_counts() const;
  /// All parameters in order of creation.
  std::vector<ValueId> parameters() const;
};

/// Checks the invariants of a stage: indices in range, definition before use, arity, attributes,
/// inferred types equal to stored types; from kCanonical on, no training-dependent operator; from
/// kPlanned on, static shapes. Error kInternal or kInvalidData names the node.
Status verify(const Graph& graph, Stage stage);

/// The graph as text, one node a line: "%5 = conv2d(%0, %1, %2) {strides=[1, 1]} : float32(...)".
std::string to_text(const Graph& graph);

/// The graph with its inputs' shapes replaced and every type inferred anew. Shapes may only fill in
/// unknown dimensions. Errors: kInvalidArgument if a shape contradicts the graph's; kResourceLimit
/// if a tensor becomes too large.
Result<Graph> specialize(const Graph& graph, std::span<const Shape> input_shapes);

/// Most nodes of a graph: unrolled layers of hostile files ask for more.
inline constexpr size_t kMaxNodes = 2'000'000;

/// Appends values and nodes to a graph. The first error sticks: later calls return kNoValue, and
/// status() reports it, so that lowering code reads as straight lines.
class Builder {
 public:
  explicit Builder(Graph& graph) : graph_(graph) {}

  ValueId input(std::string name, TensorType type);
  ValueId parameter(std::string name, Tensor data, ParameterInfo info);
  ValueId constant(Tensor data, std::string name = "");
  /// A float scalar constant of `dtype`.
  ValueId scalar(double value, DType dtype = DType::kF32);

  /// One node with one output; its known sizes pass check_open_shape(). `inputs` may hold kNoValue
  /// for absent optional inputs (trailing ones may be left out).
  ValueId add(const OpDef& op, std::vector<ValueId> inputs, const Attrs& attrs = {});
  /// One node with all its outputs.
  std::vector<ValueId> add_multi(const OpDef& op, std::vector<ValueId> inputs,
                                 const Attrs& attrs = {});

  /// Valid until the next value is added, unlike shape(), which is a copy.
  const TensorType& type(ValueId id) const;
  Shape shape(ValueId id) const { return type(id).shape; }
  Graph& graph() { return graph_; }

  /// Written into the `origin` of nodes added from now on.
  void set_origin(std::string origin) { origin_ = std::move(origin); }
  const std::string& origin() const { return origin_; }

  /// Records an error (the first one is kept) and returns kNoValue.
  ValueId fail(Error error);
  const Status& status() const { return status_; }
  bool ok() const { return status_.ok(); }

 private:
  Graph& graph_;
  std::string origin_;
  Status status_;
};

}  // namespace ew::ir
