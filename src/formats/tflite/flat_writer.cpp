#include "formats/tflite/flat_writer.h"

#include <algorithm>

namespace ew::formats::tflite {

FlatTable::Field& FlatTable::add(int field, Kind kind) {
  fields_.push_back({field, kind});
  return fields_.back();
}

void FlatTable::text(int field, const std::string& value) {
  add(field, Kind::kText).bytes.assign(value.begin(), value.end());
}

void FlatTable::bytes(int field, std::span<const uint8_t> values) {
  Field& f = add(field, Kind::kVector);
  f.alignment = 16;
  f.bytes.assign(values.begin(), values.end());
}

FlatTable& FlatTable::table(int field) { return add(field, Kind::kTable).tables.emplace_back(); }

FlatTable& FlatTable::append(int field) {
  const auto found = std::find_if(fields_.begin(), fields_.end(),
                                  [&](const Field& f) { return f.number == field; });
  Field& f = found != fields_.end() ? *found : add(field, Kind::kTables);
  return f.tables.emplace_back();
}

/// Places tables and vectors behind what refers to them, since offsets only point forwards.
class FlatLayout {
 public:
  Result<std::vector<uint8_t>> run(const FlatTable& root, const char* mark) {
    out_.resize(8);
    std::memcpy(out_.data() + 4, mark, 4);
    put<uint32_t>(0, static_cast<uint32_t>(table(root)));
    if (out_.size() > (size_t{1} << 31) - 16) {
      return make_error(ErrorCode::kResourceLimit, "the file would have ", out_.size(),
                        " bytes, more than a FlatBuffer can address");
    }
    return std::move(out_);
  }

 private:
  using Field = FlatTable::Field;
  using Kind = FlatTable::Kind;

  template <typename T>
  void put(size_t at, T value) {
    std::memcpy(out_.data() + at, &value, sizeof(T));
  }
  void pad_to(size_t alignment) {
    out_.resize((out_.size() + alignment - 1) / alignment * alignment);
  }
  void refer(size_t at, size_t target) { put(at, static_cast<uint32_t>(target - at)); }

  static size_t inline_bytes(const Field& f) {
    return f.kind == Kind::kScalar ? f.bytes.size() : 4;
  }

  // The list of fields, the table itself, then what the table refers to.
  size_t table(const FlatTable& source) {
    int last = -1;
    for (const Field& f : source.fields_) last = std::max(last, f.number);
    std::vector<uint16_t> slots(static_cast<size_t>(last + 1), 0);
    size_t size = 4;
    for (const Field& f : source.fields_) {
      const size_t bytes = inline_bytes(f);
      size = (size + bytes - 1) / bytes * bytes;
      slots[static_cast<size_t>(f.number)] = static_cast<uint16_t>(size);
      size += bytes;
    }
    pad_to(2);
    const size_t list = out_.size();
    out_.resize(list + 4 + 2 * slots.size());
    put(list, static_cast<uint16_t>(4 + 2 * slots.size()));
    put(list + 2, static_cast<uint16_t>(size));
    if (!slots.empty()) std::memcpy(out_.data() + list + 4, slots.data(), 2 * slots.size());
    pad_to(8);
    const size_t at = out_.size();
    out_.resize(at + size);
    put(at, static_cast<int32_t>(at - list));
    for (const Field& f : source.fields_) {
      const size_t place = at + slots[static_cast<size_t>(f.number)];
      if (f.kind == Kind::kScalar)
        std::memcpy(out_.data() + place, f.bytes.data(), f.bytes.size());
      else
        refer(place, child(f));
    }
    return at;
  }

  size_t child(const Field& f) {
    if (f.kind == Kind::kTable) return table(f.tables.front());
    if (f.kind == Kind::kTables) return tables(f);
    const size_t alignment = std::max<size_t>(f.alignment, 4);
    // The elements are aligned; their count stands before them.
    pad_to(4);
    while ((out_.size() + 4) % alignment != 0) out_.resize(out_.size() + 4);
    const size_t at = out_.size();
    out_.resize(at + 4);
    put(at, static_cast<uint32_t>(f.bytes.size() / f.element_bytes));
    out_.insert(out_.end(), f.bytes.begin(), f.bytes.end());
    if (f.kind == Kind::kText) out_.push_back(0);
    return at;
  }

  size_t tables(const Field& f) {
    pad_to(4);
    const size_t at = out_.size();
    out_.resize(at + 4 + 4 * f.tables.size());
    put(at, static_cast<uint32_t>(f.tables.size()));
    size_t place = at + 4;
    for (const FlatTable& t : f.tables) {
      refer(place, table(t));
      place += 4;
    }
    return at;
  }

  std::vector<uint8_t> out_;
};

Result<std::vector<uint8_t>> write_flatbuffer(const FlatTable& root, const char* mark) {
  return FlatLayout().run(root, mark);
}

}  // namespace ew::formats::tflite
