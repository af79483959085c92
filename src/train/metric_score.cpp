// Scores per class or per output: F-beta, R2, intersection over union.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "train/arguments.h"
#include "train/metric_class.h"

namespace ew::train {
namespace {

using MetricPtr = std::unique_ptr<Metric>;
using Doubles = std::vector<double>;

constexpr double kEpsilon = 1e-7;  // keras.backend.epsilon()

Status check_matrix(const std::string& name, const ir::ConstTensorView& prediction,
                    const ir::ConstTensorView& target) {
  if (prediction.shape().rank() == 2 && prediction.shape() == target.shape()) return {};
  return invalid_argument(name, ": needs predictions and targets [N, K], found shapes ",
                          prediction.shape(), " and ", target.shape());
}

class FBetaScore : public Metric {
 public:
  enum Average { kNone, kMicro, kMacro, kWeighted };
  /// A threshold below 0 stands for the highest score of the row.
  FBetaScore(Average average, double beta, float threshold)
      : average_(average), beta_(beta), threshold_(threshold) {}

  Status update(const ir::ConstTensorView& prediction, const ir::ConstTensorView& target,
                const ir::ConstTensorView& sample_weight,
                const ir::ConstTensorView& mask) override {
    EW_TRY_VOID(check_matrix(name(), prediction, target));
    EW_TRY_VOID(batch_.read(prediction, target, sample_weight, mask));
    const auto classes = static_cast<size_t>(batch_.size);
    if (tp_.size() != classes) {
      for (Doubles* sums : {&tp_, &fp_, &fn_, &support_}) sums->assign(classes, 0.0);
    }
    for (size_t r = 0; r < static_cast<size_t>(batch_.rows); ++r) {
      const float* p = batch_.prediction.data() + r * classes;
      const float* t = batch_.target.data() + r * classes;
      const float highest = classes == 0 ? 0.0f : *std::max_element(p, p + classes);
      const double weight = static_cast<double>(batch_.weight[r]);
      for (size_t k = 0; k < classes; ++k) {
        const bool is_highest = p[k] >= highest && std::abs(p[k]) > 1e-9f;
        const double said = (threshold_ < 0 ? is_highest : p[k] > threshold_) ? 1 : 0;
        const double truth = static_cast<double>(t[k]);
        tp_[k] += weight * said * truth;
        fp_[k] += weight * said * (1 - truth);
        fn_[k] += weight * (1 - said) * truth;
        support_[k] += weight * truth;
      }
    }
    return {};
  }

  std::vector<float> result() const override {
    if (average_ == kMicro) return {static_cast<float>(score(sum(tp_), sum(fp_), sum(fn_)))};
    Doubles scores(tp_.size());
    for (size_t k = 0; k < scores.size(); ++k) scores[k] = score(tp_[k], fp_[k], fn_[k]);
    if (average_ == kNone) return {scores.begin(), scores.end()};
    if (scores.empty()) return {0.0f};
    double mean = 0;
    const double all = sum(support_) + kEpsilon;
    for (size_t k = 0; k < scores.size(); ++k) {
      const double share =
          average_ == kMacro ? 1.0 / static_cast<double>(scores.size()) : support_[k] / all;
      mean += scores[k] * share;
    }
    return {static_cast<float>(mean)};
  }
  void reset() override {
    for (Doubles* sums : {&tp_, &fp_, &fn_, &support_}) std::fill(sums->begin(), sums->end(), 0.0);
  }

 private:
  static double sum(const Doubles& x) { return std::accumulate(x.begin(), x.end(), 0.0); }
  double score(double tp, double fp, double fn) const {
    const double precision = tp / (tp + fp + kEpsilon);
    const double recall = tp / (tp + fn + kEpsilon);
    const double square = beta_ * beta_;
    return (1 + square) * precision * recall / (square * precision + recall + kEpsilon);
  }
  Average average_;
  double beta_;
  float threshold_;
  MetricBatch batch_;
  Doubles tp_, fp_, fn_, support_;
};

class R2Score : public Metric {
 public:
  enum Aggregation { kNone, kUniform, kByVariance };
  R2Score(Aggregation aggregation, int64_t regressors)
      : aggregation_(aggregation), regressors_(regressors) {}

