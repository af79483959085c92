#pragma once
// Aggregates of windows, updated value by value.

#include "agent/bytes_io.h"
#include "agent/expression.h"

namespace ew::agent {

/// One aggregate's state. Undefined values are left out, as SQL does; count() without an argument
/// counts records. Variances by Welford's update, which does not lose digits to a large mean.
class AggregateState {
 public:
  void add(AggregateKind kind, double value, int64_t time_us);
  double result(AggregateKind kind, double parameter) const;
  const std::vector<double>& values() const { return values_; }

  void save(ByteWriter& out) const;
  bool load(ByteReader& in);

 private:
  int64_t count_ = 0;
  double a_ = 0;  // sum, mean, least, first, ...
  double b_ = 0;  // squares, greatest, ...
  int64_t first_us_ = 0;
  double time_sum_ = 0;
  double time_squares_ = 0;
  double products_ = 0;
  std::vector<double> values_;  // of those that need all of them
};

/// Whether the aggregate keeps every value of its window.
bool keeps_values(AggregateKind kind);

}  // namespace ew::agent
