#include "agent/recent_requests.h"

namespace ew::agent {

void RecentRequests::note_record(std::string_view name) {
  const auto [entry, is_new] = records_.try_emplace(std::string(name), 0);
  ++entry->second;
  if (!is_new) return;
  order_.emplace_back(name);
  if (order_.size() <= kMaxRequests) return;
  records_.erase(order_.front());
  order_.pop_front();
}

uint32_t RecentRequests::records(std::string_view name) const {
  const auto entry = records_.find(std::string(name));
  return entry == records_.end() ? 0 : entry->second;
}

void RecentRequests::save(ByteWriter& out) const {
  out.put(static_cast<uint32_t>(order_.size()));
  for (const std::string& name : order_) {
    out.put_text(name);
    out.put(records(name));
  }
}

void RecentRequests::load(ByteReader& in) {
  records_.clear();
  order_.clear();
  const size_t count = in.get_count(8);
  for (size_t i = 0; i < count && in.ok(); ++i) {
    const std::string name(in.get_text());
    const auto records = in.get<uint32_t>();
    if (!records_.try_emplace(name, records).second) in.fail();
    order_.push_back(name);
  }
}

}  // namespace ew::agent
