#include "agent/tensor_payload.h"

#include <array>
#include <cstring>

namespace ew::agent {
namespace {

constexpr size_t kLengthBytes = sizeof(uint32_t);

bool is_known(DType dtype) {
  return dtype == DType::kU8 || dtype == DType::kI16 || dtype == DType::kF32;
}

template <typename T>
T element(std::string_view bytes, size_t i) {
  T value{};
  std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

}  // namespace

std::string encode_tensor(std::string_view json, DType dtype, size_t element_bytes) {
  std::string out;
  out.resize(kLengthBytes + json.size() + 1 + element_bytes);
  const auto length = static_cast<uint32_t>(json.size());
  std::memcpy(out.data(), &length, kLengthBytes);
  std::memcpy(out.data() + kLengthBytes, json.data(), json.size());
  out[kLengthBytes + json.size()] = static_cast<char>(dtype);
  return out;
}

std::span<uint8_t> tensor_elements(std::string& payload, size_t json_size) {
  const size_t begin = kLengthBytes + json_size + 1;
  return {reinterpret_cast<uint8_t*>(payload.data()) + begin, payload.size() - begin};
}

std::optional<TensorPayload> split_tensor(std::string_view payload) {
  if (payload.size() < kLengthBytes) return std::nullopt;
  const auto length = element<uint32_t>(payload, 0);
  payload.remove_prefix(kLengthBytes);
  if (length > payload.size()) return std::nullopt;
  const TensorPayload split{payload.substr(0, length), payload.substr(length)};
  if (!parse_tensor_field(split.field)) return std::nullopt;
  return split;
}

std::optional<TensorField> parse_tensor_field(std::string_view field) {
  if (field.empty()) return std::nullopt;
  const auto dtype = static_cast<DType>(field[0]);
  field.remove_prefix(1);
  if (!is_known(dtype) || field.size() % dtype_size(dtype) != 0) return std::nullopt;
  return TensorField{dtype, field};
}

void read_tensor(const TensorField& field, double mean, double scale, std::span<float> out) {
  const auto scaled = [&](double value) { return static_cast<float>((value - mean) / scale); };
  if (field.dtype == DType::kU8) {
    // Of the 256 values each is divided once.
    std::array<float, 256> table;
    for (size_t i = 0; i < table.size(); ++i) table[i] = scaled(static_cast<double>(i));
    for (size_t i = 0; i < out.size(); ++i) out[i] = table[static_cast<uint8_t>(field.bytes[i])];
  } else if (field.dtype == DType::kI16) {
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = scaled(element<int16_t>(field.bytes, i) / 32768.0);
    }
  } else {
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = scaled(static_cast<double>(element<float>(field.bytes, i)));
    }
  }
}

}  // namespace ew::agent
