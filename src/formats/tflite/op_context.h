#pragma once
// How one operator of a TFLite file becomes graph nodes. The importer walks the file's operators
// and calls the lowering of each (lowerings.h).

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "formats/tflite/schema.h"
#include "ir/graph.h"
#include "ops/ops.h"

namespace ew::formats::tflite {

using ir::kNoValue;
using ir::ValueId;

/// The tensors of the file as they become known: constants of the file, then what operators
/// compute.
class TensorTable {
 public:
  TensorTable(ir::Builder& b, const Subgraph& graph);

  const TensorInfo& info(int32_t tensor) const;
  /// The file's type of a tensor, with its quantisation. Errors: kUnsupported for element types
  /// that we do not know; kInvalidData for quantisation that does not fit.
  Result<ir::TensorType> type(int32_t tensor) const;

  /// The contents of a constant as stored in the file, unpacked where they are sparse or packed.
  Result<ir::Tensor> stored(int32_t tensor);
  bool is_constant(int32_t tensor) const;

  /// The graph's value of a tensor; a constant of the file is added on first use. Error
  /// kInvalidData if no operator has computed it yet.
  Result<ValueId> value(int32_t tensor);
  /// The same if there is one already, else kNoValue.
  ValueId known(int32_t tensor) const { return values_[static_cast<size_t>(tensor)]; }
  void set_value(int32_t tensor, ValueId value);
  /// Forgets what was set, so that the operators can run again.
  void clear_set();
  /// Weights in our layout, shared by all operators that ask for the same tensor and form.
  ValueId& shared_weight(int32_t tensor, const std::string& form);

 private:
  ir::Builder& b_;
  const Subgraph& graph_;
  std::vector<ValueId> values_;
  std::vector<bool> is_set_;
  std::map<std::pair<int32_t, std::string>, ValueId> weights_;
  size_t made_bytes_ = 0;
};

/// One operator.
class OpContext {
 public:
  OpContext(ir::Builder& builder, TensorTable& tensors, const OperatorInfo& info)
      : b(builder), options(info.options), tensors_(tensors), op_(info) {}

  ir::Builder& b;
  const Table& options;

  size_t inputs() const { return op_.inputs.size(); }
  size_t outputs() const { return op_.outputs.size(); }
  BuiltinOperator code() const { return op_.code; }
  std::span<const uint8_t> custom_options() const { return op_.custom_options; }
  bool has_input(size_t i) const { return i < op_.inputs.size() && op_.inputs[i] >= 0; }

  /// Input i. Error kInvalidData if it is absent.
  Result<ValueId> in(size_t i) const;
  /// Input i, or kNoValue if it is absent.
  Result<ValueId> optional(size_t i) const;
  const ir::TensorType& type(ValueId id) const { return b.type(id); }
  /// Contents of input i if it is a constant, else null.
  const ir::Tensor* constant(size_t i) const;
  /// The integers of a constant input. Error kUnsupported if it is computed at run time.
  Result<std::vector<int64_t>> ints(size_t i) const;
  /// The file's type of output i.
  Result<ir::TensorType> declared(size_t i) const { return tensors_.type(op_.outputs[i]); }

  /// A weight in our layout: input i with its dimensions permuted, then reshaped. A real-valued one
  /// becomes a parameter `name` of the operator's layer, a quantised one a constant; both are
  /// shared by the operators that use the same tensor. `axis` is where per-channel scales go (-1:
  /// none).
  struct WeightForm {
    std::string name = "kernel";
    std::vector<int64_t> perm = {};
    std::vector<int64_t> shape = {};
    int axis = -1;
  };
  Result<ValueId> weight(size_t i, const WeightForm& form) const;
  /// A float parameter `name` of the operator's layer that `make()` puts together from constant
  /// inputs, shared by the operators that use the same ones.
  template <typename F>
  Result<ValueId> made_weight(const std::string& name, std::span<const size_t> inputs,
                              F make) const;
  /// Whether input i is a variable of the file: state that begins with zeros.
  bool is_variable(size_t i) const {
    return has_input(i) && tensors_.info(op_.inputs[i]).is_variable;
  }

  /// Whether the file has complex numbers there: [..., 2] in the graph, real and imaginary parts.
  bool is_complex(size_t i) const {
    return has_input(i) && tensors_.info(op_.inputs[i]).type == ElementType::kComplex64;
  }
  /// The real (0) or imaginary (1) parts of complex input 0.
  Result<ValueId> real_or_imaginary(int64_t which) const;

  /// Gives a value the type of output i: for lowerings of several quantised nodes.
  ValueId typed(ValueId id, const ir::TensorType& type) const;

 private:
  ValueId parameter(const std::string& name, int32_t tensor, ir::Tensor data) const;

  TensorTable& tensors_;
  const OperatorInfo& op_;
};

template <typename F>
Result<ValueId> OpContext::made_weight(const std::string& name, std::span<const size_t> inputs,
                                       F make) const {
  std::string form = name;
  for (const size_t i : inputs) {
    if (!has_input(i)) return invalid_data("input ", i, " is missing");
    form += str(' ', op_.inputs[i]);
  }
  ValueId& known = tensors_.shared_weight(op_.inputs[inputs[0]], form);
  if (known != kNoValue) return known;
  EW_TRY(ir::Tensor data, make());
  return known = parameter(name, op_.inputs[inputs[0]], std::move(data));
}

using LowerFn = Result<std::vector<ValueId>> (*)(const OpContext& c);

struct Lowering {
  BuiltinOperator code;
  LowerFn build;
};

/// As a LowerFn with one output.
template <Result<ValueId> (*f)(const OpContext& c)>
Result<std::vector<ValueId>> one(const OpContext& c) {
  EW_TRY(const ValueId y, f(c));
  return std::vector<ValueId>{y};
}

// The lowerings by kind; find_lowering() searches all.
std::span<const Lowering> window_lowerings();
std::span<const Lowering> elementwise_lowerings();
std::span<const Lowering> shape_lowerings();
std::span<const Lowering> index_lowerings();
std::span<const Lowering> recurrent_lowerings();
std::span<const Lowering> reduction_lowerings();
std::span<const Lowering> select_lowerings();
std::span<const Lowering> signal_lowerings();
LowerFn find_lowering(BuiltinOperator code);
LowerFn find_custom_lowering(std::string_view name);

/// A fused activation as real bounds. Error kUnsupported for one that is no clamp.
Result<std::pair<double, double>> clamp_of(Activation activation);
/// The activation as attributes clamp_min and clamp_max.
Status set_clamp(ir::Attrs& attrs, Activation activation);
/// The activation as a node of its own, behind an operator without those attributes. `y` gets the
/// type of output 0.
Result<ValueId> apply_clamp(const OpContext& c, ValueId y, Activation activation);

}  // namespace ew::formats::tflite
