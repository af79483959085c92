// Means of a score per row: accuracies, top-k, errors, correlations.
#include <algorithm>
#include <cmath>
#include <functional>

#include "train/arguments.h"
#include "train/metric_class.h"

namespace ew::train {
namespace {

using FunctionPtr = std::unique_ptr<RowFunction>;
using MetricPtr = std::unique_ptr<Metric>;

class MeanMetric : public Metric {
 public:
  MeanMetric(FunctionPtr function, bool has_root)
      : function_(std::move(function)), reader_(*function_), has_root_(has_root) {}

  Status update(const ir::ConstTensorView& prediction, const ir::ConstTensorView& target,
                const ir::ConstTensorView& sample_weight,
                const ir::ConstTensorView& mask) override {
    EW_TRY_VOID(reader_.bind(prediction, target));
    const int64_t rows = reader_.rows();
    weights_.assign(static_cast<size_t>(rows), 1.0f);
    const Shape& values = reader_.values_shape();
    if (sample_weight) EW_TRY_VOID(multiply_weights(sample_weight, values, weights_.data()));
    if (mask) EW_TRY_VOID(multiply_weights(mask, values, weights_.data()));
    const bool is_weighted = sample_weight || mask;
    // Keras averages the steps of a sample first, then the samples.
    const double steps = values.rank() > 0 && values[0] > 0
                             ? static_cast<double>(rows) / static_cast<double>(values[0])
                             : 1.0;
    for (int64_t r = 0; r < rows; ++r) {
      double weight = static_cast<double>(weights_[static_cast<size_t>(r)]);
      if (reader_.is_ignored(r)) {
        // An ignored row is a 0; with weights it does not count at all.
        count_ += is_weighted ? 0 : weight / steps;
        continue;
      }
      weight /= steps;
      total_ += weight * static_cast<double>(reader_.evaluate(r, 1, false, nullptr));
      count_ += weight;
    }
    return {};
  }
  std::vector<float> result() const override {
    const double mean = divide_no_nan(total_, count_);
    return {static_cast<float>(has_root_ ? std::sqrt(mean) : mean)};
  }
  void reset() override { total_ = count_ = 0; }

 private:
  FunctionPtr function_;
  RowReader reader_;
  bool has_root_;
  std::vector<float> weights_;
  double total_ = 0;
  double count_ = 0;
};

/// A score of two numbers, element by element.
class Elementwise : public RowFunction {
 public:
  explicit Elementwise(std::function<float(float p, float t)> score) : score_(std::move(score)) {}
  std::vector<int64_t> axes(int) const override { return {}; }
  float evaluate(const Row& row) const override { return score_(*row.prediction, *row.target); }

 private:
  std::function<float(float, float)> score_;
};

int64_t argmax(const float* x, int64_t n) { return std::max_element(x, x + n) - x; }

/// Whether the true class is among the k highest; equal scores share a place.
bool is_in_top(const Row& row, int64_t label, int64_t k) {
  if (label < 0 || label >= row.size || !std::isfinite(row.prediction[label])) return false;
  int64_t better = 0;
  for (int64_t i = 0; i < row.size; ++i) better += row.prediction[i] > row.prediction[label];
  return better < k;
}

/// k = 0: the class with the highest score, the first of equal ones.
class ClassMatch : public RowFunction {
 public:
  ClassMatch(bool is_sparse, int64_t k) : is_sparse_(is_sparse), k_(k) {}
  bool is_sparse() const override { return is_sparse_; }
  float evaluate(const Row& row) const override {
    const int64_t label = is_sparse_ ? row.label : argmax(row.target, row.size);
    const bool matches =
        k_ == 0 ? label == argmax(row.prediction, row.size) : is_in_top(row, label, k_);
    return matches ? 1.0f : 0.0f;
  }

 private:
  bool is_sparse_;
  int64_t k_;
};

/// Keras' metric is the similarity, its loss the negative.
class Cosine : public RowFunction {
 public:
  Cosine(FunctionPtr loss, int64_t axis) : loss_(std::move(loss)), axis_(axis) {}
  std::vector<int64_t> axes(int) const override { return {axis_}; }
  float evaluate(const Row& row) const override { return -loss_->evaluate(row); }

 private:
  FunctionPtr loss_;
  int64_t axis_;
};

/// Means, variances and covariance of a row, in double.
struct Moments {
  double p_mean = 0, t_mean = 0, p_var = 0, t_var = 0, covariance = 0;

  explicit Moments(const Row& row) {
    const double n = static_cast<double>(row.size);
    for (int64_t i = 0; i < row.size; ++i) {
      p_mean += row.prediction[i] / n;
      t_mean += row.target[i] / n;
    }
    for (int64_t i = 0; i < row.size; ++i) {
      const double p = row.prediction[i] - p_mean;
      const double t = row.target[i] - t_mean;
      p_var += p * p / n;
      t_var += t * t / n;
      covariance += p * t / n;
    }
  }
};

class Correlation : public RowFunction {
 public:
  Correlation(bool is_concordance, int64_t axis) : is_concordance_(is_concordance), axis_(axis) {}
  std::vector<int64_t> axes(int) const override { return {axis_}; }
  float evaluate(const Row& row) const override {
    const Moments m(row);
    if (!is_concordance_) {
      return static_cast<float>(m.covariance / std::sqrt(m.p_var * m.t_var));
    }
    const double gap = m.t_mean - m.p_mean;
    return static_cast<float>(2 * m.covariance / (m.p_var + m.t_var + gap * gap + 1e-7));
  }

