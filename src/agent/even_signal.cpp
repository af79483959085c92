#include "agent/even_signal.h"

#include <algorithm>
#include <utility>

namespace ew::agent {
namespace {

struct Point {
  double time;
  size_t order;  // of points of the same time the later one counts
  double value;
};

}  // namespace

bool even_signal(std::span<const double> records, const SampleGrid& grid, std::span<float> out) {
  std::vector<Point> points;
  for (size_t i = 0; i + 1 < records.size(); i += 2)
    points.push_back({records[i], i, records[i + 1]});
  if (points.empty() || 2 * points.size() < out.size()) return false;
  std::ranges::sort(points, {}, [](const Point& p) { return std::pair(p.time, p.order); });
  size_t next = 0;  // the first point behind the sample
  for (size_t i = 0; i < out.size(); ++i) {
    const double time = grid.first_us + static_cast<double>(i) * grid.step_us;
    while (next < points.size() && points[next].time <= time) ++next;
    const auto& after = points[std::min(next, points.size() - 1)];
    const auto& before = points[next == 0 ? 0 : next - 1];
    const double gap = after.time - before.time;
    const double share = gap > 0 ? (time - before.time) / gap : 0;
    out[i] = static_cast<float>(before.value + share * (after.value - before.value));
  }
  return true;
}

}  // namespace ew::agent
