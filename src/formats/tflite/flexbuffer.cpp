#include "formats/tflite/flexbuffer.h"

#include <cstring>

namespace ew::formats::tflite {
namespace {

// Kinds of a value, in the upper six bits of its type; the width is in the lower two.
constexpr int kInt = 1;
constexpr int kUint = 2;
constexpr int kFloat = 3;
constexpr int kIndirectInt = 6;  // to kIndirectFloat: int, unsigned, float
constexpr int kIndirectFloat = 8;
constexpr int kMap = 9;
constexpr int kBool = 26;

/// Reads inside the bytes; the first read outside sticks, and later ones give 0.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  bool ok() const { return ok_; }
  void fail() { ok_ = false; }

  uint64_t unsigned_at(uint64_t at, uint64_t width) {
    uint64_t value = 0;
    if (const uint8_t* p = place(at, width)) std::memcpy(&value, p, width);  // little endian
    return value;
  }
  int64_t signed_at(uint64_t at, uint64_t width) {
    const uint64_t shift = 64 - 8 * width;
    return static_cast<int64_t>(unsigned_at(at, width) << shift) >> shift;
  }
  double float_at(uint64_t at, uint64_t width) {
    const uint8_t* p = place(at, width);
    float f = 0;
    double d = 0;
    if (p != nullptr && width == 4) std::memcpy(&f, p, 4);
    if (p != nullptr && width == 8) std::memcpy(&d, p, 8);
    return width == 8 ? d : static_cast<double>(f);
  }
  /// Where the offset stored at `at` points: back from itself.
  uint64_t target(uint64_t at, uint64_t width) {
    const uint64_t offset = unsigned_at(at, width);
    if (offset > at) ok_ = false;
    return ok_ ? at - offset : 0;
  }
  std::string_view text(uint64_t at) {
    if (at >= bytes_.size()) ok_ = false;
    if (!ok_) return {};
    const auto* first = reinterpret_cast<const char*>(bytes_.data() + at);
    const void* end = std::memchr(first, 0, bytes_.size() - at);
    if (end == nullptr) ok_ = false;
    if (!ok_) return {};
    return {first, static_cast<size_t>(static_cast<const char*>(end) - first)};
  }

 private:
  const uint8_t* place(uint64_t at, uint64_t width) {
    if (at > bytes_.size() || width > bytes_.size() - at) ok_ = false;
    return ok_ ? bytes_.data() + at : nullptr;
  }

  std::span<const uint8_t> bytes_;
  bool ok_ = true;
};

std::optional<double> value_at(Reader& r, uint64_t at, uint64_t width, uint64_t type) {
  auto kind = static_cast<int>(type >> 2);
  if (kind >= kIndirectInt && kind <= kIndirectFloat) {
    at = r.target(at, width);
    width = uint64_t{1} << (type & 3);
    kind = kind - kIndirectInt + kInt;
  }
  if (kind == kInt) return static_cast<double>(r.signed_at(at, width));
  if (kind == kUint || kind == kBool) return static_cast<double>(r.unsigned_at(at, width));
  if (kind == kFloat && width >= 4) return r.float_at(at, width);
  return std::nullopt;
}

}  // namespace

Result<FlexMapView> FlexMapView::parse(std::span<const uint8_t> bytes) {
  const auto refuse = [] { return invalid_data("options: expected a FlexBuffer map"); };
  if (bytes.size() < 3) return refuse();
  const uint64_t root_width = bytes[bytes.size() - 1];
  const uint64_t root_type = bytes[bytes.size() - 2];
  const bool is_width = root_width == 1 || root_width == 2 || root_width == 4 || root_width == 8;
  if (!is_width || static_cast<int>(root_type >> 2) != kMap || bytes.size() < 2 + root_width) {
    return refuse();
  }
  Reader r(bytes);
  const uint64_t map = r.target(bytes.size() - 2 - root_width, root_width);
  const uint64_t width = uint64_t{1} << (root_type & 3);
  if (!r.ok() || map < 3 * width) return refuse();
  const uint64_t count = r.unsigned_at(map - width, width);
  const uint64_t keys = r.target(map - 3 * width, width);
  const uint64_t key_width = r.unsigned_at(map - 2 * width, width);
  // Each value takes a byte or more, so that a count within the bytes bounds the work.
  if (!r.ok() || count > bytes.size() || key_width < 1 || key_width > 8) return refuse();
  FlexMapView view;
  for (uint64_t i = 0; i < count; ++i) {
    const std::string_view key = r.text(r.target(keys + i * key_width, key_width));
    const uint64_t type = r.unsigned_at(map + count * width + i, 1);
    const std::optional<double> value = value_at(r, map + i * width, width, type);
    if (!r.ok()) return refuse();
    if (value) view.entries_.push_back({key, *value});
  }
  return view;
}

std::optional<double> FlexMapView::number(std::string_view key) const {
  for (const Entry& entry : entries_) {
    if (entry.key == key) return entry.value;
  }
  return std::nullopt;
}

}  // namespace ew::formats::tflite
