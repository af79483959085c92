#pragma once
// Operations on symbolic tensors: Keras 3 saves `x * 2.0` as a node of class "Multiply" (module
// keras.src.ops.numpy), Keras 2 as a TFOpLambda with function "math.multiply".

#include "formats/keras/lowering.h"

namespace ew::formats {

/// One call of one operation: arguments by position or by any of their names, whether they were
/// passed as arguments, as keywords or to the operation's constructor (its config).
class OperationCall {
 public:
  using Names = std::initializer_list<const char*>;

  explicit OperationCall(LayerContext& c) : c_(c) {}

  ir::Builder& b() const { return c_.b; }
  LayerContext& context() const { return c_; }

  /// The argument as written; a null Config if there is none or it is a tensor passed by keyword.
  const Config& argument(size_t position, Names names) const;
  /// The argument as a tensor: symbolic, or a constant of its own kind (int32, float32, bool).
  Result<ValueId> tensor(size_t position, Names names) const;
  /// A list of tensors (concatenate, stack), or a single one.
  Result<std::vector<ValueId>> tensors(size_t position, Names names) const;
  /// Two operands brought to one dtype as NumPy and Keras do; constants are weakly typed.
  Result<std::pair<ValueId, ValueId>> operands(size_t position, Names first, Names second) const;
  Result<int64_t> integer(size_t position, Names names, int64_t fallback) const;
  Result<double> number(size_t position, Names names, double fallback) const;
  Result<bool> flag(size_t position, Names names, bool fallback) const;
  /// One integer or a list of them; null gives `fallback`.
  Result<std::vector<int64_t>> integers(size_t position, Names names,
                                        std::vector<int64_t> fallback) const;

 private:
  Result<ValueId> to_tensor(const Config& argument) const;

  LayerContext& c_;
};

using OperationFn = Result<std::vector<ValueId>> (*)(const OperationCall& call);

struct Operation {
  const char* name;         ///< Keras 3's class
  const char* tf_function;  ///< TensorFlow's function without "tf.", or "" if it has none here
  OperationFn build;
};

std::span<const Operation> elementwise_operations();
std::span<const Operation> reduction_operations();
std::span<const Operation> shape_operations();
std::span<const Operation> index_operations();

/// Whether a layer entry of a Keras 3 file is an operation of that name and not a layer: operations
/// have no "trainable".
bool is_operation(const Config& layer);

/// Builds a Keras 3 operation (c.class_name) as if it were a layer; null if there is none.
KerasLayerFn find_operation(std::string_view class_name);

/// TFOpLambda and SlicingOpLambda.
std::vector<KerasTensor> build_tf_operation(LayerContext& c);

/// Broadcasting of values: casts to the dtype that NumPy would choose for both.
DType promote(DType x, DType y);

}  // namespace ew::formats
