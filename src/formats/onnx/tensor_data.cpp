#include "formats/onnx/tensor_data.h"

#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>

namespace ew::formats::onnx {
namespace {

using ir::Tensor;

struct TypeRow {
  OnnxType onnx;
  DType dtype;
};
constexpr TypeRow kTypes[] = {{OnnxType::kFloat, DType::kF32},     {OnnxType::kUint8, DType::kU8},
                              {OnnxType::kInt8, DType::kI8},       {OnnxType::kUint16, DType::kU16},
                              {OnnxType::kInt16, DType::kI16},     {OnnxType::kInt32, DType::kI32},
                              {OnnxType::kInt64, DType::kI64},     {OnnxType::kBool, DType::kBool},
                              {OnnxType::kFloat16, DType::kF16},   {OnnxType::kDouble, DType::kF64},
                              {OnnxType::kUint32, DType::kU32},    {OnnxType::kUint64, DType::kU64},
                              {OnnxType::kBfloat16, DType::kBF16}, {OnnxType::kUint4, DType::kU8},
                              {OnnxType::kInt4, DType::kI8}};

bool is_nibbles(const TensorProto& t) { return is_nibble(t.data_type); }

Error wrong_size(const TensorProto& t, const Shape& shape, size_t found, const char* what) {
  return invalid_data("tensor '", t.name, "' of shape ", shape, ": found ", found, " ", what);
}

// Two to a byte, the low one first.
void unpack_nibbles(Bytes bytes, bool is_signed, Tensor& out) {
  auto* target = static_cast<uint8_t*>(out.mutable_data());
  for (int64_t i = 0; i < out.size(); ++i) {
    const uint8_t byte = bytes[static_cast<size_t>(i / 2)];
    const unsigned nibble = i % 2 == 0 ? byte & 15U : static_cast<unsigned>(byte) >> 4U;
    target[i] = static_cast<uint8_t>(is_signed && nibble > 7 ? nibble | 0xF0U : nibble);
  }
}

Result<Tensor> from_raw(const TensorProto& t, DType dtype, const Shape& shape, Bytes raw) {
  const auto count = static_cast<size_t>(shape.num_elements());
  const size_t bytes = is_nibbles(t) ? (count + 1) / 2 : count * dtype_size(dtype);
  if (raw.size() != bytes) return wrong_size(t, shape, raw.size(), "bytes");
  Tensor out(dtype, shape);
  if (count == 0) return out;
  if (is_nibbles(t)) {
    unpack_nibbles(raw, dtype == DType::kI8, out);
  } else if (dtype == DType::kBool) {
    bool* target = out.mutable_values<bool>().data();
    for (size_t i = 0; i < count; ++i) target[i] = raw[i] != 0;
  } else {
    std::memcpy(out.mutable_data(), raw.data(), bytes);
  }
  return out;
}

Result<Tensor> from_numbers(const TensorProto& t, DType dtype, const Shape& shape) {
  const auto count = static_cast<size_t>(shape.num_elements());
  Tensor out(dtype, shape);
  const auto convert = [&](const auto& values, DType from) -> Result<Tensor> {
    if (values.size() != count) return wrong_size(t, shape, values.size(), "elements");
    if (count > 0) {
      convert_elements(from, values.data(), dtype, out.mutable_data(), out.size());
    }
    return out;
  };
  if (dtype == DType::kF32) return convert(t.float_data, DType::kF32);
  if (dtype == DType::kF64) return convert(t.double_data, DType::kF64);
  if (is_nibbles(t)) {
    std::vector<uint8_t> packed;
    for (const int64_t v : t.int_data) packed.push_back(static_cast<uint8_t>(v));
    return from_raw(t, dtype, shape, packed);
  }
  if (dtype == DType::kF16 || dtype == DType::kBF16) {  // bits in the low half of each int32
    if (t.int_data.size() != count) return wrong_size(t, shape, t.int_data.size(), "elements");
    auto* target = static_cast<uint16_t*>(out.mutable_data());
    for (size_t i = 0; i < count; ++i) target[i] = static_cast<uint16_t>(t.int_data[i]);
    return out;
  }
  if (dtype == DType::kU64) {
    std::vector<uint64_t> values(t.int_data.begin(), t.int_data.end());
    return convert(values, DType::kU64);
  }
  return convert(t.int_data, DType::kI64);
}

Result<int64_t> parse_offset(std::string_view text, std::string_view key) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    return invalid_data("external data: ", key, " is '", text, "'");
  }
  return value;
}

