#pragma once
// Which requests of a source's senders were taken lately, so that one that comes again is known.

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "agent/bytes_io.h"

namespace ew::agent {

/// The newest 4,096 requests by name, and how many records of each are stored.
class RecentRequests {
 public:
  static constexpr size_t kMaxRequests = 4096;
  static constexpr size_t kMaxNameBytes = 256;

  void note_record(std::string_view name);
  /// 0 for a request that is not known (any more).
  uint32_t records(std::string_view name) const;

  void save(ByteWriter& out) const;
  void load(ByteReader& in);

 private:
  std::unordered_map<std::string, uint32_t> records_;
  std::deque<std::string> order_;  // oldest first
};

}  // namespace ew::agent
