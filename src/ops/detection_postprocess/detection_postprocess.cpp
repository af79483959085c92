/// detection_postprocess: the end of an SSD detector: offsets from anchors become boxes, of which
/// those that overlap a better one are left out (TFLite's TFLite_Detection_PostProcess).
///
///   inputs   offsets: float32 [N, boxes, 4 or more]: y, x, height, width, then ignored;
///            scores: float32 [N, boxes, classes], with a background class before them or without;
///            anchors: float32 [boxes, 4]: centre y, x, height, width
///   outputs  boxes: [N, k, 4]: ymin, xmin, ymax, xmax; classes: [N, k]; scores: [N, k];
///            count: [N]; all float32, 0 behind the detections; k = max_detections *
///            classes_per_box
///   attrs    max_detections; classes_per_box and per_class: of the fast and the regular way;
///            num_classes; min_score; max_overlap; scale: y, x, height, width of the offsets;
///            regular: each class by itself, then the best of all; else each box once, by its best
///            class, which gives classes_per_box detections
///   errors   kInvalidArgument for shapes or counts that do not fit together
///   oracle   LiteRT: the same bits (decoded in double, suppressed in float), also where it leaves
///            the rest of the output undefined (the fast way), which is 0 here
#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/signal/nms.h"
#include "ops/window.h"

namespace ew::ops {
namespace {

using signal::Box;

const AttrDef kAttrs[] = {{"max_detections", int64_t{1}},
                          {"classes_per_box", int64_t{1}},
                          {"per_class", int64_t{100}},
                          {"num_classes", int64_t{1}},
                          {"min_score", 0.0},
                          {"max_overlap", 0.5},
                          {"scale", std::vector<double>{1, 1, 1, 1}},
                          {"regular", false}};

constexpr int64_t kMostDetections = int64_t{1} << 20;

Status check_counts(const Attrs& attrs) {
  for (const char* name : {"max_detections", "classes_per_box", "per_class", "num_classes"}) {
    const int64_t value = attrs.integer(name);
    if (value < 1 || value > kMostDetections) {
      return invalid_argument(name, ": expected 1 to ", kMostDetections, ", found ", value);
    }
  }
  const std::vector<double>& scale = attrs.numbers("scale");
  const bool is_scale = scale.size() == 4 && std::all_of(scale.begin(), scale.end(), [](double s) {
                          return std::isfinite(s) && s != 0;
                        });
  if (!is_scale) return invalid_argument("scale: expected four numbers other than 0");
  const double overlap = attrs.number("max_overlap");
  if (!(overlap > 0 && overlap <= 1)) {
    return invalid_argument("max_overlap: expected above 0 and up to 1, found ", overlap);
  }
  return {};
}

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(check_counts(attrs));
  for (const TensorType* type : in) {
    if (type->dtype != DType::kF32) return invalid_argument("expected float32, found ", *type);
  }
  const Shape& offsets = in[0]->shape;
  const Shape& scores = in[1]->shape;
  const int64_t classes = attrs.integer("num_classes");
  const bool fits = offsets.rank() == 3 && scores.rank() == 3 && offsets[2] >= 4 &&
                    offsets[0] == scores[0] && offsets[1] == scores[1] &&
                    in[2]->shape == Shape{offsets[1], 4} &&
                    (scores[2] == classes || scores[2] == classes + 1);
  if (!fits) {
    return invalid_argument("expected offsets [N, boxes, 4], scores [N, boxes, ", classes, " or ",
                            classes + 1, "] and anchors [boxes, 4], found ", offsets, ", ", scores,
                            " and ", in[2]->shape);
  }
  const int64_t k = attrs.integer("max_detections") * attrs.integer("classes_per_box");
  const Shape boxes{offsets[0], k, 4};
  EW_TRY_VOID(check_open_shape(boxes));
  const Shape each{offsets[0], k};
  return std::vector<TensorType>{{DType::kF32, boxes, nullptr},
                                 {DType::kF32, each, nullptr},
                                 {DType::kF32, each, nullptr},
                                 {DType::kF32, Shape{offsets[0]}, nullptr}};
}

Box decode(const float* offset, const float* anchor, const std::vector<double>& scale) {
  const auto d = [](float v) { return static_cast<double>(v); };
  const auto y = static_cast<float>(d(offset[0]) / scale[0] * d(anchor[2]) + d(anchor[0]));
  const auto x = static_cast<float>(d(offset[1]) / scale[1] * d(anchor[3]) + d(anchor[1]));
  const auto h = static_cast<float>(0.5 * std::exp(d(offset[2]) / scale[2]) * d(anchor[2]));
  const auto w = static_cast<float>(0.5 * std::exp(d(offset[3]) / scale[3]) * d(anchor[3]));
  return {y - h, x - w, y + h, x + w};
}

/// One sample: what it reads, and where its detections go.
struct Sample {
  std::vector<Box> boxes;
  const float* scores = nullptr;  ///< [boxes, columns]
  int64_t columns = 0;
  int64_t background = 0;  ///< columns before the first class
  float* out_boxes = nullptr;
  float* out_classes = nullptr;
  float* out_scores = nullptr;

