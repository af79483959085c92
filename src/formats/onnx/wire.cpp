#include "formats/onnx/wire.h"

#include <bit>
#include <cstring>

namespace ew::formats::onnx {
namespace {

template <typename T>
T load(Bytes bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

template <typename T>
bool append_fixed(const Field& field, WireKind single, std::vector<T>& out) {
  if (field.kind == single) {
    out.push_back(std::bit_cast<T>(
        static_cast<std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>(field.number)));
    return true;
  }
  if (field.kind != WireKind::kBytes || field.bytes.size() % sizeof(T) != 0) return false;
  const size_t old = out.size();
  out.resize(old + field.bytes.size() / sizeof(T));
  if (!field.bytes.empty()) std::memcpy(out.data() + old, field.bytes.data(), field.bytes.size());
  return true;
}

}  // namespace

static_assert(std::endian::native == std::endian::little, "the wire format is little-endian");

float Field::real32() const { return std::bit_cast<float>(static_cast<uint32_t>(number)); }

bool WireReader::fail() {
  is_ok_ = false;
  return false;
}

bool WireReader::take_varint(uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) return fail();
    const uint8_t byte = rest_[0];
    rest_ = rest_.subspan(1);
    value |= static_cast<uint64_t>(byte & 0x7FU) << shift;
    if ((byte & 0x80U) == 0) return true;
  }
  return fail();
}

bool WireReader::take_payload(Field& field) {
  const auto fixed = [&](size_t size) {
    if (rest_.size() < size) return fail();
    field.number = size == 8 ? load<uint64_t>(rest_) : load<uint32_t>(rest_);
    rest_ = rest_.subspan(size);
    return true;
  };
  switch (field.kind) {
    case WireKind::kVarint:
      return take_varint(field.number);
    case WireKind::kFixed64:
      return fixed(8);
    case WireKind::kFixed32:
      return fixed(4);
    case WireKind::kBytes:
      break;
    default:
      return fail();
  }
  uint64_t size = 0;
  if (!take_varint(size)) return false;
  if (size > rest_.size()) return fail();
  field.bytes = rest_.first(static_cast<size_t>(size));
  rest_ = rest_.subspan(static_cast<size_t>(size));
  return true;
}

bool WireReader::next(Field& field) {
  if (!is_ok_ || rest_.empty()) return false;
  uint64_t key = 0;
  if (!take_varint(key)) return false;
  if (key >> 3U == 0 || key >> 32U != 0) return fail();
  field = {static_cast<uint32_t>(key >> 3U), static_cast<WireKind>(key & 7U), 0, {}};
  return take_payload(field);
}

bool append_varints(const Field& field, std::vector<int64_t>& out) {
  if (field.kind == WireKind::kVarint) {
    out.push_back(field.integer());
    return true;
  }
  if (field.kind != WireKind::kBytes) return false;
  Bytes rest = field.bytes;
  while (!rest.empty()) {
    uint64_t value = 0;
    unsigned shift = 0;
    bool is_last = false;
    while (!rest.empty() && shift < 64 && !is_last) {
      value |= static_cast<uint64_t>(rest[0] & 0x7FU) << shift;
      is_last = (rest[0] & 0x80U) == 0;
      rest = rest.subspan(1);
      shift += 7;
    }
    if (!is_last) return false;
    out.push_back(static_cast<int64_t>(value));
  }
  return true;
}

bool append_floats(const Field& field, std::vector<float>& out) {
  return append_fixed(field, WireKind::kFixed32, out);
}

bool append_doubles(const Field& field, std::vector<double>& out) {
  return append_fixed(field, WireKind::kFixed64, out);
}

void WireWriter::raw_varint(uint64_t value) {
  while (value >= 0x80) {
    data_.push_back(static_cast<char>((value & 0x7FU) | 0x80U));
    value >>= 7U;
  }
  data_.push_back(static_cast<char>(value));
}

void WireWriter::key(uint32_t id, WireKind kind) {
  raw_varint((uint64_t{id} << 3U) | static_cast<uint64_t>(kind));
}

void WireWriter::varint(uint32_t id, int64_t value) {
  key(id, WireKind::kVarint);
  raw_varint(static_cast<uint64_t>(value));
}

void WireWriter::real32(uint32_t id, float value) {
  key(id, WireKind::kFixed32);
  char raw[4];
  std::memcpy(raw, &value, sizeof raw);
  data_.append(raw, sizeof raw);
}

void WireWriter::text(uint32_t id, std::string_view value) {
  key(id, WireKind::kBytes);
  raw_varint(value.size());
  data_.append(value);
}

void WireWriter::bytes(uint32_t id, Bytes value) {
  text(id, {reinterpret_cast<const char*>(value.data()), value.size()});
}

void WireWriter::message(uint32_t id, const WireWriter& value) { text(id, value.data_); }

}  // namespace ew::formats::onnx