// A plain path below the model's folder: relative, without "..", without links to elsewhere being
// looked for (a link in the user's own folder is the user's).
Status check_location(std::string_view location) {
  bool is_good = !location.empty() && location[0] != '/' && location.find('\0') == location.npos;
  for (const std::string& part : split(location, '/')) is_good = is_good && part != "..";
  if (is_good) return {};
  return invalid_data("external data at '", location,
                      "': expected a path inside the model's folder");
}

Result<std::vector<uint8_t>> read_external(const TensorProto& t, const std::string& folder,
                                           int64_t bytes) {
  std::string_view location;
  int64_t offset = 0;
  int64_t length = bytes;
  for (const auto& [key, value] : t.external_data) {
    if (key == "location") location = value;
    if (key == "offset") {
      EW_TRY(offset, parse_offset(value, key));
    }
    if (key == "length") {
      EW_TRY(length, parse_offset(value, key));
    }
  }
  EW_TRY_VOID(check_location(location));
  if (length != bytes)
    return invalid_data("external data: expected ", bytes, " bytes, found ", length);
  const std::string path = str(folder.empty() ? "." : folder, "/", location);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (!file) return make_error(ErrorCode::kNotFound, "cannot open the external data ", path);
  // The file decides how much is taken, before anything of that size is asked for.
  if (std::fseek(file.get(), 0, SEEK_END) != 0)
    return make_error(ErrorCode::kIo, path, ": no file");
  const int64_t size = std::ftell(file.get());
  if (size < 0 || offset > size || bytes > size - offset) {
    return invalid_data(path, ": has ", size, " bytes, the model asks for ", bytes, " at ", offset);
  }
  std::vector<uint8_t> data(static_cast<size_t>(bytes));
  if (std::fseek(file.get(), static_cast<long>(offset), SEEK_SET) != 0 ||
      std::fread(data.data(), 1, data.size(), file.get()) != data.size()) {
    return make_error(ErrorCode::kIo, "cannot read ", path);
  }
  return data;
}

}  // namespace

Result<DType> dtype_of(int32_t data_type) {
  for (const TypeRow& row : kTypes) {
    if (static_cast<int32_t>(row.onnx) == data_type) return row.dtype;
  }
  constexpr const char* kOthers[] = {"undefined", "string", "complex", "8-bit float"};
  const char* name = data_type == 8                       ? kOthers[1]
                     : data_type == 14 || data_type == 15 ? kOthers[2]
                     : data_type >= 17 && data_type <= 20 ? kOthers[3]
                                                          : kOthers[0];
  return unsupported("element type ", data_type, " (", name, ")");
}

bool is_nibble(int32_t data_type) {
  return data_type == static_cast<int32_t>(OnnxType::kUint4) ||
         data_type == static_cast<int32_t>(OnnxType::kInt4);
}

OnnxType onnx_type(DType dtype) {
  for (const TypeRow& row : kTypes) {
    if (row.dtype == dtype) return row.onnx;
  }
  return OnnxType::kUndefined;
}

Result<Tensor> to_tensor(const TensorProto& t, const std::string& folder) {
  const Result<DType> dtype = dtype_of(t.data_type);
  if (!dtype.ok()) return at(str("tensor '", t.name, "'"), dtype.error());
  const Shape shape(t.dims);
  if (Status fits = check_shape(shape); !fits.ok()) {
    return at(str("tensor '", t.name, "'"), fits.error());
  }
  if (t.is_external) {
    const int64_t count = shape.num_elements();
    const int64_t bytes =
        is_nibbles(t) ? (count + 1) / 2 : count * static_cast<int64_t>(dtype_size(*dtype));
    EW_TRY(const std::vector<uint8_t> data, read_external(t, folder, bytes));
    return from_raw(t, *dtype, shape, data);
  }
  if (t.raw_data) return from_raw(t, *dtype, shape, *t.raw_data);
  // Checked before the tensor is made: the elements are in memory already.
  const size_t held = t.float_data.size() + t.double_data.size() + t.int_data.size() * 2;
  if (static_cast<size_t>(shape.num_elements()) > held) {
    return wrong_size(t, shape, t.float_data.size() + t.double_data.size() + t.int_data.size(),
                      "elements");
  }
  return from_numbers(t, *dtype, shape);
}

}  // namespace ew::formats::onnx
