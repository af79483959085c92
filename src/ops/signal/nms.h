#pragma once
// Greedy suppression of overlapping boxes, as detectors end with.

#include <cstdint>
#include <span>
#include <vector>

namespace ew::ops::signal {

/// Corners, y before x.
struct Box {
  float ymin = 0, xmin = 0, ymax = 0, xmax = 0;
};

/// Area of the intersection over that of the union, in float; 0 where a box has no area.
float overlap(const Box& a, const Box& b);

/// Whether candidate i stands before j: by falling score, NaN last, of equals the lower one first.
inline bool scores_before(float a, float b, int64_t i, int64_t j) {
  if (a > b || b > a) return a > b;
  const bool a_is_nan = a != a;
  const bool b_is_nan = b != b;
  return a_is_nan != b_is_nan ? b_is_nan : i < j;
}

/// Takes the candidate with the highest score (of equals the lower index), drops
/// those whose overlap with it is above `max_overlap`, and so on, at most `most` times. Returns
/// what was taken, in that order; candidates and the result are indices into `boxes` and `scores`.
std::vector<int64_t> suppress(std::span<const Box> boxes, std::span<const float> scores,
                              std::vector<int64_t> candidates, float max_overlap, int64_t most);

}  // namespace ew::ops::signal
