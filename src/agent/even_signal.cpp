#include "agent/even_signal.h"

#include <algorithm>
#include <utility>

namespace ew::agent {

bool even_signal(std::span<const double> records, const SampleGrid& grid, std::span<float> out) {
  std::vector<std::pair<double, double>> points;
  for (size_t i = 0; i + 1 < records.size(); i += 2) {
    points.emplace_back(records[i], records[i + 1]);
  }
  if (points.empty() || 2 * points.size() < out.size()) return false;
  std::ranges::stable_sort(points, {}, &std::pair<double, double>::first);
  size_t next = 0;  // the first point behind the sample
  for (size_t i = 0; i < out.size(); ++i) {
    const double time = grid.first_us + static_cast<double>(i) * grid.step_us;
    while (next < points.size() && points[next].first <= time) ++next;
    const auto& after = points[std::min(next, points.size() - 1)];
    const auto& before = points[next == 0 ? 0 : next - 1];
    const double gap = after.first - before.first;
    const double share = gap > 0 ? (time - before.first) / gap : 0;
    out[i] = static_cast<float>(before.second + share * (after.second - before.second));
  }
  return true;
}

}  // namespace ew::agent
