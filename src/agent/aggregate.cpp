#include "agent/aggregate.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ew::agent {

bool keeps_values(AggregateKind kind) {
  return kind == AggregateKind::kMedian || kind == AggregateKind::kPercentile ||
         kind == AggregateKind::kDistinct || kind == AggregateKind::kList ||
         kind == AggregateKind::kSignal;
}

void AggregateState::add(AggregateKind kind, double value, int64_t time_us) {
  if (std::isnan(value)) return;
  ++count_;
  const auto n = static_cast<double>(count_);
  switch (kind) {
    case AggregateKind::kCount:
      break;
    case AggregateKind::kSum:
    case AggregateKind::kAvg:
      a_ += value;
      break;
    case AggregateKind::kMin:
    case AggregateKind::kMax:
    case AggregateKind::kRange:
      a_ = count_ == 1 ? value : std::min(a_, value);
      b_ = count_ == 1 ? value : std::max(b_, value);
      break;
    case AggregateKind::kFirst:
      if (count_ == 1) a_ = value;
      break;
    case AggregateKind::kLast:
      a_ = value;
      break;
    case AggregateKind::kStddev:
    case AggregateKind::kVariance: {
      const double before = value - a_;
      a_ += before / n;
      b_ += before * (value - a_);
      break;
    }
    case AggregateKind::kRms:
      a_ += value * value;
      break;
    case AggregateKind::kSlope: {
      if (count_ == 1) first_us_ = time_us;
      const double t = static_cast<double>(time_us - first_us_) / 1e6;
      a_ += value;
      time_sum_ += t;
      time_squares_ += t * t;
      products_ += t * value;
      break;
    }
    case AggregateKind::kMedian:
    case AggregateKind::kPercentile:
    case AggregateKind::kDistinct:
    case AggregateKind::kList:
      values_.push_back(value);
      break;
    case AggregateKind::kSignal:
      values_.push_back(static_cast<double>(time_us));
      values_.push_back(value);
      break;
  }
}

double AggregateState::result(AggregateKind kind, double parameter) const {
  constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
  const auto n = static_cast<double>(count_);
  if (kind == AggregateKind::kCount) return n;
  if (count_ == 0) return kind == AggregateKind::kDistinct ? 0 : kUndefined;
  switch (kind) {
    case AggregateKind::kAvg:
      return a_ / n;
    case AggregateKind::kMax:
      return b_;
    case AggregateKind::kRange:
      return b_ - a_;
    case AggregateKind::kVariance:
      return count_ < 2 ? kUndefined : b_ / (n - 1);
    case AggregateKind::kStddev:
      return count_ < 2 ? kUndefined : std::sqrt(b_ / (n - 1));
    case AggregateKind::kRms:
      return std::sqrt(a_ / n);
    case AggregateKind::kSlope: {
      const double spread = n * time_squares_ - time_sum_ * time_sum_;
      return spread > 0 ? (n * products_ - time_sum_ * a_) / spread : kUndefined;
    }
    case AggregateKind::kMedian:
    case AggregateKind::kPercentile: {
      // Linear interpolation between order statistics, as NumPy's default.
      std::vector<double> sorted = values_;
      std::ranges::sort(sorted);
      const double percent = kind == AggregateKind::kMedian ? 50 : parameter;
      const double place = percent / 100 * (n - 1);
      const auto low = static_cast<size_t>(place);
      const size_t high = std::min(low + 1, sorted.size() - 1);
      return sorted[low] + (place - std::floor(place)) * (sorted[high] - sorted[low]);
    }
    case AggregateKind::kDistinct: {
      std::vector<double> sorted = values_;
      std::ranges::sort(sorted);
      return static_cast<double>(std::ranges::unique(sorted).begin() - sorted.begin());
    }
    case AggregateKind::kList:
    case AggregateKind::kSignal:
      return kUndefined;
    default:
      return a_;
  }
}

void AggregateState::save(ByteWriter& out) const {
  out.put(count_);
  out.put(a_);
  out.put(b_);
  out.put(first_us_);
  out.put(time_sum_);
  out.put(time_squares_);
  out.put(products_);
  out.put(static_cast<uint32_t>(values_.size()));
  for (const double value : values_) out.put(value);
}

bool AggregateState::load(ByteReader& in) {
  count_ = in.get<int64_t>();
  a_ = in.get<double>();
  b_ = in.get<double>();
  first_us_ = in.get<int64_t>();
  time_sum_ = in.get<double>();
  time_squares_ = in.get<double>();
  products_ = in.get<double>();
  values_.resize(in.get_count(8));
  for (double& value : values_) value = in.get<double>();
  return in.ok();
}

}  // namespace ew::agent