  Status update(const ir::ConstTensorView& prediction, const ir::ConstTensorView& target,
                const ir::ConstTensorView& sample_weight,
                const ir::ConstTensorView& mask) override {
    EW_TRY_VOID(check_matrix(name(), prediction, target));
    EW_TRY_VOID(batch_.read(prediction, target, sample_weight, mask));
    const auto outputs = static_cast<size_t>(batch_.size);
    if (sum_.size() != outputs) {
      for (Doubles* sums : {&sum_, &squares_, &residual_, &count_}) sums->assign(outputs, 0.0);
    }
    for (size_t r = 0; r < static_cast<size_t>(batch_.rows); ++r) {
      const double weight = static_cast<double>(batch_.weight[r]);
      for (size_t k = 0; k < outputs; ++k) {
        const double t = batch_.target[r * outputs + k];
        const double error = t - static_cast<double>(batch_.prediction[r * outputs + k]);
        sum_[k] += weight * t;
        squares_[k] += weight * t * t;
        residual_[k] += weight * error * error;
        count_[k] += weight;
      }
    }
    samples_ += static_cast<double>(batch_.rows * batch_.size);
    return {};
  }

  std::vector<float> result() const override {
    Doubles scores(sum_.size());
    double weighted = 0;
    double total = 0;
    for (size_t k = 0; k < scores.size(); ++k) {
      const double variation = squares_[k] - sum_[k] * sum_[k] / count_[k];
      scores[k] = 1 - residual_[k] / variation;
      if (std::isinf(scores[k])) scores[k] = 0;
      weighted += variation * scores[k];
      total += variation;
    }
    if (aggregation_ == kUniform) {
      const double all = std::accumulate(scores.begin(), scores.end(), 0.0);
      scores = {divide_no_nan(all, static_cast<double>(scores.size()))};
    } else if (aggregation_ == kByVariance) {
      scores = {weighted / total};
    }
    std::vector<float> out;
    for (const double score : scores) out.push_back(static_cast<float>(adjusted(score)));
    return out;
  }
  void reset() override {
    for (Doubles* sums : {&sum_, &squares_, &residual_, &count_}) {
      std::fill(sums->begin(), sums->end(), 0.0);
    }
    samples_ = 0;
  }

 private:
  double adjusted(double score) const {
    const double p = static_cast<double>(regressors_);
    if (regressors_ == 0 || p >= samples_ - 1) return score;
    return 1 - (1 - score) * (samples_ - 1) / (samples_ - p - 1);
  }
  Aggregation aggregation_;
  int64_t regressors_;
  MetricBatch batch_;
  Doubles sum_, squares_, residual_, count_;
  double samples_ = 0;  // Keras counts elements, not rows
};

class IntersectionOverUnion : public Metric {
 public:
  struct Options {
    int64_t classes = 0;
    std::vector<int64_t> wanted;
    int64_t ignored = -1;
    bool is_target_sparse = true;
    bool is_prediction_sparse = true;
    float threshold = -1;           ///< BinaryIoU: predictions from here on are class 1; -1: none
    bool has_whole_weights = true;  ///< Keras counts in int64 unless told otherwise
  };
  explicit IntersectionOverUnion(Options options)
      : o_(std::move(options)), matrix_(static_cast<size_t>(o_.classes * o_.classes), 0.0) {}

  Status update(const ir::ConstTensorView& prediction, const ir::ConstTensorView& target,
                const ir::ConstTensorView& sample_weight,
                const ir::ConstTensorView& mask) override {
    EW_TRY(const std::vector<int64_t> predicted,
           classes_of(prediction, o_.is_prediction_sparse, o_.threshold));
    EW_TRY(const std::vector<int64_t> truth, classes_of(target, o_.is_target_sparse, -1));
    if (predicted.size() != truth.size()) {
      return invalid_argument(name(), ": targets of shape ", target.shape(),
                              " do not fit predictions of shape ", prediction.shape());
    }
    std::vector<float> weights(truth.size(), 1.0f);
    const Shape values = value_shape(prediction.shape(), static_cast<int64_t>(truth.size()));
    if (sample_weight) EW_TRY_VOID(multiply_weights(sample_weight, values, weights.data()));
    if (mask) EW_TRY_VOID(multiply_weights(mask, values, weights.data()));
    for (size_t i = 0; i < truth.size(); ++i) {
      const bool is_known = truth[i] >= 0 && truth[i] < o_.classes && predicted[i] >= 0 &&
                            predicted[i] < o_.classes && truth[i] != o_.ignored;
      if (!is_known) continue;
      const double weight = static_cast<double>(weights[i]);
      matrix_[static_cast<size_t>(truth[i] * o_.classes + predicted[i])] +=
          o_.has_whole_weights ? std::trunc(weight) : weight;
    }
    return {};
  }

