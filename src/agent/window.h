#pragma once
// Windows by key: tumbling, hopping, sliding, session and count.

#include <functional>
#include <memory>
#include <vector>

#include "agent/aggregate.h"
#include "agent/flow.h"

namespace ew::agent {

enum class WindowType { kTumbling, kHopping, kSliding, kSession, kCount };

struct WindowOptions {
  WindowType type = WindowType::kTumbling;
  int64_t size_us = 0;     ///< tumbling, hopping, sliding; the gap of a session
  int64_t every_us = 0;    ///< hopping; = size_us for tumbling
  int64_t size_count = 0;  ///< count
  int64_t every_count = 0;
  int64_t max_length_us = 0;     ///< of a session; 0: no limit
  size_t max_records = 100'000;  ///< kept by one key's sliding or count window
};

/// What a window gives when it closes. Aggregates in the order of the calls; `lists` too, for those
/// of kind kList and kSignal.
struct ClosedWindow {
  int64_t start_us = 0;
  int64_t end_us = 0;
  uint32_t key = 0;
  std::span<const Value> aggregates;
  const std::vector<std::vector<double>>* lists = nullptr;
};

/// Windows of one stream. A time window [start, end) closes when the watermark reaches its end;
/// starts are multiples of `every` since 1970. Sliding and count windows close with their record.
class WindowOperator {
 public:
  using OnClose = std::function<void(const ClosedWindow&, CoverSet cover)>;

  WindowOperator(const WindowOptions& options, const std::vector<AggregateCall>& calls,
                 OnClose on_close);

  /// Adds a record; `arguments` holds one value per call. False if its windows have been closed
  /// (late): the record was not taken.
  bool add(uint32_t key, int64_t time_us, std::span<const double> arguments, const CoverSet& cover,
           int64_t watermark_us);
  /// Closes, in order of end and key, what ends at or before the watermark.
  void advance(int64_t watermark_us);
  /// The least end of the open windows, or the greatest int64 if nothing waits.
  int64_t next_close_us() const { return next_close_us_; }
  void visit_held(const std::function<void(const CoverSet&)>& visit) const;

  void save(ByteWriter& out) const;
  bool load(ByteReader& in);

 private:
  struct Pane {
    int64_t start_us = 0;
    int64_t end_us = 0;
    std::vector<AggregateState> states;
    CoverSet cover;
  };
  struct KeyState {
    std::vector<Pane> panes;     // tumbling, hopping, session: open ones, by start
    std::vector<int64_t> times;  // sliding, count: kept records
    std::vector<double> arguments;
    CoverSet cover;
    int64_t since_last = 0;
  };

  KeyState& state_of(uint32_t key);
  bool add_to_panes(KeyState& state, int64_t time_us, std::span<const double> arguments,
                    const CoverSet& cover, int64_t watermark_us);
  bool add_to_session(KeyState& state, int64_t time_us, std::span<const double> arguments,
                      const CoverSet& cover, int64_t watermark_us);
  void add_and_slide(uint32_t key, KeyState& state, int64_t time_us,
                     std::span<const double> arguments, const CoverSet& cover);
  void add_to(Pane& pane, int64_t time_us, std::span<const double> arguments);
  void close(uint32_t key, const Pane& pane);

  WindowOptions options_;
  const std::vector<AggregateCall>& calls_;
  OnClose on_close_;
  std::vector<std::unique_ptr<KeyState>> keys_;  // by key number
  int64_t next_close_us_;
  std::vector<Value> results_;
  std::vector<std::vector<double>> lists_;
};

}  // namespace ew::agent
