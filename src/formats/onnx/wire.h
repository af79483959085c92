#pragma once
// The wire format of protocol buffers, as far as ONNX needs it: a message is a row of fields, each
// a number, a kind and a payload. Reading copies nothing and checks every length.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ew::formats::onnx {

using Bytes = std::span<const uint8_t>;

enum class WireKind : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

/// One field. `number` holds the payload of the numeric kinds, `bytes` that of kBytes.
struct Field {
  uint32_t id = 0;
  WireKind kind = WireKind::kVarint;
  uint64_t number = 0;
  Bytes bytes;

  std::string_view text() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  int64_t integer() const { return static_cast<int64_t>(number); }
  float real32() const;
};

/// Walks over the fields of a message. The bytes must outlive it.
class WireReader {
 public:
  explicit WireReader(Bytes bytes) : rest_(bytes) {}

  /// Takes the next field; false at the end or when the bytes are malformed, which ok() tells.
  bool next(Field& field);
  bool ok() const { return is_ok_; }

 private:
  bool take_varint(uint64_t& value);
  bool take_payload(Field& field);
  bool fail();

  Bytes rest_;
  bool is_ok_ = true;
};

/// The elements of a repeated numeric field, packed (kBytes) or one at a time, appended to `out`.
/// False for a wire kind that does not fit or malformed bytes.
bool append_varints(const Field& field, std::vector<int64_t>& out);
bool append_floats(const Field& field, std::vector<float>& out);
bool append_doubles(const Field& field, std::vector<double>& out);

/// Builds a message by appending fields.
class WireWriter {
 public:
  void varint(uint32_t id, int64_t value);
  void real32(uint32_t id, float value);
  void text(uint32_t id, std::string_view value);
  void bytes(uint32_t id, Bytes value);
  void message(uint32_t id, const WireWriter& value);
  const std::string& data() const { return data_; }

 private:
  void raw_varint(uint64_t value);
  void key(uint32_t id, WireKind kind);

  std::string data_;
};

}  // namespace ew::formats::onnx