  std::vector<float> result() const override {
    const auto n = static_cast<size_t>(o_.classes);
    double sum = 0;
    double valid = 0;
    for (const int64_t wanted : o_.wanted) {
      const auto k = static_cast<size_t>(wanted);
      double both = -matrix_[k * n + k];
      for (size_t i = 0; i < n; ++i) both += matrix_[k * n + i] + matrix_[i * n + k];
      if (both <= 1e-9) continue;
      valid += 1;
      sum += matrix_[k * n + k] / (both + kEpsilon);
    }
    return {static_cast<float>(sum / (valid + kEpsilon))};
  }
  void reset() override { std::fill(matrix_.begin(), matrix_.end(), 0.0); }

 private:
  static Result<std::vector<int64_t>> classes_of(const ir::ConstTensorView& view, bool is_sparse,
                                                 float threshold) {
    std::vector<float> values(static_cast<size_t>(view.size()));
    convert_elements(view.dtype(), view.data, DType::kF32, values.data(), view.size());
    std::vector<int64_t> out;
    if (is_sparse) {
      out.resize(values.size());
      if (threshold < 0) {
        convert_elements(view.dtype(), view.data, DType::kI64, out.data(), view.size());
      } else {
        for (size_t i = 0; i < out.size(); ++i) out[i] = values[i] >= threshold ? 1 : 0;
      }
      return out;
    }
    const int64_t size = view.shape().rank() > 0 ? view.shape()[-1] : 0;
    if (size == 0) return invalid_argument("IoU: needs one score per class");
    for (size_t i = 0; i < values.size(); i += static_cast<size_t>(size)) {
      const float* row = values.data() + i;
      out.push_back(std::max_element(row, row + size) - row);
    }
    return out;
  }

  /// The prediction's shape without its classes, if that is what there are values for.
  static Shape value_shape(const Shape& prediction, int64_t count) {
    std::vector<int64_t> dims = prediction.dims();
    if (Shape(dims).num_elements() != count && !dims.empty()) dims.pop_back();
    return Shape(dims).num_elements() == count ? Shape(dims) : Shape{count};
  }

