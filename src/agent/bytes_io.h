#pragma once
// Little-endian values in and out of byte strings: journal records and snapshots.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace ew::agent {

class ByteWriter {
 public:
  template <typename T>
    requires std::is_arithmetic_v<T>
  void put(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out_.append(bytes, sizeof(T));
  }
  void put_text(std::string_view text) {
    put(static_cast<uint32_t>(text.size()));
    out_.append(text);
  }
  const std::string& bytes() const { return out_; }
  std::string take() { return std::move(out_); }
  void clear() { out_.clear(); }

 private:
  std::string out_;
};

/// Reads what ByteWriter wrote. After a read beyond the end everything reads as zero and ok() is
/// false, so that callers check once.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
    requires std::is_arithmetic_v<T>
  T get() {
    T value{};
    if (rest_.size() < sizeof(T)) {
      fail();
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_.remove_prefix(sizeof(T));
    return value;
  }
  bool get_flag() { return get<uint8_t>() != 0; }
  /// A view into the bytes.
  std::string_view get_text() {
    const auto size = get<uint32_t>();
    if (rest_.size() < size) {
      fail();
      return {};
    }
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }
  /// A count of items of at least `item_bytes` each; fails if so many cannot be there.
  size_t get_count(size_t item_bytes) {
    const auto count = get<uint32_t>();
    if (static_cast<uint64_t>(count) * item_bytes > rest_.size()) {
      fail();
      return 0;
    }
    return count;
  }
  bool ok() const { return ok_; }
  std::string_view rest() const { return rest_; }
  void fail() {
    ok_ = false;
    rest_ = {};
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace ew::agent
