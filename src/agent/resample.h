#pragma once
// Rows at even times from records at uneven ones, by key.

#include <functional>
#include <vector>

#include "agent/flow.h"

namespace ew::agent {

enum class GapFill { kNone, kLast, kLinear };

struct ResampleOptions {
  int64_t every_us = 0;  ///< rows at multiples of this since 1970; 0: not resampled
  GapFill fill = GapFill::kLast;
  int64_t max_gap_us = 0;  ///< over a longer silence nothing is filled
};

/// Numbers are carried over or interpolated; texts become missing, since they have no even times.
class Resampler {
 public:
  /// Gets a row's time and values, and the inputs that it stands for.
  using OnRow = std::function<void(int64_t time_us, std::span<const Value> values, CoverSet cover)>;

  explicit Resampler(const ResampleOptions& options) : options_(options) {}

  /// Takes a record and gives all rows up to its time. With kNone, and behind too long a gap, there
  /// is at most one, at the last step reached, with the record's own values. A record older than
  /// the one before is late and refused (false).
  bool add(uint32_t key, int64_t time_us, std::span<const Value> values, const CoverSet& cover,
           const OnRow& on_row);
  void visit_held(const std::function<void(const CoverSet&)>& visit) const;

  void save(ByteWriter& out) const;
  bool load(ByteReader& in);

 private:
  struct State {
    bool has = false;
    int64_t time_us = 0;
    std::vector<double> values;  ///< of the newest record; NaN where undefined
    CoverSet cover;              ///< since the last row
  };

  ResampleOptions options_;
  std::vector<State> states_;  // by key number
  std::vector<Value> row_;
};

}  // namespace ew::agent