  float score(int64_t box, int64_t c) const { return scores[box * columns + background + c]; }
  void put(int64_t place, int64_t box, int64_t c) const {
    const Box& b = boxes[static_cast<size_t>(box)];
    out_boxes[4 * place] = b.ymin;
    out_boxes[4 * place + 1] = b.xmin;
    out_boxes[4 * place + 2] = b.ymax;
    out_boxes[4 * place + 3] = b.xmax;
    out_classes[place] = static_cast<float>(c);
    out_scores[place] = score(box, c);
  }
};

std::vector<int64_t> kept(const Sample& s, std::span<const float> scores, const Attrs& attrs,
                          int64_t most) {
  std::vector<int64_t> candidates;
  const auto min_score = static_cast<float>(attrs.number("min_score"));
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] >= min_score) candidates.push_back(static_cast<int64_t>(i));
  }
  return signal::suppress(s.boxes, scores, std::move(candidates),
                          static_cast<float>(attrs.number("max_overlap")), most);
}

// Each class by itself; the best of all classes so far are kept after each.
int64_t detect_regular(const Sample& s, const Attrs& attrs) {
  struct Found {
    int64_t box, c;
    float score;
  };
  std::vector<Found> best;
  std::vector<float> scores(s.boxes.size());
  const auto most = static_cast<size_t>(attrs.integer("max_detections"));
  for (int64_t c = 0; c < attrs.integer("num_classes"); ++c) {
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = s.score(static_cast<int64_t>(i), c);
    for (const int64_t box : kept(s, scores, attrs, attrs.integer("per_class"))) {
      best.push_back({box, c, scores[static_cast<size_t>(box)]});
    }
    // Of equals the lower class, then the lower box: the order in which they were found.
    std::sort(best.begin(), best.end(), [&](const Found& a, const Found& b) {
      const auto count = static_cast<int64_t>(scores.size());
      return signal::scores_before(a.score, b.score, a.c * count + a.box, b.c * count + b.box);
    });
    if (best.size() > most) best.resize(most);
  }
  for (size_t i = 0; i < best.size(); ++i) {
    s.put(static_cast<int64_t>(i), best[i].box, best[i].c);
  }
  return static_cast<int64_t>(best.size());
}

// Each box once, by the score of its best class; then its best classes.
int64_t detect_fast(const Sample& s, const Attrs& attrs) {
  const int64_t classes = attrs.integer("num_classes");
  const int64_t each = attrs.integer("classes_per_box");
  const int64_t given = std::min(each, classes);
  std::vector<float> best(s.boxes.size());
  for (size_t i = 0; i < best.size(); ++i) {
    const float* first = s.scores + static_cast<int64_t>(i) * s.columns + s.background;
    best[i] = *std::max_element(first, first + classes);
  }
  const std::vector<int64_t> boxes = kept(s, best, attrs, attrs.integer("max_detections"));
  std::vector<int64_t> order(static_cast<size_t>(classes));
  int64_t place = 0;
  for (const int64_t box : boxes) {
    std::iota(order.begin(), order.end(), int64_t{0});
    std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return signal::scores_before(s.score(box, a), s.score(box, b), a, b);
    });
    for (int64_t c = 0; c < given; ++c) s.put(place + c, box, order[static_cast<size_t>(c)]);
    place += each;
  }
  return static_cast<int64_t>(boxes.size());
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& offsets = in[0].shape();
  const int64_t count = offsets[1];
  const int64_t k = out[1].shape()[1];
  for (const ir::TensorView& view : out) std::fill_n(view.as<float>(), view.size(), 0.F);
  // TFLite keeps the scales as float.
  std::vector<double> scale = attrs.numbers("scale");
  for (double& v : scale) v = static_cast<double>(static_cast<float>(v));
  for (int64_t n = 0; n < offsets[0]; ++n) {
    Sample s;
    for (int64_t i = 0; i < count; ++i) {
      s.boxes.push_back(decode(in[0].as<float>() + (n * count + i) * offsets[2],
                               in[2].as<float>() + i * 4, scale));
    }
    s.columns = in[1].shape()[2];
    s.background = s.columns - attrs.integer("num_classes");
    s.scores = in[1].as<float>() + n * count * s.columns;
    s.out_boxes = out[0].as<float>() + n * k * 4;
    s.out_classes = out[1].as<float>() + n * k;
    s.out_scores = out[2].as<float>() + n * k;
    const int64_t found = attrs.flag("regular") ? detect_regular(s, attrs) : detect_fast(s, attrs);
    out[3].as<float>()[n] = static_cast<float>(found);
  }
}

}  // namespace

const OpDef kDetectionPostprocess{.name = "detection_postprocess",
                                  .attrs = kAttrs,
                                  .min_inputs = 3,
                                  .max_inputs = 3,
                                  .infer = infer,
                                  .reference = reference};

}  // namespace ew::ops
