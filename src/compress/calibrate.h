#pragma once
// Which real values every tensor of a graph takes over some samples: the base of its int8 range.

#include <map>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "ir/graph.h"

namespace ew::compress {

struct ValueRange {
  float min = 0;
  float max = 0;
  bool operator==(const ValueRange&) const = default;
};

enum class RangeRule {
  kMinMax,      ///< everything that was seen
  kPercentile,  ///< but the outermost values
  kMse,         ///< the range whose 256 steps have the least mean square error
};

struct CalibrationOptions {
  RangeRule rule = RangeRule::kMinMax;
  double percentile = 99.99;  ///< kPercentile: this share of the values lies inside
  int64_t batch_size = 32;
  ThreadPool* pool = nullptr;
};

/// Ranges by value id.
using Ranges = std::map<ir::ValueId, ValueRange>;

/// Runs `graph` (inference form) on samples, one tensor per input with the samples along axis 0,
/// and returns the ranges of every float32 input and computed value. Values that are not finite are
/// ignored. Errors: those of the executor; kInvalidArgument without samples or for shapes that do
/// not fit.
Result<Ranges> calibrate(const ir::Graph& graph, std::span<const ir::Tensor> samples,
                         const CalibrationOptions& options = {});

/// Counts of values in equal bins over [min, max].
struct Histogram {
  ValueRange range;
  std::vector<int64_t> bins;
};
ValueRange percentile_range(const Histogram& histogram, double percentile);
/// Of ranges that are shares of the whole one, the best for 256 steps.
ValueRange mse_range(const Histogram& histogram);

}  // namespace ew::compress
