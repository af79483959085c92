#include "agent/flow.h"

namespace ew::agent {

uint32_t KeyTable::find(std::string_view key) const {
  const auto found = ids_.find(key);
  return found == ids_.end() ? kNone : found->second;
}

uint32_t KeyTable::intern(std::string_view key) {
  if (const auto found = ids_.find(key); found != ids_.end()) return found->second;
  const auto id = static_cast<uint32_t>(texts_.size());
  texts_.emplace_back(key);
  ids_.emplace(texts_.back(), id);
  return id;
}

void KeyTable::save(ByteWriter& out) const {
  out.put(static_cast<uint32_t>(texts_.size()));
  for (const std::string& text : texts_) out.put_text(text);
}

bool KeyTable::load(ByteReader& in) {
  texts_.clear();
  ids_.clear();
  const size_t count = in.get_count(4);
  for (size_t i = 0; i < count; ++i) intern(in.get_text());
  return in.ok();
}

void CoverSet::add(uint32_t row, uint32_t count) {
  if (count == 0) return;
  if (first_.count == 0) {
    first_ = {row, count};
    return;
  }
  if (first_.row == row) {
    first_.count += count;
    return;
  }
  for (Item& item : more_) {
    if (item.row == row) {
      item.count += count;
      return;
    }
  }
  more_.push_back({row, count});
}

void CoverSet::add(const CoverSet& other) {
  other.for_each([&](const Item& item) { add(item.row, item.count); });
}

void CoverSet::save(ByteWriter& out) const {
  out.put(static_cast<uint32_t>(first_.count == 0 ? 0 : 1 + more_.size()));
  for_each([&](const Item& item) {
    out.put(item.row);
    out.put(item.count);
  });
}

bool CoverSet::load(ByteReader& in) {
  clear();
  const size_t count = in.get_count(8);
  for (size_t i = 0; i < count; ++i) {
    const auto row = in.get<uint32_t>();
    const auto covered = in.get<uint32_t>();
    if (first_.count == 0) {
      first_ = {row, covered};
    } else {
      more_.push_back({row, covered});
    }
  }
  return in.ok();
}

}  // namespace ew::agent
