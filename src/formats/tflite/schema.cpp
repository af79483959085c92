#include "formats/tflite/schema.h"

#include <algorithm>

namespace ew::formats::tflite {
namespace {

constexpr uint32_t kSchemaVersion = 3;

Quantization read_quantization(const Table& t) {
  return {t.list<float>(2), t.list<int64_t>(3), t.scalar<int32_t>(6)};
}

// Bytes of a buffer; large files keep them behind the FlatBuffer and name offset and size.
std::span<const uint8_t> buffer_data(FlatBuffer& file, const Table& buffer) {
  const auto offset = buffer.scalar<uint64_t>(1);
  if (offset <= 1) return buffer.bytes(0);
  const auto size = buffer.scalar<uint64_t>(2);
  if (!file.covers(offset, size) || !file.charge(size)) return {};
  return file.bytes().subspan(offset, size);
}

TensorInfo read_tensor(FlatBuffer& file, const Table& t, const std::vector<Table>& buffers) {
  TensorInfo out;
  out.name = t.text(3);
  out.type = t.scalar<ElementType>(1);
  std::vector<int64_t> dims;
  for (const int32_t d : t.list<int32_t>(0)) {
    if (d < 0) file.fail(invalid_data("tensor '", out.name, "' has a dimension of ", d));
    dims.push_back(d);
  }
  out.shape = Shape(std::move(dims));
  if (const Status fits = check_shape(out.shape); !fits.ok()) {
    file.fail(at(str("tensor '", out.name, "'"), fits.error()));
  }
  out.signature = t.list<int32_t>(7);
  if (const Table q = t.table(4); q && q.has(2)) out.quantization = read_quantization(q);
  out.is_variable = t.flag(5);
  out.sparsity = t.table(6);
  const auto index = t.scalar<uint32_t>(2);
  if (index >= buffers.size() && index != 0) {
    file.fail(invalid_data("tensor '", out.name, "' names buffer ", index, " of ", buffers.size()));
  } else if (index != 0) {
    out.data = buffer_data(file, buffers[index]);
  }
  return out;
}

struct OperatorCode {
  BuiltinOperator code;
  std::string custom;
};

OperatorCode read_code(const Table& t) {
  // Files from before code 127 was passed have only the one-byte field.
  const auto old = int32_t{t.scalar<int8_t>(0)};
  const auto code = t.scalar<int32_t>(3);
  return {static_cast<BuiltinOperator>(std::max(old, code)), t.text(1)};
}

OperatorInfo read_operator(FlatBuffer& file, const Table& t, size_t number,
                           const std::vector<OperatorCode>& codes) {
  OperatorInfo out;
  const auto index = t.scalar<uint32_t>(0);
  if (index >= codes.size()) {
    file.fail(invalid_data("node ", number, " names operator code ", index, " of ", codes.size()));
    return out;
  }
  out.code = codes[index].code;
  out.custom = codes[index].custom;
  out.inputs = t.list<int32_t>(1);
  out.outputs = t.list<int32_t>(2);
  out.options = t.table(4);
  if (out.code == kCustom) out.custom_options = t.bytes(5);
  return out;
}

std::vector<TensorName> read_names(const std::vector<Table>& maps) {
  std::vector<TensorName> names;
  for (const Table& map : maps) names.push_back({map.text(0), map.scalar<uint32_t>(1)});
  return names;
}

void check_indices(FlatBuffer& file, const std::vector<int32_t>& indices, size_t tensors,
                   bool may_be_absent, const std::string& where) {
  for (const int32_t i : indices) {
    if ((i == -1 && may_be_absent) || (i >= 0 && static_cast<size_t>(i) < tensors)) continue;
    file.fail(invalid_data(where, " names tensor ", i, " of ", tensors));
  }
}

}  // namespace

std::string element_type_name(ElementType type) {
  constexpr const char* kNames[] = {"FLOAT32", "FLOAT16",    "INT32",  "UINT8",     "INT64",
                                    "STRING",  "BOOL",       "INT16",  "COMPLEX64", "INT8",
                                    "FLOAT64", "COMPLEX128", "UINT64", "RESOURCE",  "VARIANT",
                                    "UINT32",  "UINT16",     "INT4",   "BFLOAT16"};
  const auto i = static_cast<size_t>(type);
  return i < std::size(kNames) ? kNames[i] : str("type ", static_cast<int>(type));
}

std::string operator_name(BuiltinOperator code) {
  switch (code) {
#define EW_TFLITE_OP(name, Name, code) \
  case BuiltinOperator::k##Name:       \
    return #name;
#include "formats/tflite/operators.def"
#undef EW_TFLITE_OP
  }
  return str("operator ", static_cast<int32_t>(code));
}

bool is_tflite(std::span<const uint8_t> bytes) {
  return bytes.size() >= 8 && std::memcmp(bytes.data() + 4, "TFL3", 4) == 0;
}

namespace {

/// What is read before an error of the file.
Subgraph read_subgraph(FlatBuffer& file, const Table& table, const std::vector<OperatorCode>& codes,
                       const std::vector<Table>& buffers) {
  Subgraph graph;
  for (const Table& t : table.tables(0)) {
    graph.tensors.push_back(read_tensor(file, t, buffers));
    if (!file.status().ok()) return graph;
  }
  graph.inputs = table.list<int32_t>(1);
  graph.outputs = table.list<int32_t>(2);
  const size_t tensors = graph.tensors.size();
  check_indices(file, graph.inputs, tensors, false, "the list of inputs");
  check_indices(file, graph.outputs, tensors, false, "the list of outputs");
  for (const Table& t : table.tables(3)) {
    const size_t number = graph.operators.size();
    graph.operators.push_back(read_operator(file, t, number, codes));
    const OperatorInfo& op = graph.operators.back();
    const std::string where = str(operator_name(op.code), " (node ", number, ")");
    check_indices(file, op.inputs, tensors, true, where);
    check_indices(file, op.outputs, tensors, false, where);
    if (!file.status().ok()) return graph;
  }
  return graph;
}

}  // namespace

Result<ModelInfo> parse_model(FlatBuffer& file) {
  const Table root = file.root();
  const auto version = root.scalar<uint32_t>(0);
  if (file.status().ok() && version != kSchemaVersion) {
    return unsupported("schema version ", version, ", expected ", kSchemaVersion);
  }
  ModelInfo model;
  model.description = root.text(3);
  std::vector<OperatorCode> codes;
  for (const Table& code : root.tables(1)) codes.push_back(read_code(code));
  const std::vector<Table> subgraphs = root.tables(2);
  const std::vector<Table> buffers = root.tables(4);
  if (file.status().ok() && subgraphs.empty()) return invalid_data("the file has no subgraph");
  for (const Table& subgraph : subgraphs) {
    if (!file.status().ok()) return file.status().error();
    model.subgraphs.push_back(read_subgraph(file, subgraph, codes, buffers));
  }
  for (const Table& signature : root.tables(7)) {
    if (signature.scalar<uint32_t>(4) != 0 || !model.input_names.empty()) continue;
    model.input_names = read_names(signature.tables(0));
    model.output_names = read_names(signature.tables(1));
  }
  if (!file.status().ok()) return file.status().error();
  return model;
}

}  // namespace ew::formats::tflite
