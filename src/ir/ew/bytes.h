#pragma once
// Little-endian values in a row, written and read with every step checked.

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ew::ir::ew_format {

static_assert(std::endian::native == std::endian::little, "mapped files are little-endian");

template <typename T>
concept Number = std::integral<T> || std::floating_point<T>;

class ByteWriter {
 public:
  template <Number T>
  void put(T value) {
    const auto* from = reinterpret_cast<const uint8_t*>(&value);
    bytes_.insert(bytes_.end(), from, from + sizeof(T));
  }
  template <Number T>
  void list(std::span<const T> values) {
    put(static_cast<uint32_t>(values.size()));
    append({reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()});
  }
  void text(std::string_view value) { list(std::span<const char>(value.data(), value.size())); }
  void append(std::span<const uint8_t> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  /// Zeros up to a multiple of `alignment`.
  void align(size_t alignment) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
  }
  size_t size() const { return bytes_.size(); }
  std::vector<uint8_t>& bytes() { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

/// After the first error every read returns zeros; status() has it, with its offset.
class ByteReader {
 public:
  explicit ByteReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  template <Number T>
  T get() {
    T value{};
    if (const auto from = take(sizeof(T)); !from.empty())
      std::memcpy(&value, from.data(), sizeof(T));
    return value;
  }
  /// The length of a list of items that take at least `item_bytes` each.
  size_t count(size_t item_bytes) {
    const auto n = size_t{get<uint32_t>()};
    if (n > (bytes_.size() - at_) / item_bytes) {
      fail(str("a list of ", n, " items does not fit into what is left"));
      return 0;
    }
    return n;
  }
  template <Number T>
  std::vector<T> list() {
    std::vector<T> values(count(sizeof(T)));
    const auto from = take(values.size() * sizeof(T));
    if (!from.empty()) std::memcpy(values.data(), from.data(), from.size());
    return values;
  }
  std::string_view text() {
    const auto from = take(count(1));
    return {reinterpret_cast<const char*>(from.data()), from.size()};
  }
  std::span<const uint8_t> take(size_t n) {
    if (ok() && n <= bytes_.size() - at_) {
      at_ += n;
      return bytes_.subspan(at_ - n, n);
    }
    fail("the section ends too early");
    return {};
  }
  /// Skips to a multiple of `alignment`; what is skipped must be zeros.
  void align(size_t alignment) {
    while (ok() && at_ % alignment != 0) {
      if (get<uint8_t>() != 0) fail("expected zeros up to the next multiple of 64");
    }
  }
  size_t at() const { return at_; }
  size_t left() const { return bytes_.size() - at_; }

  void fail(const std::string& what) {
    if (ok()) status_ = invalid_data("at byte ", at_, ": ", what);
  }
  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }

 private:
  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
  Status status_;
};

}  // namespace ew::ir::ew_format
