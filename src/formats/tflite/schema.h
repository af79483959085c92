#pragma once
// A TFLite file as plain data: the facts of its schema (field numbers, codes) and one checked
// parse.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/shape.h"
#include "formats/tflite/flatbuffer.h"

namespace ew::formats::tflite {

enum class ElementType : int8_t {
  kFloat32 = 0,
  kFloat16 = 1,
  kInt32 = 2,
  kUint8 = 3,
  kInt64 = 4,
  kString = 5,
  kBool = 6,
  kInt16 = 7,
  kComplex64 = 8,
  kInt8 = 9,
  kFloat64 = 10,
  kUint64 = 12,
  kUint32 = 15,
  kUint16 = 16,
  kInt4 = 17,
  kBfloat16 = 18,
};
/// "INT8", or "type 42".
std::string element_type_name(ElementType type);

enum class Padding : int8_t { kSame = 0, kValid = 1 };
enum class Activation : int8_t {
  kNone = 0,
  kRelu = 1,
  kReluN1To1 = 2,
  kRelu6 = 3,
  kTanh = 4,
  kSignBit = 5
};

/// Codes of the built-in operators, BuiltinOperator::kConv2d = 3.
enum class BuiltinOperator : int32_t {
#define EW_TFLITE_OP(name, Name, code) k##Name = code,
#include "formats/tflite/operators.def"
#undef EW_TFLITE_OP
};
/// "CONV_2D", or "operator 999".
std::string operator_name(BuiltinOperator code);
inline constexpr auto kCustom = BuiltinOperator::kCustom;

/// Scales and zero points of a tensor, one per tensor or one per index of `axis`.
struct Quantization {
  std::vector<float> scales;
  std::vector<int64_t> zero_points;
  int64_t axis = 0;
};

struct TensorInfo {
  std::string name;
  ElementType type = ElementType::kFloat32;
  Shape shape;
  /// `shape` with kUnknown where any length may come; empty if the file does not say.
  std::vector<int32_t> signature;
  std::optional<Quantization> quantization;
  bool is_variable = false;
  std::span<const uint8_t> data;  ///< part of the file; empty if the tensor is computed
  Table sparsity;
};

struct OperatorInfo {
  BuiltinOperator code = BuiltinOperator::kAdd;
  std::string custom;  ///< name of a custom operator
  std::vector<int32_t> inputs;
  std::vector<int32_t> outputs;
  Table options;
  std::span<const uint8_t> custom_options;  ///< part of the file
};

/// A name for an input or output ("serving_default" signatures).
struct TensorName {
  std::string name;
  uint32_t tensor = 0;
};

struct Subgraph {
  std::vector<TensorInfo> tensors;
  std::vector<OperatorInfo> operators;
  std::vector<int32_t> inputs;
  std::vector<int32_t> outputs;
};

struct ModelInfo {
  std::string description;
  std::vector<Subgraph> subgraphs;  ///< the first one runs; others are branches and bodies of loops
  std::vector<TensorName> input_names;
  std::vector<TensorName> output_names;
};

/// Whether the bytes carry the format's mark "TFL3".
bool is_tflite(std::span<const uint8_t> bytes);

/// Reads the structure; every tensor index is checked, and there is a subgraph. Errors:
/// kInvalidData, kResourceLimit, kUnsupported (another schema version).
Result<ModelInfo> parse_model(FlatBuffer& buffer);

}  // namespace ew::formats::tflite
