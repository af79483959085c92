#include "formats/tflite/flatbuffer.h"

namespace ew::formats::tflite {

void FlatBuffer::fail(Error error) {
  if (status_.ok()) status_ = std::move(error);
}

bool FlatBuffer::charge(uint64_t count) {
  if (!status_.ok()) return false;
  if (count > budget_) {
    fail(make_error(ErrorCode::kResourceLimit,
                    "the file describes much more than it holds; it is damaged or hostile"));
    return false;
  }
  budget_ -= count;
  return true;
}

bool FlatBuffer::covers(uint64_t at, uint64_t count) {
  if (!status_.ok()) return false;
  if (at <= bytes_.size() && count <= bytes_.size() - at) return true;
  fail(invalid_data("damaged: offset ", at, " with ", count, " bytes lies outside the file of ",
                    bytes_.size()));
  return false;
}

Table FlatBuffer::root() { return Table::at(*this, read<uint32_t>(0)); }

Table Table::at(FlatBuffer& buffer, uint64_t place) {
  Table table;
  if (!buffer.charge(sizeof(Table)) || !buffer.covers(place, 4)) return table;
  const int64_t vtable = static_cast<int64_t>(place) - buffer.read<int32_t>(place);
  if (vtable < 0 || !buffer.covers(static_cast<uint64_t>(vtable), 4)) {
    buffer.fail(invalid_data("damaged: the table at offset ", place, " names no field list"));
    return table;
  }
  const auto fields = static_cast<uint64_t>(vtable);
  const auto vtable_bytes = buffer.read<uint16_t>(fields);
  const auto table_bytes = buffer.read<uint16_t>(fields + 2);
  if (!buffer.covers(fields, vtable_bytes) || !buffer.covers(place, table_bytes)) return table;
  table.buffer_ = &buffer;
  table.at_ = place;
  table.vtable_ = fields;
  table.vtable_bytes_ = vtable_bytes;
  table.table_bytes_ = table_bytes;
  return table;
}

uint64_t Table::place(int field, uint64_t size) const {
  if (buffer_ == nullptr) return 0;
  const uint64_t slot = 4 + 2 * static_cast<uint64_t>(field);
  if (slot + 2 > vtable_bytes_) return 0;
  const auto offset = buffer_->read<uint16_t>(vtable_ + slot);
  if (offset == 0) return 0;
  if (offset + size > table_bytes_) {
    buffer_->fail(invalid_data("damaged: field ", field, " of the table at offset ", at_,
                               " lies outside the table"));
    return 0;
  }
  return at_ + offset;
}

Table Table::table(int field) const {
  const uint64_t at = place(field, 4);
  return at == 0 ? Table() : Table::at(*buffer_, at + buffer_->read<uint32_t>(at));
}

std::span<const uint8_t> Table::elements(int field, uint64_t size) const {
  const std::span<const uint8_t> found = [&]() -> std::span<const uint8_t> {
    const uint64_t at = place(field, 4);
    if (at == 0) return {};
    const uint64_t vector = at + buffer_->read<uint32_t>(at);
    const uint64_t bytes = uint64_t{buffer_->read<uint32_t>(vector)} * size;
    if (!buffer_->covers(vector + 4, bytes)) return {};
    return buffer_->bytes().subspan(vector + 4, bytes);
  }();
  return found.empty() || !buffer_->charge(found.size()) ? std::span<const uint8_t>() : found;
}

std::vector<Table> Table::tables(int field) const {
  std::vector<Table> found;
  const std::span<const uint8_t> raw = elements(field, 4);
  for (size_t i = 0; i < raw.size() && buffer_->status().ok(); i += 4) {
    uint32_t offset = 0;
    std::memcpy(&offset, raw.data() + i, 4);
    const auto at = static_cast<uint64_t>(raw.data() + i - buffer_->bytes().data());
    found.push_back(Table::at(*buffer_, at + offset));
  }
  return found;
}

std::string Table::text(int field) const {
  const std::span<const uint8_t> raw = elements(field, 1);
  return {raw.begin(), raw.end()};
}

std::span<const uint8_t> Table::bytes(int field) const { return elements(field, 1); }

}  // namespace ew::formats::tflite
