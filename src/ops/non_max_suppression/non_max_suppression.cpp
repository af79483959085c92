/// non_max_suppression: the boxes that remain, per sample and class, when those that overlap a
/// better one too much are left out.
///
///   inputs   boxes: float32 [N, boxes, 4]; scores: float32 [N, classes, boxes]
///   outputs  places: int64 [N * classes * k, 3] with k = min(max_output, boxes): sample, class and
///            box of what remains, by sample, then class, then falling score; -1 behind them;
///            count: int64 [1], how many there are
///   attrs    max_output: per sample and class; max_overlap: of areas, intersection over union;
///            min_score: only scores above it; center: boxes are x, y, width, height, else
///            y, x, y, x of opposite corners in either order
///   errors   kInvalidArgument for other shapes, a max_output below 0 or an overlap outside [0, 1]
///   oracle   ONNX' NonMaxSuppression, its backend tests
#include <cmath>

#include "ops/signal/nms.h"
#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"max_output", int64_t{0}},
                          {"max_overlap", 0.0},
                          {"min_score", -std::numeric_limits<double>::infinity()},
                          {"center", false}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  const Shape& boxes = in[0]->shape;
  const Shape& scores = in[1]->shape;
  for (const TensorType* type : in) {
    if (type->dtype != DType::kF32) return invalid_argument("expected float32, found ", *type);
  }
  const bool fits = boxes.rank() == 3 && scores.rank() == 3 && boxes[2] == 4 &&
                    scores[0] == boxes[0] && scores[2] == boxes[1];
  if (!fits) {
    return invalid_argument("expected boxes [N, boxes, 4] and scores [N, classes, boxes], found ",
                            boxes, " and ", scores);
  }
  const int64_t most = attrs.integer("max_output");
  const double overlap = attrs.number("max_overlap");
  if (most < 0 || !(overlap >= 0 && overlap <= 1)) {
    return invalid_argument(
        "expected a max_output of 0 or more and a max_overlap of 0 to 1, found ", most, " and ",
        overlap);
  }
  int64_t rows = kUnknown;
  if (boxes.is_static() && scores.is_static()) {
    const int64_t each = std::min(most, boxes[1]);
    EW_TRY_VOID(check_shape({boxes[0], scores[1], each, 3}));
    rows = boxes[0] * scores[1] * each;
  }
  return std::vector<TensorType>{{DType::kI64, Shape{rows, 3}, nullptr},
                                 {DType::kI64, Shape{1}, nullptr}};
}

signal::Box box_of(const float* p, bool center) {
  if (center) {
    const float h = p[3] / 2;
    const float w = p[2] / 2;
    return {p[1] - h, p[0] - w, p[1] + h, p[0] + w};
  }
  return {std::min(p[0], p[2]), std::min(p[1], p[3]), std::max(p[0], p[2]), std::max(p[1], p[3])};
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const int64_t samples = in[0].shape()[0];
  const int64_t count = in[0].shape()[1];
  const int64_t classes = in[1].shape()[1];
  const double min_score = attrs.number("min_score");
  auto* places = out[0].as<int64_t>();
  int64_t* row = places;
  std::vector<signal::Box> boxes(static_cast<size_t>(count));
  for (int64_t n = 0; n < samples; ++n) {
    for (int64_t i = 0; i < count; ++i) {
      const float* p = in[0].as<float>() + (n * count + i) * 4;
      boxes[static_cast<size_t>(i)] = box_of(p, attrs.flag("center"));
    }
    for (int64_t c = 0; c < classes; ++c) {
      const std::span<const float> scores(in[1].as<float>() + (n * classes + c) * count,
                                          static_cast<size_t>(count));
      std::vector<int64_t> candidates;
      for (int64_t i = 0; i < count; ++i) {
        if (static_cast<double>(scores[static_cast<size_t>(i)]) > min_score)
          candidates.push_back(i);
      }
      const auto kept = signal::suppress(boxes, scores, std::move(candidates),
                                         static_cast<float>(attrs.number("max_overlap")),
                                         attrs.integer("max_output"));
      for (const int64_t i : kept) {
        *row++ = n;
        *row++ = c;
        *row++ = i;
      }
    }
  }
  out[1].as<int64_t>()[0] = (row - places) / 3;
  std::fill(row, places + out[0].size(), int64_t{-1});
}

}  // namespace

const OpDef kNonMaxSuppression{.name = "non_max_suppression",
                               .attrs = kAttrs,
                               .min_inputs = 2,
                               .max_inputs = 2,
                               .infer = infer,
                               .reference = reference};

}  // namespace ew::ops
