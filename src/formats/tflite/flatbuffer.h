#pragma once
// Read access to a FlatBuffer of untrusted origin (format: flatbuffers.dev/internals). Every offset
// and length is checked before it is used. The first error sticks; reads after it, and reads of
// absent fields, give zeros and empty lists, so that parsing code reads as straight lines and looks
// at status() once.

#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace ew::formats::tflite {

class Table;

/// The bytes and what reading them has cost. Tables may share parts, so a small file can describe
/// much: everything copied out is charged to a budget. The bytes must outlive this object, and this
/// object its tables.
class FlatBuffer {
 public:
  FlatBuffer(std::span<const uint8_t> bytes, uint64_t budget) : bytes_(bytes), budget_(budget) {}

  Table root();
  const Status& status() const { return status_; }
  std::span<const uint8_t> bytes() const { return bytes_; }

  /// Records an error, if it is the first.
  void fail(Error error);
  /// Whether `count` more bytes may be copied out. Error kResourceLimit otherwise.
  bool charge(uint64_t count);
  /// Whether [at, at + count) lies inside. Error kInvalidData otherwise.
  bool covers(uint64_t at, uint64_t count);

  template <typename T>
  T read(uint64_t at) {
    T value{};
    if (covers(at, sizeof(T))) std::memcpy(&value, bytes_.data() + at, sizeof(T));
    return value;
  }

 private:
  std::span<const uint8_t> bytes_;
  uint64_t budget_;
  Status status_;
};

/// One table; fields by their number in the schema.
class Table {
 public:
  Table() = default;  ///< an absent table: every field is absent

  bool has(int field) const { return place(field, 1) != 0; }
  explicit operator bool() const { return buffer_ != nullptr; }

  template <typename T>
  T scalar(int field, T fallback = T{}) const {
    const uint64_t at = place(field, sizeof(T));
    return at == 0 ? fallback : buffer_->read<T>(at);
  }
  bool flag(int field) const { return scalar<uint8_t>(field) != 0; }
  Table table(int field) const;
  std::vector<Table> tables(int field) const;
  std::string text(int field) const;
  /// A vector of bytes as a part of the file.
  std::span<const uint8_t> bytes(int field) const;
  template <typename T>
  std::vector<T> list(int field) const {
    const std::span<const uint8_t> raw = elements(field, sizeof(T));
    std::vector<T> values(raw.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), raw.data(), raw.size());
    return values;
  }

 private:
  friend class FlatBuffer;
  static Table at(FlatBuffer& buffer, uint64_t place);
  /// Where the field's value lies, or 0 if it is absent.
  uint64_t place(int field, uint64_t size) const;
  /// The elements of a vector, charged; empty if it is absent.
  std::span<const uint8_t> elements(int field, uint64_t size) const;

  FlatBuffer* buffer_ = nullptr;
  uint64_t at_ = 0;
  uint64_t vtable_ = 0;
  uint16_t vtable_bytes_ = 0;
  uint16_t table_bytes_ = 0;
};

}  // namespace ew::formats::tflite
