#include "ops/signal/ssd.h"

#include <cmath>
#include <vector>

#include "ir/graph.h"
#include "ops/ops.h"

namespace ew::ops::signal {
namespace {

constexpr double kSmallSide = 0.1;  // of the first map's additional anchor
constexpr int64_t kMaxAnchors = 1 << 20;

struct Side {
  double height, width;
};

Side side_of(double scale, double ratio) {
  return {scale / std::sqrt(ratio), scale * std::sqrt(ratio)};
}

std::vector<Side> sides_of(const SsdOptions& o, size_t map) {
  const size_t maps = o.grids.size();
  const auto scale = [&](size_t i) {
    if (i >= maps) return 1.0;
    if (maps == 1) return o.smallest;
    return o.smallest +
           (o.largest - o.smallest) * static_cast<double>(i) / static_cast<double>(maps - 1);
  };
  const double own = scale(map);
  if (map == 0) return {side_of(kSmallSide, 1), side_of(own, 2), side_of(own, 0.5)};
  return {side_of(own, 1), side_of(own, 2),       side_of(own, 0.5),
          side_of(own, 3), side_of(own, 1.0 / 3), side_of(std::sqrt(own * scale(map + 1)), 1)};
}

int64_t anchor_count(const SsdOptions& o) {
  int64_t count = 0;
  for (size_t map = 0; map < o.grids.size(); ++map) {
    const int64_t side = o.grids[map];
    if (side < 1 || side > 1024) return -1;
    count += side * side * (map == 0 ? 3 : 6);
  }
  return count;
}

ValueId probabilities(Builder& b, ValueId scores, ScoreKind kind) {
  if (kind == ScoreKind::kSigmoid) return b.add(kSigmoid, {scores});
  if (kind == ScoreKind::kSoftmax) return b.add(kSoftmax, {scores}, {{"axis", int64_t{-1}}});
  return scores;
}

/// [N, n, last]: some files have a dimension of 1 before the last.
ValueId three_dimensions(Builder& b, ValueId value, int64_t count) {
  const Shape shape = b.shape(value);
  if (shape.rank() == 3) return value;
  return b.add(kReshape, {value}, {{"shape", std::vector<int64_t>{shape[0], count, shape[-1]}}});
}

}  // namespace

std::vector<float> ssd_anchors(const SsdOptions& options) {
  std::vector<float> out;
  for (size_t map = 0; map < options.grids.size(); ++map) {
    const int64_t cells = options.grids[map];
    const std::vector<Side> sides = sides_of(options, map);
    for (int64_t i = 0; i < cells * cells; ++i) {
      const int64_t row = i / cells;
      const int64_t column = i % cells;
      const double y = (static_cast<double>(row) + 0.5) / static_cast<double>(cells);
      const double x = (static_cast<double>(column) + 0.5) / static_cast<double>(cells);
      for (const Side& side : sides) {
        for (const double v : {y, x, side.height, side.width}) out.push_back(static_cast<float>(v));
      }
    }
  }
  return out;
}

Result<ir::Graph> append_ssd(const ir::Graph& graph, const SsdOptions& o) {
  const int64_t count = anchor_count(o);
  if (count < 1 || count > kMaxAnchors) {
    return invalid_argument("expected grids of 1 to 1024 cells with up to ", kMaxAnchors,
                            " anchors in all");
  }
  std::string found;
  for (const ValueId id : graph.outputs) found += str(found.empty() ? "" : ", ", graph.type(id));
  const Error others =
      invalid_argument("expected offsets [N, ", count, ", 4] and scores [N, ", count,
                       ", classes] for ", count, " anchors, found outputs ", found);
  if (graph.outputs.size() != 2) return others;
  ir::Graph joined = graph;
  const bool is_first = graph.type(graph.outputs[0]).shape[-1] == 4;
  const ValueId offsets = graph.outputs[is_first ? 0 : 1];
  const ValueId scores = graph.outputs[is_first ? 1 : 0];
  for (const ValueId id : {offsets, scores}) {
    const Shape& shape = graph.type(id).shape;
    const bool fits = (shape.rank() == 3 && shape[1] == count) ||
                      (shape.rank() == 4 && shape[1] == count && shape[2] == 1);
    if (!fits || shape[-1] < 2) return others;
  }
  if (graph.type(offsets).shape[-1] != 4) return others;
  const int64_t classes = graph.type(scores).shape[-1] - (o.has_background ? 1 : 0);
  Builder b(joined);
  b.set_origin("ssd");
  const std::vector<ValueId> in = {
      three_dimensions(b, offsets, count),
      probabilities(b, three_dimensions(b, scores, count), o.scores),
      b.constant(Tensor::from(ssd_anchors(o), Shape{count, 4}), "anchors")};
  joined.outputs = b.add_multi(kDetectionPostprocess, in,
                               {{"max_detections", o.most},
                                {"per_class", o.most},
                                {"num_classes", classes},
                                {"min_score", o.min_score},
                                {"max_overlap", o.max_overlap},
                                {"scale", std::vector<double>{10, 10, 5, 5}},
                                {"regular", true}});
  EW_TRY_VOID(b.status());
  joined.output_masks.clear();
  return joined;
}

}  // namespace ew::ops::signal