  Options o_;
  Doubles matrix_;  // [truth, prediction]
};

Config f1_defaults() { return Config::Map{{"average", Config()}, {"threshold", Config()}}; }
Config fbeta_defaults() {
  return Config::Map{{"average", Config()}, {"beta", 1.0}, {"threshold", Config()}};
}

Result<MetricPtr> make_fbeta(const Config& arguments, const std::string&) {
  ArgumentReader in(arguments);
  const std::string average = in.word("average");
  const double beta = arguments.has("beta") ? in.real("beta") : 1.0;
  const float threshold = arguments["threshold"].is_null() ? -1.0f : in.number("threshold");
  EW_TRY_VOID(in.status());
  if (!(beta > 0)) return invalid_argument("beta must be > 0, found ", beta);
  if (!arguments["threshold"].is_null() && !(threshold > 0 && threshold <= 1)) {
    return invalid_argument("threshold must be in (0, 1], found ", threshold);
  }
  constexpr const char* kAverages[] = {"", "micro", "macro", "weighted"};
  for (int i = 0; i < 4; ++i) {
    if (average == kAverages[i]) {
      return MetricPtr(
          std::make_unique<FBetaScore>(static_cast<FBetaScore::Average>(i), beta, threshold));
    }
  }
  return invalid_argument("average must be None, 'micro', 'macro' or 'weighted', found '", average,
                          "'");
}

Config r2_defaults() {
  return Config::Map{{"class_aggregation", "uniform_average"}, {"num_regressors", 0}};
}

Result<MetricPtr> make_r2(const Config& arguments, const std::string&) {
  ArgumentReader in(arguments);
  const std::string aggregation = in.word("class_aggregation");
  const int64_t regressors = in.integer("num_regressors");
  EW_TRY_VOID(in.status());
  if (regressors < 0) return invalid_argument("num_regressors must be >= 0, found ", regressors);
  constexpr const char* kAggregations[] = {"", "uniform_average", "variance_weighted_average"};
  for (int i = 0; i < 3; ++i) {
    if (aggregation == kAggregations[i]) {
      return MetricPtr(std::make_unique<R2Score>(static_cast<R2Score::Aggregation>(i), regressors));
    }
  }
  return invalid_argument("class_aggregation '", aggregation, "' is unknown");
}

enum class IouKind { kIou, kMean, kOneHot, kOneHotMean, kBinary };

template <IouKind kind>
Config iou_defaults() {
  Config out = Config::Map{{"ignore_class", Config()}, {"axis", -1}};
  if (kind == IouKind::kBinary) {
    return Config::Map{{"target_class_ids", Config::ints({0, 1})}, {"threshold", 0.5}};
  }
  out.set("num_classes", Config());
  if (kind == IouKind::kIou || kind == IouKind::kOneHot) out.set("target_class_ids", Config());
  if (kind == IouKind::kIou || kind == IouKind::kMean) out.set("sparse_y_true", true);
  out.set("sparse_y_pred", kind == IouKind::kIou || kind == IouKind::kMean);
  return out;
}

template <IouKind kind>
Result<MetricPtr> make_iou(const Config& arguments, const std::string& dtype) {
  constexpr int64_t kMaxClasses = 1 << 12;
  ArgumentReader in(arguments);
  IntersectionOverUnion::Options o;
  o.has_whole_weights = dtype.rfind("float", 0) != 0;
  if (kind == IouKind::kBinary) {
    o.classes = 2;
    o.threshold = in.number("threshold");
  } else {
    o.classes = in.integer("num_classes");
    o.is_target_sparse = arguments.has("sparse_y_true") && in.flag("sparse_y_true");
    o.is_prediction_sparse = in.flag("sparse_y_pred");
    if (!arguments["ignore_class"].is_null()) o.ignored = in.integer("ignore_class");
    if (in.integer("axis") != -1) return unsupported("an axis other than the last");
  }
  EW_TRY_VOID(in.status());
  if (o.classes < 1 || o.classes > kMaxClasses) {
    return invalid_argument("num_classes must be in [1, ", kMaxClasses, "], found ", o.classes);
  }
  EW_TRY(o.wanted, arguments.get_ints("target_class_ids", {}));
  if (!arguments.has("target_class_ids")) {
    o.wanted.resize(static_cast<size_t>(o.classes));
    std::iota(o.wanted.begin(), o.wanted.end(), int64_t{0});
  }
  for (const int64_t id : o.wanted) {
    if (id < 0 || id >= o.classes) {
      return invalid_argument("target class ", id, " is not one of ", o.classes, " classes");
    }
  }
  return MetricPtr(std::make_unique<IntersectionOverUnion>(std::move(o)));
}

constexpr MetricClass kMetrics[] = {
    {"F1Score", "f1_score", "", f1_defaults, make_fbeta},
    {"FBetaScore", "fbeta_score", "", fbeta_defaults, make_fbeta},
    {"R2Score", "r2_score", "", r2_defaults, make_r2},
    {"IoU", "io_u", "", iou_defaults<IouKind::kIou>, make_iou<IouKind::kIou>},
    {"BinaryIoU", "binary_io_u", "", iou_defaults<IouKind::kBinary>, make_iou<IouKind::kBinary>},
    {"MeanIoU", "mean_io_u", "", iou_defaults<IouKind::kMean>, make_iou<IouKind::kMean>},
    {"OneHotIoU", "one_hot_io_u", "", iou_defaults<IouKind::kOneHot>, make_iou<IouKind::kOneHot>},
    {"OneHotMeanIoU", "one_hot_mean_io_u", "", iou_defaults<IouKind::kOneHotMean>,
     make_iou<IouKind::kOneHotMean>},
};

}  // namespace

std::span<const MetricClass> score_metrics() { return kMetrics; }

}  // namespace ew::train
