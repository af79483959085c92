#include "ops/signal/nms.h"

#include <algorithm>

namespace ew::ops::signal {

float overlap(const Box& a, const Box& b) {
  const float area_a = (a.ymax - a.ymin) * (a.xmax - a.xmin);
  const float area_b = (b.ymax - b.ymin) * (b.xmax - b.xmin);
  if (!(area_a > 0) || !(area_b > 0)) return 0;
  const float height = std::max(std::min(a.ymax, b.ymax) - std::max(a.ymin, b.ymin), 0.F);
  const float width = std::max(std::min(a.xmax, b.xmax) - std::max(a.xmin, b.xmin), 0.F);
  const float shared = height * width;
  return shared / (area_a + area_b - shared);
}

std::vector<int64_t> suppress(std::span<const Box> boxes, std::span<const float> scores,
                              std::vector<int64_t> candidates, float max_overlap, int64_t most) {
  const auto at = [](int64_t i) { return static_cast<size_t>(i); };
  std::sort(candidates.begin(), candidates.end(), [&](int64_t i, int64_t j) {
    return scores_before(scores[at(i)], scores[at(j)], i, j);
  });
  std::vector<int64_t> taken;
  for (const int64_t i : candidates) {
    if (static_cast<int64_t>(taken.size()) >= most) break;
    const bool is_hidden = std::any_of(taken.begin(), taken.end(), [&](int64_t t) {
      return overlap(boxes[at(t)], boxes[at(i)]) > max_overlap;
    });
    if (!is_hidden) taken.push_back(i);
  }
  return taken;
}

}  // namespace ew::ops::signal
