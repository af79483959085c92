#pragma once
// The file being written: tensors, buffers, operators.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "formats/tflite/flat_writer.h"
#include "formats/tflite/schema.h"
#include "ir/graph.h"
#include "ops/ops.h"

namespace ew::formats::tflite {

using ir::ValueId;

/// Collects the parts of one file from a graph whose batch is 1.
class FileBuilder {
 public:
  /// `graph` has static shapes; `open` is the same graph before its unknown sizes became 1. Both
  /// must outlive this object. `weights`: the dtype of float kernels.
  FileBuilder(const ir::Graph& graph, const ir::Graph& open, DType weights);

  const ir::Graph& graph() const { return graph_; }
  const ir::Graph& open() const { return open_; }
  DType weights() const { return weights_; }

  /// The file's tensor for a value of the graph; its contents too if it never changes.
  int32_t tensor(ValueId id);
  /// A constant of its own.
  int32_t constant(const ir::Tensor& data, const std::string& name);
  /// The same for int8 values in [-8, 7], two to a byte (INT4).
  int32_t nibbles(const ir::Tensor& data, const std::string& name);
  int32_t ints(const std::vector<int64_t>& values, const std::string& name);
  int32_t number(float value, const std::string& name);
  /// A tensor between two operators that stand for one node.
  int32_t temporary(const ir::TensorType& type, const std::string& name);
  /// State of an operator, which begins with zeros.
  int32_t variable(const ir::TensorType& type, const std::string& name);

  /// Appends an operator and returns its options to be filled in. `options_type` is the number of
  /// its options in the schema's union, 0 for none.
  FlatTable& add(BuiltinOperator code, const std::vector<int32_t>& inputs,
                 const std::vector<int32_t>& outputs, int options_type = 0);

  /// The bytes of the file.
  Result<std::vector<uint8_t>> finish();

  const Status& status() const { return status_; }

 private:
  enum class Storage { kPlain, kNibbles, kVariable };
  int32_t add_tensor(const ir::TensorType& type, const Shape& signature, std::string name,
                     const ir::Tensor* data, Storage storage = Storage::kPlain);
  void add_ports(int field, const std::vector<ValueId>& ids, FlatTable& signature,
                 int signature_field);

  const ir::Graph& graph_;
  const ir::Graph& open_;
  DType weights_;
  FlatTable root_;
  FlatTable& subgraph_;
  FlatTable no_options_;
  std::vector<int32_t> tensors_;  // per value: its tensor, or -1
  std::vector<bool> is_int8_;     // per tensor
  std::map<std::pair<BuiltinOperator, int>, uint32_t> codes_;
  uint32_t buffers_ = 1;  // buffer 0 is empty by definition
  Status status_;
};

}  // namespace ew::formats::tflite
