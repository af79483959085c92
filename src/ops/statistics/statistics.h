#pragma once
// Statistics of a window of numbers, by name.

#include "ops/ops.h"

namespace ew::ops {

/// One statistic; a quantile also has its fraction.
struct Statistic {
  double (*of_moments)(const struct Moments& m) = nullptr;  ///< null for quantiles
  double low = 0;   ///< quantile fractions: the value is that at `high` minus that at `low`,
  double high = 0;  ///< or that at `high` alone where `low` is negative
};

/// What one pass over the window, and one more over its deviations from the mean, give.
struct Moments {
  double n = 0, mean = 0, min = 0, max = 0, energy = 0, absolute = 0, crossings = 0;
  double m2 = 0, m3 = 0, m4 = 0;  ///< central moments
};

/// "mean,std,q25": the names in docs/guide/features.md. Error kInvalidArgument names the unknown
/// one and those that are known.
Result<std::vector<Statistic>> parse_statistics(std::string_view names);

/// The statistics of every row of x [..., n] into y [..., count]; `sorted` has n elements.
template <typename T>
void statistics_of(std::span<const Statistic> what, const T* x, int64_t rows, int64_t n, T* y,
                   double* sorted);

}  // namespace ew::ops
