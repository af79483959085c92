#include "agent/drift.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ew::agent {
namespace {

constexpr int kClock = 32;         // values between two checks
constexpr size_t kMaxBuckets = 5;  // of one size, before the oldest two become one
constexpr double kMinPart = 5;     // values on either side of a cut
constexpr size_t kHead = 2;        // entries of the cell before the buckets

using Entry = std::pair<int64_t, double>;

/// Where more than kMaxBuckets have one size, the oldest two become one of the next.
void merge_buckets(std::vector<Entry>& recent) {
  size_t end = recent.size();
  while (end > kHead) {
    const int64_t size = recent[end - 1].first;
    size_t begin = end;
    while (begin > kHead && recent[begin - 1].first == size) --begin;
    if (end - begin <= kMaxBuckets) return;
    recent[begin] = {2 * size, recent[begin].second + recent[begin + 1].second};
    recent.erase(recent.begin() + static_cast<std::ptrdiff_t>(begin) + 1);
    end = begin + 1;
  }
}

/// Whether some cut between buckets parts two different means.
bool has_changed(const std::vector<Entry>& recent, double delta) {
  const auto count = static_cast<double>(recent[0].first);
  const double total = recent[0].second;
  const double variance = recent[1].second / count;
  const double confidence = std::log(2 * std::log(count) / delta);
  double old_count = 0;
  double old_total = 0;
  for (size_t i = kHead; i + 1 < recent.size(); ++i) {
    old_count += static_cast<double>(recent[i].first);
    old_total += recent[i].second;
    const double new_count = count - old_count;
    if (old_count < kMinPart || new_count < kMinPart) continue;
    const double inverse = 1 / (old_count - kMinPart + 1) + 1 / (new_count - kMinPart + 1);
    const double bound =
        std::sqrt(2 * inverse * variance * confidence) + 2.0 / 3.0 * inverse * confidence;
    if (std::abs(old_total / old_count - (total - old_total) / new_count) > bound) return true;
  }
  return false;
}

}  // namespace

double page_hinkley(Cell& cell, double x, double tolerance) {
  // recent: count and mean, then cumulated sum and its least.
  if (cell.recent.empty()) cell.recent = {{0, 0.0}, {0, 0.0}, {0, 0.0}};
  auto& [count, mean] = cell.recent[0];
  double& sum = cell.recent[1].second;
  double& least = cell.recent[2].second;
  if (!std::isnan(x)) {
    ++count;
    mean += (x - mean) / static_cast<double>(count);
    sum += x - mean - tolerance;
    least = std::min(least, sum);
    cell.has = true;
    cell.value = sum - least;
  }
  return sum - least;
}

double population_stability(Cell& cell, double x, int64_t time_us, size_t n) {
  auto& recent = cell.recent;  // the first n, sorted, then the last ones
  if (!std::isnan(x)) {
    recent.emplace_back(time_us, x);
    if (recent.size() == n) std::ranges::sort(recent, {}, &Entry::second);
    if (recent.size() > 2 * n) recent.erase(recent.begin() + static_cast<std::ptrdiff_t>(n));
  }
  if (recent.size() < 2 * n) return std::numeric_limits<double>::quiet_NaN();
  constexpr size_t kBins = 10;
  double reference[kBins] = {};
  double current[kBins] = {};
  const auto bin_of = [&](double value) {
    size_t bin = 0;
    while (bin + 1 < kBins && value > recent[(bin + 1) * n / kBins].second) ++bin;
    return bin;
  };
  for (size_t i = 0; i < n; ++i) {
    reference[bin_of(recent[i].second)] += 1;
    current[bin_of(recent[n + i].second)] += 1;
  }
  double sum = 0;
  for (size_t bin = 0; bin < kBins; ++bin) {
    // Half a value in empty bins keeps the logarithm finite.
    const double q = std::max(reference[bin], 0.5) / static_cast<double>(n);
    const double p = std::max(current[bin], 0.5) / static_cast<double>(n);
    sum += (p - q) * std::log(p / q);
  }
  cell.has = true;
  cell.value = sum;
  return sum;
}

void add_drift_states(const Expression& expression, const std::vector<std::vector<Cell>>& cells,
                      std::vector<DriftState>& states) {
  for (const DriftUse& use : expression.drifts()) {
    DriftState state{.text = use.text, .is_count = use.is_count, .value = 0};
    bool has_any = false;
    for (const std::vector<Cell>& of_key : cells) {
      if (use.cell >= of_key.size() || !of_key[use.cell].has) continue;
      const double value = of_key[use.cell].value;
      state.value = !has_any       ? value
                    : use.is_count ? state.value + value
                                   : std::max(state.value, value);
      has_any = true;
    }
    if (has_any) states.push_back(std::move(state));
  }
}

Value adwin(Cell& cell, double x, double delta) {
  if (std::isnan(x)) return Value::undefined();
  // recent: count and sum of the values, then their squared deviations from the mean, then the
  // buckets, each count and sum of values that stood together, the oldest first.
  auto& recent = cell.recent;
  if (recent.size() < kHead) recent.assign(kHead, {0, 0.0});
  const auto before = static_cast<double>(recent[0].first);
  if (before > 0) {
    const double difference = x - recent[0].second / before;
    recent[1].second += before * difference * difference / (before + 1);
  }
  ++recent[0].first;
  recent[0].second += x;
  recent.emplace_back(1, x);
  merge_buckets(recent);
  cell.has = true;
  const bool is_change = recent[0].first % kClock == 0 && has_changed(recent, delta);
  if (is_change) {
    ++cell.value;
    recent.clear();
  }
  return Value::of_flag(is_change);
}

}  // namespace ew::agent