 private:
  bool is_concordance_;
  int64_t axis_;
};

MetricPtr mean_of(FunctionPtr function, bool has_root = false) {
  return std::make_unique<MeanMetric>(std::move(function), has_root);
}

Config no_arguments() { return Config::map(); }
Config threshold_defaults() { return Config::Map{{"threshold", 0.5}}; }
Config k_defaults() { return Config::Map{{"k", 5}, {"from_sorted_ids", false}}; }
Config axis_defaults() { return Config::Map{{"axis", -1}}; }

Result<MetricPtr> make_accuracy(const Config&, const std::string&) {
  return mean_of(
      std::make_unique<Elementwise>([](float p, float t) { return p == t ? 1.0f : 0.0f; }));
}

Result<MetricPtr> make_binary_accuracy(const Config& arguments, const std::string&) {
  ArgumentReader in(arguments);
  const float threshold = in.number("threshold");
  EW_TRY_VOID(in.status());
  return mean_of(std::make_unique<Elementwise>(
      [threshold](float p, float t) { return t == (p > threshold ? 1.0f : 0.0f) ? 1.0f : 0.0f; }));
}

Result<MetricPtr> make_root_mean_square(const Config&, const std::string&) {
  return mean_of(std::make_unique<Elementwise>([](float p, float t) { return (p - t) * (p - t); }),
                 true);
}

template <bool is_sparse>
Result<MetricPtr> make_class_accuracy(const Config&, const std::string&) {
  return mean_of(std::make_unique<ClassMatch>(is_sparse, 0));
}

template <bool is_sparse>
Result<MetricPtr> make_top_k(const Config& arguments, const std::string&) {
  ArgumentReader in(arguments);
  const int64_t k = in.integer("k");
  if (in.flag("from_sorted_ids")) return unsupported("from_sorted_ids is not supported");
  EW_TRY_VOID(in.status());
  if (k < 1) return invalid_argument("k must be >= 1, found ", k);
  return mean_of(std::make_unique<ClassMatch>(is_sparse, k));
}

Result<MetricPtr> make_cosine(const Config& arguments, const std::string&) {
  ArgumentReader in(arguments);
  const int64_t axis = in.integer("axis");
  EW_TRY_VOID(in.status());
  EW_TRY(const LossClass* loss, find_loss_class("cosine_similarity"));
  EW_TRY(FunctionPtr function, loss->make(arguments));
  return mean_of(std::make_unique<Cosine>(std::move(function), axis));
}

Result<MetricPtr> make_log_cosh(const Config& arguments, const std::string&) {
  EW_TRY(const LossClass* loss, find_loss_class("log_cosh"));
  EW_TRY(FunctionPtr function, loss->make(arguments));
  return mean_of(std::move(function));
}

template <bool is_concordance>
Result<MetricPtr> make_correlation(const Config& arguments, const std::string&) {
  ArgumentReader in(arguments);
  auto function = std::make_unique<Correlation>(is_concordance, in.integer("axis"));
  EW_TRY_VOID(in.status());
  return mean_of(std::move(function));
}

constexpr MetricClass kMetrics[] = {
    {"Accuracy", "accuracy", "", no_arguments, make_accuracy},
    {"BinaryAccuracy", "binary_accuracy", "", threshold_defaults, make_binary_accuracy},
    {"CategoricalAccuracy", "categorical_accuracy", "", no_arguments, make_class_accuracy<false>},
    {"SparseCategoricalAccuracy", "sparse_categorical_accuracy", "", no_arguments,
     make_class_accuracy<true>},
    {"TopKCategoricalAccuracy", "top_k_categorical_accuracy", "", k_defaults, make_top_k<false>},
    {"SparseTopKCategoricalAccuracy", "sparse_top_k_categorical_accuracy", "", k_defaults,
     make_top_k<true>},
    {"RootMeanSquaredError", "root_mean_squared_error", "", no_arguments, make_root_mean_square},
    {"LogCoshError", "logcosh", "", no_arguments, make_log_cosh},
    {"CosineSimilarity", "cosine_similarity", "", axis_defaults, make_cosine},
    {"PearsonCorrelation", "pearson_correlation", "", axis_defaults, make_correlation<false>},
    {"ConcordanceCorrelation", "concordance_correlation", "", axis_defaults,
     make_correlation<true>},
};

}  // namespace

MetricPtr make_mean_metric(FunctionPtr function) { return mean_of(std::move(function)); }

std::span<const MetricClass> mean_metrics() { return kMetrics; }

}  // namespace ew::train
