#pragma once
// Writes a FlatBuffer: tables are described first, as a tree, then laid out parents first.

#include <cstdint>
#include <cstring>
#include <deque>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/result.h"

namespace ew::formats::tflite {

/// One table to be written; fields by their number in the schema. A field is set at most once.
class FlatTable {
 public:
  /// Left out if it equals what readers assume of an absent field.
  template <typename T>
  void scalar(int field, T value, T fallback = T{}) {
    if (value == fallback) return;
    Field& f = add(field, Kind::kScalar);
    f.bytes.resize(sizeof(T));
    std::memcpy(f.bytes.data(), &value, sizeof(T));
  }
  void flag(int field, bool value) { scalar(field, static_cast<uint8_t>(value)); }
  void text(int field, const std::string& value);
  template <typename T>
  void list(int field, std::span<const T> values) {
    Field& f = add(field, Kind::kVector);
    f.element_bytes = sizeof(T);
    f.alignment = sizeof(T);
    f.bytes.resize(values.size_bytes());
    if (!values.empty()) std::memcpy(f.bytes.data(), values.data(), values.size_bytes());
  }
  template <typename T>
  void list(int field, const std::vector<T>& values) {
    list(field, std::span<const T>(values));
  }
  /// Bytes aligned to 16, as the contents of tensors must be.
  void bytes(int field, std::span<const uint8_t> values);
  FlatTable& table(int field);
  /// One more table of a vector of tables.
  FlatTable& append(int field);

 private:
  friend class FlatLayout;
  enum class Kind { kScalar, kVector, kText, kTable, kTables };
  struct Field {
    int number;
    Kind kind;
    std::vector<uint8_t> bytes = {};
    size_t element_bytes = 1;
    size_t alignment = 4;
    std::deque<FlatTable> tables = {};  // references to its elements stay valid
  };
  Field& add(int field, Kind kind);
  std::deque<Field> fields_;
};

/// The file: root offset, four-letter mark, tables. Error kResourceLimit beyond 2 GiB, which the
/// format cannot address.
Result<std::vector<uint8_t>> write_flatbuffer(const FlatTable& root, const char* mark);

}  // namespace ew::formats::tflite
