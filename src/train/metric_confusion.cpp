// Counts, precision, recall, and the best of one rate where another reaches a value.
#include <algorithm>

#include "train/arguments.h"
#include "train/confusion.h"

namespace ew::train {
namespace {

using MetricPtr = std::unique_ptr<Metric>;

std::vector<float> to_floats(const Doubles& values) { return {values.begin(), values.end()}; }

/// One kind of count, or its share with another.
class CountMetric : public ConfusionMetric {
 public:
  enum Kind { kTp, kFp, kTn, kFn, kPrecision, kRecall };
  CountMetric(Thresholds thresholds, Selection selection, Kind kind)
      : ConfusionMetric(std::move(thresholds), std::move(selection)), kind_(kind) {}
  std::vector<float> result() const override {
    const Counts c = counts();
    switch (kind_) {
      case kTp:
        return to_floats(c.tp);
      case kFp:
        return to_floats(c.fp);
      case kTn:
        return to_floats(c.tn);
      case kFn:
        return to_floats(c.fn);
      case kPrecision:
      case kRecall:
        break;
    }
    Doubles out(c.tp.size());
    const Doubles& rest = kind_ == kPrecision ? c.fp : c.fn;
    for (size_t i = 0; i < out.size(); ++i) out[i] = divide_no_nan(c.tp[i], c.tp[i] + rest[i]);
    return to_floats(out);
  }

 private:
  Kind kind_;
};

/// The best of one rate over the thresholds where another reaches a value.
class RateAtRate : public ConfusionMetric {
 public:
  enum Rate { kSensitivity, kSpecificity, kPrecisionRate };
  RateAtRate(Thresholds thresholds, Selection selection, Rate wanted, Rate limited, double limit)
      : ConfusionMetric(std::move(thresholds), std::move(selection)),
        wanted_(wanted),
        limited_(limited),
        limit_(static_cast<float>(limit)) {}
  std::vector<float> result() const override {
    const Counts c = counts();
    float best = 0;
    for (size_t i = 0; i < c.tp.size(); ++i) {
      if (rate(c, limited_, i) >= limit_) best = std::max(best, rate(c, wanted_, i));
    }
    return {best};
  }

 private:
  static float rate(const Counts& c, Rate kind, size_t i) {
    const double part = kind == kSpecificity ? c.tn[i] : c.tp[i];
    const double rest = kind == kSensitivity ? c.fn[i] : c.fp[i];
    return static_cast<float>(divide_no_nan(part, part + rest));
  }
  Rate wanted_, limited_;
  float limit_;
};

Result<int64_t> read_optional(const Config& arguments, const char* key, int64_t lowest,
                              int64_t fallback) {
  EW_TRY(const int64_t value, arguments.get_int(key, fallback));
  if (!arguments[key].is_null() && value < lowest) {
    return invalid_argument(key, " must be >= ", lowest, ", found ", value);
  }
  return value;
}

Config count_defaults() { return Config::Map{{"thresholds", Config()}}; }
Config precision_defaults() {
  return Config::Map{{"thresholds", Config()}, {"top_k", Config()}, {"class_id", Config()}};
}

template <CountMetric::Kind kind>
Result<MetricPtr> make_count(const Config& arguments, const std::string&) {
  Selection selection;
  EW_TRY(selection.top_k, read_optional(arguments, "top_k", 1, 0));
  EW_TRY(selection.class_id, read_optional(arguments, "class_id", 0, -1));
  EW_TRY(const Doubles thresholds,
         read_thresholds(arguments["thresholds"], selection.top_k > 0 ? kNoThreshold : 0.5));
  return MetricPtr(std::make_unique<CountMetric>(to_thresholds(thresholds, are_even(thresholds)),
                                                 std::move(selection), kind));
}

template <RateAtRate::Rate wanted, RateAtRate::Rate limited>
Result<MetricPtr> make_rate_at(const Config& arguments, const char* key) {
  ArgumentReader in(arguments);
  if (arguments[key].is_null()) return invalid_data(key, " is missing");
  in.check_range(key, 0, 1);
  const double limit = in.real(key);
  const int64_t count = in.integer("num_thresholds");
  EW_TRY_VOID(in.status());
  if (count < 1 || count > kMaxThresholds) {
    return invalid_argument("num_thresholds must be in [1, ", kMaxThresholds, "], found ", count);
  }
  Selection selection;
  EW_TRY(selection.class_id, read_optional(arguments, "class_id", 0, -1));
  Thresholds thresholds =
      count == 1 ? to_thresholds({0.5}, false) : to_thresholds(even_thresholds(count), true);
  return MetricPtr(std::make_unique<RateAtRate>(std::move(thresholds), std::move(selection), wanted,
                                                limited, limit));
}

Config rate_defaults(const char* key) {
  return Config::Map{{key, Config()}, {"num_thresholds", 200}, {"class_id", Config()}};
}
Config at_specificity_defaults() { return rate_defaults("specificity"); }
Config at_sensitivity_defaults() { return rate_defaults("sensitivity"); }
Config at_recall_defaults() { return rate_defaults("recall"); }
Config at_precision_defaults() { return rate_defaults("precision"); }

using Rate = RateAtRate::Rate;
Result<MetricPtr> make_sensitivity_at(const Config& arguments, const std::string&) {
  return make_rate_at<Rate::kSensitivity, Rate::kSpecificity>(arguments, "specificity");
}
Result<MetricPtr> make_specificity_at(const Config& arguments, const std::string&) {
  return make_rate_at<Rate::kSpecificity, Rate::kSensitivity>(arguments, "sensitivity");
}
Result<MetricPtr> make_precision_at(const Config& arguments, const std::string&) {
  return make_rate_at<Rate::kPrecisionRate, Rate::kSensitivity>(arguments, "recall");
}
Result<MetricPtr> make_recall_at(const Config& arguments, const std::string&) {
  return make_rate_at<Rate::kSensitivity, Rate::kPrecisionRate>(arguments, "precision");
}

constexpr MetricClass kMetrics[] = {
    {"TruePositives", "true_positives", "", count_defaults, make_count<CountMetric::kTp>},
    {"FalsePositives", "false_positives", "", count_defaults, make_count<CountMetric::kFp>},
    {"TrueNegatives", "true_negatives", "", count_defaults, make_count<CountMetric::kTn>},
    {"FalseNegatives", "false_negatives", "", count_defaults, make_count<CountMetric::kFn>},
    {"Precision", "precision", "", precision_defaults, make_count<CountMetric::kPrecision>},
    {"Recall", "recall", "", precision_defaults, make_count<CountMetric::kRecall>},
    {"SensitivityAtSpecificity", "sensitivity_at_specificity", "", at_specificity_defaults,
     make_sensitivity_at},
    {"SpecificityAtSensitivity", "specificity_at_sensitivity", "", at_sensitivity_defaults,
     make_specificity_at},
    {"PrecisionAtRecall", "precision_at_recall", "", at_recall_defaults, make_precision_at},
    {"RecallAtPrecision", "recall_at_precision", "", at_precision_defaults, make_recall_at},
    {"AUC", "auc", "", auc_defaults, make_auc},
};

}  // namespace

std::span<const MetricClass> confusion_metrics() { return kMetrics; }

}  // namespace ew::train
