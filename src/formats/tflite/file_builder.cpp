#include "formats/tflite/file_builder.h"

#include <algorithm>

namespace ew::formats::tflite {
namespace {

using ir::Tensor;
using ir::TensorType;

Result<ElementType> element_type(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return ElementType::kFloat32;
    case DType::kI8:
      return ElementType::kInt8;
    case DType::kF16:
      return ElementType::kFloat16;
    case DType::kU8:
      return ElementType::kUint8;
    case DType::kI16:
      return ElementType::kInt16;
    case DType::kI32:
      return ElementType::kInt32;
    case DType::kI64:
      return ElementType::kInt64;
    case DType::kBool:
      return ElementType::kBool;
    default:
      return unsupported("dtype ", dtype, " has no place in a .tflite file");
  }
}

// Versions of the operators as converters write them: integer forms came after float ones. A
// runtime refuses versions that it does not know.
int version_of(BuiltinOperator code, bool is_int8) {
  switch (code) {
    case BuiltinOperator::kResizeBilinear:
    case BuiltinOperator::kResizeNearestNeighbor:
      return 3;
    case BuiltinOperator::kConv2d:
    case BuiltinOperator::kDepthwiseConv2d:
      return is_int8 ? 3 : 1;
    case BuiltinOperator::kFullyConnected:
      return is_int8 ? 4 : 1;
    case BuiltinOperator::kTransposeConv:
      return is_int8 ? 3 : 1;
    case BuiltinOperator::kAdd:
    case BuiltinOperator::kAveragePool2d:
    case BuiltinOperator::kConcatenation:
    case BuiltinOperator::kDequantize:
    case BuiltinOperator::kGather:
    case BuiltinOperator::kLeakyRelu:
    case BuiltinOperator::kLogistic:
    case BuiltinOperator::kLogSoftmax:
    case BuiltinOperator::kMaximum:
    case BuiltinOperator::kMaxPool2d:
    case BuiltinOperator::kMean:
    case BuiltinOperator::kMinimum:
    case BuiltinOperator::kMul:
    case BuiltinOperator::kPad:
    case BuiltinOperator::kPadv2:
    case BuiltinOperator::kReduceMax:
    case BuiltinOperator::kRelu:
    case BuiltinOperator::kRelu6:
    case BuiltinOperator::kSoftmax:
    case BuiltinOperator::kStridedSlice:
    case BuiltinOperator::kSub:
    case BuiltinOperator::kSum:
    case BuiltinOperator::kTanh:
    case BuiltinOperator::kTranspose:
      return is_int8 ? 2 : 1;
    default:
      return 1;
  }
}

/// The first of two values in the low half of a byte.
std::vector<uint8_t> pack_nibbles(const Tensor& data) {
  const auto values = data.values<int8_t>();
  std::vector<uint8_t> out((values.size() + 1) / 2, 0);
  for (size_t i = 0; i < values.size(); ++i) {
    out[i / 2] |= static_cast<uint8_t>((values[i] & 15) << (i % 2 * 4));
  }
  return out;
}

}  // namespace

FileBuilder::FileBuilder(const ir::Graph& graph, const ir::Graph& open, DType weights)
    : graph_(graph),
      open_(open),
      weights_(weights),
      subgraph_(root_.append(2)),
      tensors_(graph.values.size(), -1) {
  root_.append(4);
}

int32_t FileBuilder::add_tensor(const TensorType& type, const Shape& signature, std::string name,
                                const Tensor* data, Storage storage) {
  const bool is_nibbles = storage == Storage::kNibbles;
  const Result<ElementType> element = element_type(type.dtype);
  if (!element.ok()) {
    if (status_.ok()) status_ = at(name, element.error());
    is_int8_.push_back(false);
    return static_cast<int32_t>(is_int8_.size()) - 1;
  }
  FlatTable& t = subgraph_.append(0);
  const auto narrow = [](const Shape& shape) {
    return std::vector<int32_t>(shape.begin(), shape.end());
  };
  t.list(0, narrow(type.shape));
  t.scalar(1, static_cast<int8_t>(is_nibbles ? ElementType::kInt4 : *element));
  if (data != nullptr) {
    t.scalar(2, buffers_++);
    FlatTable& buffer = root_.append(4);
    if (is_nibbles) {
      buffer.bytes(0, pack_nibbles(*data));
    } else {
      buffer.bytes(0, {static_cast<const uint8_t*>(data->data()), data->size_bytes()});
    }
  }
  t.text(3, name);
  if (type.quant) {
    FlatTable& q = t.table(4);
    q.list(2, type.quant->scales);
    q.list(3, std::vector<int64_t>(type.quant->zero_points.begin(), type.quant->zero_points.end()));
    q.scalar(6, std::max(type.quant->axis, 0));
  }
  if (storage == Storage::kVariable) t.flag(5, true);
  if (!signature.is_static()) t.list(7, narrow(signature));
  is_int8_.push_back(type.dtype == DType::kI8);
  return static_cast<int32_t>(is_int8_.size()) - 1;
}

