// Custom operators, known by name.
#include "formats/tflite/flexbuffer.h"
#include "formats/tflite/op_context.h"

namespace ew::formats::tflite {
namespace {

// A count from the options; out of range where it is none.
int64_t count_of(const FlexMapView& options, const char* key, int64_t fallback) {
  const double value = options.number(key).value_or(static_cast<double>(fallback));
  return value >= 0 && value <= 1e9 ? static_cast<int64_t>(value) : -1;
}

Result<std::vector<ValueId>> detection_postprocess(const OpContext& c) {
  EW_TRY(const FlexMapView options, FlexMapView::parse(c.custom_options()));
  std::vector<ValueId> in;
  for (size_t i = 0; i < 3; ++i) {
    EW_TRY(const ValueId x, c.in(i));
    if (c.type(x).quant) return unsupported("has no integer form for ", c.type(x));
    in.push_back(x);
  }
  const auto number = [&](const char* key) {
    return static_cast<double>(static_cast<float>(options.number(key).value_or(0)));
  };
  const std::vector<double> scale{number("y_scale"), number("x_scale"), number("h_scale"),
                                  number("w_scale")};
  return c.b.add_multi(ops::kDetectionPostprocess, in,
                       {{"max_detections", count_of(options, "max_detections", 0)},
                        {"classes_per_box", count_of(options, "max_classes_per_detection", 0)},
                        {"per_class", count_of(options, "detections_per_class", 100)},
                        {"num_classes", count_of(options, "num_classes", 0)},
                        {"min_score", number("nms_score_threshold")},
                        {"max_overlap", number("nms_iou_threshold")},
                        {"scale", scale},
                        {"regular", options.number("use_regular_nms").value_or(0) != 0}});
}

}  // namespace

LowerFn find_custom_lowering(std::string_view name) {
  if (name == "TFLite_Detection_PostProcess") return detection_postprocess;
  return nullptr;
}

}  // namespace ew::formats::tflite
