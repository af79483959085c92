// Area under a curve over the thresholds: ROC, precision-recall, precision-recall-gain.
#include <algorithm>
#include <cmath>

#include "train/arguments.h"
#include "train/confusion.h"

namespace ew::train {
namespace {

using MetricPtr = std::unique_ptr<Metric>;

enum class Curve { kRoc, kPr, kPrGain };
enum class Summation { kInterpolation, kMinoring, kMajoring };

class Auc : public ConfusionMetric {
 public:
  Auc(Thresholds thresholds, Selection selection, Curve curve, Summation summation,
      bool is_multi_label)
      : ConfusionMetric(std::move(thresholds), std::move(selection)),
        curve_(curve),
        summation_(summation) {
    if (is_multi_label) set_label_columns();
    is_multi_label_ = is_multi_label;
  }

  std::vector<float> result() const override {
    const Counts c = counts();
    const std::vector<float>& weights = selection().label_weights;
    double total = 0;
    double weight_sum = 0;
    for (size_t label = 0; label < static_cast<size_t>(labels()); ++label) {
      const double weight =
          is_multi_label_ && label < weights.size() ? static_cast<double>(weights[label]) : 1.0;
      total += weight * area(c, label);
      weight_sum += weight;
    }
    return {static_cast<float>(divide_no_nan(total, weight_sum))};
  }

 private:
  struct Point {
    double x, y;
  };

  double area(const Counts& c, size_t label) const {
    const bool is_interpolated_pr = curve_ == Curve::kPr && summation_ == Summation::kInterpolation;
    const size_t stride = static_cast<size_t>(labels());
    double sum = 0;
    for (size_t i = 0; i + 1 < threshold_count(); ++i) {
      const size_t a = i * stride + label;
      const size_t b = a + stride;
      sum += is_interpolated_pr ? pr_increment(c, a, b) : strip(point(c, a), point(c, b));
    }
    return sum;
  }

  double strip(Point a, Point b) const {
    double height = (a.y + b.y) / 2;
    if (summation_ == Summation::kMinoring) height = std::min(a.y, b.y);
    if (summation_ == Summation::kMajoring) height = std::max(a.y, b.y);
    return (a.x - b.x) * height;
  }

  Point point(const Counts& c, size_t i) const {
    const double recall = divide_no_nan(c.tp[i], c.tp[i] + c.fn[i]);
    if (curve_ == Curve::kRoc) return {divide_no_nan(c.fp[i], c.fp[i] + c.tn[i]), recall};
    if (curve_ == Curve::kPr) return {recall, divide_no_nan(c.tp[i], c.tp[i] + c.fp[i])};
    // Flach and Kull, "Precision-Recall-Gain Curves", 2015.
    if (c.tp[i] == 0) return {0, 1};
    const double odds = divide_no_nan(c.tp[i] + c.fn[i], c.tn[i] + c.fp[i]);
    return {std::max(1 - odds * c.fn[i] / c.tp[i], 0.0), 1 - odds * c.fp[i] / c.tp[i]};
  }

  /// Davis and Goadrich, 2006: precision between two thresholds is no straight line.
  static double pr_increment(const Counts& c, size_t a, size_t b) {
    const double p_a = c.tp[a] + c.fp[a];
    const double p_b = c.tp[b] + c.fp[b];
    const double dtp = c.tp[a] - c.tp[b];
    const double slope = divide_no_nan(dtp, std::max(p_a - p_b, 0.0));
    const double intercept = c.tp[b] - slope * p_b;
    const double ratio = p_a > 0 && p_b > 0 ? p_a / p_b : 1.0;
    return divide_no_nan(slope * (dtp + intercept * std::log(ratio)), c.tp[b] + c.fn[b]);
  }

  Curve curve_;
  Summation summation_;
  bool is_multi_label_ = false;
};

Result<Thresholds> read_auc_thresholds(const Config& arguments) {
  constexpr double kEpsilon = 1e-7;
  Doubles inner;
  bool is_even = true;
  if (!arguments["thresholds"].is_null()) {
    EW_TRY(inner, read_thresholds(arguments["thresholds"], 0.5));
    std::sort(inner.begin(), inner.end());
    Doubles all{0};
    all.insert(all.end(), inner.begin(), inner.end());
    all.push_back(1);
    is_even = are_even(all);
  } else {
    EW_TRY(const int64_t count, arguments.get_int("num_thresholds", 200));
    if (count < 2 || count > kMaxThresholds) {
      return invalid_argument("num_thresholds must be in [2, ", kMaxThresholds, "], found ", count);
    }
    const Doubles all = even_thresholds(count);
    inner.assign(all.begin() + 1, all.end() - 1);
  }
  // The ends lie a little outside, so that all predictions and none are positive there.
  inner.insert(inner.begin(), -kEpsilon);
  inner.push_back(1 + kEpsilon);
  return to_thresholds(inner, is_even, true);
}

}  // namespace

Config auc_defaults() {
  return Config::Map{
      {"num_thresholds", 200},     {"curve", "ROC"},       {"summation_method", "interpolation"},
      {"thresholds", Config()},    {"multi_label", false}, {"num_labels", Config()},
      {"label_weights", Config()}, {"from_logits", false}};
}

Result<MetricPtr> make_auc(const Config& arguments, const std::string&) {
  ArgumentReader in(arguments);
  const std::string curve = in.word("curve");
  const std::string method = in.word("summation_method");
  const bool is_multi_label = in.flag("multi_label");
  Selection selection;
  selection.from_logits = in.flag("from_logits");
  EW_TRY_VOID(in.status());
  for (const Config& weight : arguments["label_weights"].as_list()) {
    if (!weight.is_number()) return invalid_data("label_weights: expected numbers");
    selection.label_weights.push_back(static_cast<float>(weight.as_double()));
  }
  const auto is_word = [](const std::string& a, const char* b) {
    return std::equal(a.begin(), a.end(), b, b + std::char_traits<char>::length(b),
                      [](char x, char y) { return (x | 32) == (y | 32); });
  };
  constexpr std::pair<const char*, Curve> kCurves[] = {
      {"ROC", Curve::kRoc}, {"PR", Curve::kPr}, {"PRGAIN", Curve::kPrGain}};
  constexpr std::pair<const char*, Summation> kMethods[] = {
      {"interpolation", Summation::kInterpolation},
      {"minoring", Summation::kMinoring},
      {"majoring", Summation::kMajoring}};
  const auto c = std::find_if(std::begin(kCurves), std::end(kCurves),
                              [&](const auto& entry) { return is_word(curve, entry.first); });
  const auto m = std::find_if(std::begin(kMethods), std::end(kMethods),
                              [&](const auto& entry) { return is_word(method, entry.first); });
  if (c == std::end(kCurves)) {
    return invalid_argument("curve must be 'ROC', 'PR' or 'PRGAIN', found '", curve, "'");
  }
  if (m == std::end(kMethods)) {
    return invalid_argument(
        "summation_method must be 'interpolation', 'minoring' or 'majoring', found '", method, "'");
  }
  EW_TRY(Thresholds thresholds, read_auc_thresholds(arguments));
  return MetricPtr(std::make_unique<Auc>(std::move(thresholds), std::move(selection), c->second,
                                         m->second, is_multi_label));
}

}  // namespace ew::train
