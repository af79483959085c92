#pragma once
// The messages of an ONNX file (onnx.proto3, IR versions 3 to 10) as plain structs. Texts and
// tensor contents are views of the file's bytes, which must outlive them. Unknown fields are passed
// over.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/onnx/wire.h"

namespace ew::formats::onnx {

/// TensorProto.DataType: what the file calls its element types.
enum class OnnxType : int32_t {
  kUndefined = 0,
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kBfloat16 = 16,
  kUint4 = 21,
  kInt4 = 22,
};

/// Packed numeric fields stay as they are in the file until the tensor is made.
struct TensorProto {
  std::vector<int64_t> dims;
  int32_t data_type = 0;
  std::string_view name;
  std::optional<Bytes> raw_data;
  std::vector<float> float_data;
  std::vector<int64_t> int_data;  ///< int32_data, int64_data or uint64_data
  std::vector<double> double_data;
  std::vector<std::string_view> string_data;
  bool is_external = false;
  std::vector<std::pair<std::string_view, std::string_view>> external_data;
};

struct GraphProto;

struct AttributeProto {
  std::string_view name;
  std::string_view reference;  ///< the calling node's attribute of this name, inside functions
  int32_t type = 0;
  float f = 0;
  int64_t i = 0;
  std::string_view s;
  std::vector<TensorProto> tensors;  ///< t or tensors
  std::vector<GraphProto> graphs;    ///< g or graphs
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<std::string_view> strings;
  bool is_sparse = false;
};

struct NodeProto {
  std::vector<std::string_view> inputs;   ///< "" for an absent optional input
  std::vector<std::string_view> outputs;  ///< likewise
  std::string_view name;
  std::string_view op_type;
  std::string_view domain;  ///< "" is ONNX itself, as "ai.onnx"
  std::vector<AttributeProto> attributes;
};

/// TypeProto: a tensor with a shape, or something else that we name but do not read.
struct ValueInfo {
  std::string_view name;
  enum class Kind { kNone, kTensor, kSequence, kOptional, kOther } kind = Kind::kNone;
  int32_t elem_type = 0;
  bool has_shape = false;
  std::vector<int64_t> dims;                 ///< -1 where symbolic or not given
  std::vector<std::string_view> parameters;  ///< per dimension: its symbol, or ""
};

struct GraphProto {
  std::string_view name;
  std::vector<NodeProto> nodes;
  std::vector<TensorProto> initializers;
  bool has_sparse_initializers = false;
  std::vector<ValueInfo> inputs;
  std::vector<ValueInfo> outputs;
};

struct FunctionProto {
  std::string_view name;
  std::string_view domain;
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  std::vector<AttributeProto> defaults;
  std::vector<NodeProto> nodes;
  std::vector<std::pair<std::string_view, int64_t>> opsets;
};

struct ModelProto {
  int64_t ir_version = 0;
  std::string_view producer_name;
  std::string_view producer_version;
  std::vector<std::pair<std::string_view, int64_t>> opsets;
  GraphProto graph;
  bool has_graph = false;
  std::vector<FunctionProto> functions;
};

/// Errors: kInvalidData for malformed bytes; kResourceLimit for too many or too deeply nested
/// messages.
Result<ModelProto> parse_model(Bytes bytes);
/// One TensorProto alone, as the files of ONNX' own tests hold them.
Result<TensorProto> parse_tensor(Bytes bytes);
/// The tensors of one SequenceProto of tensors.
Result<std::vector<TensorProto>> parse_tensor_sequence(Bytes bytes);

}  // namespace ew::formats::onnx