int32_t FileBuilder::tensor(ValueId id) {
  if (id == ir::kNoValue) return -1;
  int32_t& known = tensors_[static_cast<size_t>(id)];
  if (known >= 0) return known;
  const ir::Value& value = graph_.value(id);
  const bool is_fixed =
      value.kind == ir::ValueKind::kConstant || value.kind == ir::ValueKind::kParameter;
  const std::string name = value.name.empty() ? str("value_", id) : value.name;
  known = add_tensor(value.type, open_.type(id).shape, name, is_fixed ? &value.data : nullptr);
  return known;
}

int32_t FileBuilder::constant(const Tensor& data, const std::string& name) {
  return add_tensor(data.type(), data.shape(), name, &data);
}

int32_t FileBuilder::nibbles(const Tensor& data, const std::string& name) {
  return add_tensor(data.type(), data.shape(), name, &data, Storage::kNibbles);
}

int32_t FileBuilder::ints(const std::vector<int64_t>& values, const std::string& name) {
  std::vector<int32_t> narrow;
  for (const int64_t v : values) {
    narrow.push_back(static_cast<int32_t>(std::clamp<int64_t>(v, INT32_MIN, INT32_MAX)));
  }
  return constant(Tensor::from(narrow, Shape{static_cast<int64_t>(values.size())}), name);
}

int32_t FileBuilder::number(float value, const std::string& name) {
  return constant(Tensor::scalar(value), name);
}

int32_t FileBuilder::temporary(const TensorType& type, const std::string& name) {
  return add_tensor(type, type.shape, name, nullptr);
}

int32_t FileBuilder::variable(const TensorType& type, const std::string& name) {
  return add_tensor(type, type.shape, name, nullptr, Storage::kVariable);
}

FlatTable& FileBuilder::add(BuiltinOperator code, const std::vector<int32_t>& inputs,
                            const std::vector<int32_t>& outputs, int options_type) {
  const bool is_int8 = std::any_of(inputs.begin(), inputs.end(), [&](int32_t tensor) {
    return tensor >= 0 && is_int8_[static_cast<size_t>(tensor)];
  });
  const int version = version_of(code, is_int8);
  const auto [entry, is_new] =
      codes_.try_emplace({code, version}, static_cast<uint32_t>(codes_.size()));
  if (is_new) {
    FlatTable& c = root_.append(1);
    const auto number = static_cast<int32_t>(code);
    c.scalar(0, static_cast<int8_t>(std::min(number, 127)));
    c.scalar(2, int32_t{version}, int32_t{1});
    c.scalar(3, number);
  }
  FlatTable& op = subgraph_.append(3);
  op.scalar(0, entry->second);
  op.list(1, inputs);
  op.list(2, outputs);
  if (options_type == 0) return no_options_;
  op.scalar(3, static_cast<uint8_t>(options_type));
  return op.table(4);
}

void FileBuilder::add_ports(int field, const std::vector<ValueId>& ids, FlatTable& signature,
                            int signature_field) {
  std::vector<int32_t> indices;
  for (const ValueId id : ids) {
    indices.push_back(tensor(id));
    FlatTable& map = signature.append(signature_field);
    map.text(0, graph_.value(id).name.empty() ? str("output_", indices.size() - 1)
                                              : graph_.value(id).name);
    map.scalar(1, static_cast<uint32_t>(indices.back()));
  }
  subgraph_.list(field, indices);
}

Result<std::vector<uint8_t>> FileBuilder::finish() {
  FlatTable& signature = root_.append(7);
  add_ports(1, graph_.inputs, signature, 0);
  add_ports(2, graph_.outputs, signature, 1);
  signature.text(2, "serving_default");
  subgraph_.text(4, "main");
  root_.scalar(0, uint32_t{3});
  root_.text(3, "Edgewise");
  if (!status_.ok()) return status_.error();
  return write_flatbuffer(root_, "TFL3");
}

}  // namespace ew::formats::tflite
