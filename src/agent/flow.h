#pragma once
// What moves between sources, streams, rules and sinks inside the pipeline.

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/bytes_io.h"
#include "agent/record.h"
#include "agent/value.h"

namespace ew::agent {

/// Numbers for texts; a number stays the same for the life of the state.
class KeyTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  /// The number of `key`, a new one if need be.
  uint32_t intern(std::string_view key);
  /// The number of `key`, or kNone.
  uint32_t find(std::string_view key) const;
  std::string_view text(uint32_t id) const { return texts_[id]; }
  size_t size() const { return texts_.size(); }

  void save(ByteWriter& out) const;
  bool load(ByteReader& in);

 private:
  std::deque<std::string> texts_;  // never moves, so that views into it hold
  std::unordered_map<std::string_view, uint32_t> ids_;
};

/// How many inputs of which ledger rows something stands for.
class CoverSet {
 public:
  struct Item {
    uint32_t row = 0;
    uint32_t count = 0;
  };

  CoverSet() = default;
  CoverSet(uint32_t row, uint32_t count) : first_{row, count} {}
  void add(uint32_t row, uint32_t count);
  void add(const CoverSet& other);
  bool is_empty() const { return first_.count == 0; }
  void clear() {
    first_ = {};
    more_.clear();
  }
  template <typename Visit>
  void for_each(Visit visit) const {
    if (first_.count == 0) return;
    visit(first_);
    for (const Item& item : more_) visit(item);
  }

  void save(ByteWriter& out) const;
  bool load(ByteReader& in);

 private:
  Item first_;
  std::vector<Item> more_;
};

/// What becomes of the inputs behind a row. Whoever first carries them on (a window, a sink's
/// queue) claims them; what nobody claims is dropped with the first reason given.
struct Fate {
  CoverSet cover = {};
  bool is_claimed = false;
  std::optional<DropReason> reason = {};

  void reject(DropReason why) {
    if (!reason) reason = why;
  }
  /// The cover for the one who claims it; empty for everyone after.
  CoverSet claim() {
    if (is_claimed) return {};
    is_claimed = true;
    return cover;
  }
};

/// A record on its way. Views hold during the call.
struct Row {
  std::span<const Value> values = {};  ///< by slot of the stream it comes from
  int64_t time_us = 0;                 ///< event time
  int64_t window_start_us = kNoTime;
  uint32_t key = 0;
  std::string_view key_text = {};
  std::string_view topic = {};
  std::string_view raw = {};    ///< the payload where the row is the input itself; else empty
  std::string_view model = {};  ///< name and version of the model behind it, if any
};

/// Takes rows: a stream, a rule, or a sink's queue.
class Consumer {
 public:
  virtual ~Consumer() = default;
  /// `port` tells inputs apart, as numbered when the pipeline was built.
  virtual void take(const Row& row, Fate& fate, size_t port) = 0;
};

struct Edge {
  Consumer* consumer = nullptr;
  size_t port = 0;
};

inline void send_on(std::span<const Edge> edges, const Row& row, Fate& fate) {
  for (const Edge& edge : edges) edge.consumer->take(row, fate, edge.port);
}

}  // namespace ew::agent
