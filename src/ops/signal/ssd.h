#pragma once
// The end of a single-shot detector (Liu et al., SSD: Single Shot MultiBox Detector, 2016) whose
// file ends with offsets and scores.

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace ew::ir {
struct Graph;
}

namespace ew::ops::signal {

enum class ScoreKind : uint8_t { kSigmoid, kSoftmax, kNone };

struct SsdOptions {
  std::vector<int64_t> grids;  ///< cells along a side of each feature map, finest first
  double smallest = 0.2;       ///< an anchor's side on the first map, in parts of the picture
  double largest = 0.95;       ///< on the last one; those between are even
  ScoreKind scores = ScoreKind::kSigmoid;  ///< what makes probabilities of the scores
  bool has_background = true;              ///< the first class is none
  int64_t most = 20;                       ///< detections of a picture
  double min_score = 0.3;
  double max_overlap = 0.6;  ///< of two boxes of one class, intersection over union
};

/// Centre y, x, height, width of each anchor, [n, 4], in parts of the picture: of each cell those
/// with the sides' ratios 1, 2, 1/2, 3, 1/3 and one of ratio 1 between this map's size and the
/// next one's; of the first map a small one, 2 and 1/2 alone.
std::vector<float> ssd_anchors(const SsdOptions& options);

/// The graph with detection_postprocess behind its two outputs, offsets [N, n, 4] and scores
/// [N, n, classes]: boxes [N, most, 4] (top, left, bottom, right), classes, scores, count. Errors:
/// kInvalidArgument where the outputs are others, with what they are.
Result<ir::Graph> append_ssd(const ir::Graph& graph, const SsdOptions& options);

}  // namespace ew::ops::signal
