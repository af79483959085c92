// Crossentropies, from probabilities (clipped as Keras does) or from logits.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "train/arguments.h"
#include "train/row_function.h"

namespace ew::train {
namespace {

constexpr float kEpsilon = 1e-7f;  // keras.backend.epsilon()
constexpr float kHighest = 1.0f - kEpsilon;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

float clip(float p) { return std::clamp(p, kEpsilon, kHighest); }
bool is_inside(float p) { return p >= kEpsilon && p <= kHighest; }

/// max(x) and log(sum(exp(x - max))), the parts of a log-softmax that cannot overflow.
struct LogSum {
  float max;
  float log_sum;
};

LogSum log_sum_exp(const float* x, int64_t n) {
  float max = x[0];
  for (int64_t i = 1; i < n; ++i) max = std::max(max, x[i]);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(std::exp(x[i] - max));
  return {max, static_cast<float>(std::log(sum))};
}

/// The same, and the softmax in `p`: one exponential per class.
LogSum log_sum_exp(const float* x, int64_t n, float* p) {
  if (!p) return log_sum_exp(x, n);
  float max = x[0];
  for (int64_t i = 1; i < n; ++i) max = std::max(max, x[i]);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    p[i] = std::exp(x[i] - max);
    sum += static_cast<double>(p[i]);
  }
  const float inverse = static_cast<float>(1 / sum);
  for (int64_t i = 0; i < n; ++i) p[i] *= inverse;
  return {max, static_cast<float>(std::log(sum))};
}

float sigmoid(float x) {
  const float e = std::exp(-std::abs(x));
  return x >= 0 ? 1.0f / (1.0f + e) : e / (1.0f + e);
}

void fill_nan(const Row& row) {
  if (row.gradient) std::fill_n(row.gradient, row.size, kNan);
}

class CategoricalCrossentropy : public RowFunction {
 public:
  CategoricalCrossentropy(bool from_logits, float smoothing, int64_t axis)
      : from_logits_(from_logits), smoothing_(smoothing), axis_(axis) {}
  std::vector<int64_t> axes(int) const override { return {axis_}; }
  FusedActivation fused_activation() const override {
    return from_logits_ ? FusedActivation::kNone : FusedActivation::kSoftmax;
  }
  float evaluate(const Row& row) const override {
    return from_logits_ || row.is_logits ? from_logits(row) : from_probabilities(row);
  }

 private:
  float target(const Row& row, int64_t i) const {
    if (smoothing_ == 0) return row.target[i];
    return row.target[i] * (1.0f - smoothing_) + smoothing_ / static_cast<float>(row.size);
  }

  float from_logits(const Row& row) const {
    const LogSum sum = log_sum_exp(row.prediction, row.size, row.gradient);
    double value = 0;
    for (int64_t i = 0; i < row.size; ++i) {
      const float log_p = row.prediction[i] - sum.max - sum.log_sum;
      const float t = target(row, i);
      // 0 * inf is 0 here: a class that cannot be and is not does not count.
      if (t != 0) value -= static_cast<double>(t * log_p);
      if (row.gradient) row.gradient[i] = row.scale * (row.gradient[i] - t);
    }
    return static_cast<float>(value);
  }

  float from_probabilities(const Row& row) const {
    double sum = 0;
    for (int64_t i = 0; i < row.size; ++i) sum += static_cast<double>(row.prediction[i]);
    const float total = static_cast<float>(sum);
    double value = 0;
    double dot = 0;  // of outputs and their slopes, for the derivative of the division by the sum
    for (int64_t i = 0; i < row.size; ++i) {
      const float output = row.prediction[i] / total;
      value -= static_cast<double>(target(row, i) * std::log(clip(output)));
      dot += static_cast<double>(slope(output, target(row, i)) * output);
    }
    for (int64_t i = 0; row.gradient && i < row.size; ++i) {
      const float d = slope(row.prediction[i] / total, target(row, i));
      row.gradient[i] = row.scale * (d - static_cast<float>(dot)) / total;
    }
    return static_cast<float>(value);
  }
  static float slope(float output, float t) { return is_inside(output) ? -t / output : 0.0f; }

  bool from_logits_;
  float smoothing_;
  int64_t axis_;
};

class SparseCategoricalCrossentropy : public RowFunction {
 public:
  SparseCategoricalCrossentropy(bool from_logits, std::optional<int64_t> ignored)
      : from_logits_(from_logits), ignored_(ignored) {}
  bool is_sparse() const override { return true; }
  bool ignores(int64_t label) const override { return ignored_ == label; }
  FusedActivation fused_activation() const override {
    return from_logits_ ? FusedActivation::kNone : FusedActivation::kSoftmax;
  }
  float evaluate(const Row& row) const override {
    if (row.label < 0 || row.label >= row.size) {
      fill_nan(row);
      return kNan;
    }
    return from_logits_ || row.is_logits ? from_logits(row) : from_probabilities(row);
  }

 private:
  static float from_logits(const Row& row) {
    const LogSum sum = log_sum_exp(row.prediction, row.size, row.gradient);
    for (int64_t i = 0; row.gradient && i < row.size; ++i) {
      row.gradient[i] = row.scale * (row.gradient[i] - (i == row.label ? 1.0f : 0.0f));
    }
    return sum.log_sum - (row.prediction[row.label] - sum.max);
  }
  // Keras takes the logarithm of the clipped probabilities for logits.
  static float from_probabilities(const Row& row) {
    double sum = 0;
    for (int64_t i = 0; i < row.size; ++i) sum += static_cast<double>(clip(row.prediction[i]));
    for (int64_t i = 0; row.gradient && i < row.size; ++i) {
      const float p = clip(row.prediction[i]);
      const float d = p / static_cast<float>(sum) - (i == row.label ? 1.0f : 0.0f);
      row.gradient[i] = is_inside(row.prediction[i]) ? row.scale * d / p : 0.0f;
    }
    return static_cast<float>(std::log(sum) -
                              std::log(static_cast<double>(clip(row.prediction[row.label]))));
  }

  bool from_logits_;
  std::optional<int64_t> ignored_;
};

/// Value and derivative of binary crossentropy from a probability.
struct BinaryTerm {
  float value;
  float slope;
};
BinaryTerm binary_term(float p, float t) {
  const float c = clip(p);
  const float value = -(t * std::log(c) + (1.0f - t) * std::log(1.0f - c));
  return {value, is_inside(p) ? -(t / c - (1.0f - t) / (1.0f - c)) : 0.0f};
}

class BinaryCrossentropy : public RowFunction {
 public:
  BinaryCrossentropy(bool from_logits, float smoothing, int64_t axis)
      : from_logits_(from_logits), smoothing_(smoothing), axis_(axis) {}
  std::vector<int64_t> axes(int) const override { return {axis_}; }
  FusedActivation fused_activation() const override {
    return from_logits_ ? FusedActivation::kNone : FusedActivation::kSigmoid;
  }
  float evaluate(const Row& row) const override {
    const bool is_logits = from_logits_ || row.is_logits;
    const float scale = row.scale / static_cast<float>(row.size);
    double sum = 0;
    for (int64_t i = 0; i < row.size; ++i) {
      const float x = row.prediction[i];
      const float t = row.target[i] * (1.0f - smoothing_) + 0.5f * smoothing_;
      if (is_logits) {
        sum += static_cast<double>(std::max(x, 0.0f) - x * t + std::log1p(std::exp(-std::abs(x))));
        if (row.gradient) row.gradient[i] = scale * (sigmoid(x) - t);
      } else {
        const BinaryTerm term = binary_term(x, t);
        sum += static_cast<double>(term.value);
        if (row.gradient) row.gradient[i] = scale * term.slope;
      }
    }
    return static_cast<float>(sum / static_cast<double>(row.size));
  }

 private:
  bool from_logits_;
  float smoothing_;
  int64_t axis_;
};

/// Lin et al., "Focal Loss for Dense Object Detection", 2017.
class BinaryFocalCrossentropy : public RowFunction {
 public:
  struct Options {
    bool is_balanced;
    float alpha, gamma;
    bool from_logits;
    float smoothing;
    int64_t axis;
  };
  explicit BinaryFocalCrossentropy(const Options& options) : o_(options) {}
  std::vector<int64_t> axes(int) const override { return {o_.axis}; }
  float evaluate(const Row& row) const override {
    const float scale = row.scale / static_cast<float>(row.size);
    double sum = 0;
    for (int64_t i = 0; i < row.size; ++i) {
      const float t = row.target[i] * (1.0f - o_.smoothing) + 0.5f * o_.smoothing;
      const float p = o_.from_logits ? sigmoid(row.prediction[i]) : row.prediction[i];
      const BinaryTerm term = binary_term(p, t);
      const float miss = 1.0f - (t * p + (1.0f - t) * (1.0f - p));
      const float focus = std::pow(miss, o_.gamma);
      const float weight = o_.is_balanced ? t * o_.alpha + (1.0f - t) * (1.0f - o_.alpha) : 1.0f;
      sum += static_cast<double>(weight * focus * term.value);
      if (!row.gradient) continue;
      // d miss / d p = 1 - 2 t
      float slope = o_.gamma == 0 ? 0.0f
                                  : o_.gamma * std::pow(miss, o_.gamma - 1.0f) * (1.0f - 2.0f * t) *
                                        term.value;
      slope += focus * term.slope;
      if (o_.from_logits) slope *= p * (1.0f - p);
      row.gradient[i] = scale * weight * slope;
    }
    return static_cast<float>(sum / static_cast<double>(row.size));
  }

 private:
  Options o_;
};

class CategoricalFocalCrossentropy : public RowFunction {
 public:
  struct Options {
    float alpha, gamma;
    bool from_logits;
    float smoothing;
    int64_t axis;
  };
  explicit CategoricalFocalCrossentropy(const Options& options) : o_(options) {}
  std::vector<int64_t> axes(int) const override { return {o_.axis}; }
  float evaluate(const Row& row) const override {
    LogSum logits{};
    if (o_.from_logits) logits = log_sum_exp(row.prediction, row.size);
    const auto probability = [&](int64_t i) {
      const float x = row.prediction[i];
      return o_.from_logits ? std::exp(x - logits.max - logits.log_sum) : x;
    };
    double sum = 0;
    for (int64_t i = 0; i < row.size; ++i) sum += static_cast<double>(probability(i));
    const float total = static_cast<float>(sum);
    double value = 0;
    double dot = 0;  // of outputs and their slopes
    for (int64_t i = 0; i < row.size; ++i) {
      const float output = probability(i) / total;
      const float c = clip(output);
      value -= static_cast<double>(o_.alpha * std::pow(1.0f - c, o_.gamma) * target(row, i) *
                                   std::log(c));
      dot += static_cast<double>(slope(output, target(row, i)) * output);
    }
    for (int64_t i = 0; row.gradient && i < row.size; ++i) {
      const float p = probability(i);
      const float d = (slope(p / total, target(row, i)) - static_cast<float>(dot)) / total;
      // The slopes of normalised outputs have no part along them, so softmax only multiplies by p.
      row.gradient[i] = row.scale * (o_.from_logits ? d * p : d);
    }
    return static_cast<float>(value);
  }

 private:
  float target(const Row& row, int64_t i) const {
    return row.target[i] * (1.0f - o_.smoothing) + o_.smoothing / static_cast<float>(row.size);
  }
  float slope(float output, float t) const {
    if (!is_inside(output)) return 0;
    const float miss = 1.0f - output;
    const float focus = o_.gamma == 0 ? 0.0f : o_.gamma * std::pow(miss, o_.gamma - 1.0f);
    return o_.alpha * t * (focus * std::log(output) - std::pow(miss, o_.gamma) / output);
  }
  Options o_;
};

/// Zhang and Sabuncu, 2018: (1 - p^q) / q of the probability of the true class.
class GeneralizedCrossentropy : public RowFunction {
 public:
  explicit GeneralizedCrossentropy(float q) : q_(q) {}
  bool is_sparse() const override { return true; }
  float evaluate(const Row& row) const override {
    const bool is_known = row.label >= 0 && row.label < row.size;
    const float p = is_known ? row.prediction[row.label] : 0.0f;  // as a one-hot row of zeros
    if (row.gradient) {
      std::fill_n(row.gradient, row.size, 0.0f);
      if (is_known) row.gradient[row.label] = row.scale * -std::pow(p, q_ - 1.0f);
    }
    return (1.0f - std::pow(p, q_)) / q_;
  }

 private:
  float q_;
};

using FunctionPtr = std::unique_ptr<RowFunction>;

Config crossentropy_defaults() {
  return Config::Map{{"from_logits", false}, {"label_smoothing", 0.0}, {"axis", -1}};
}
template <typename Function>
Result<FunctionPtr> make_crossentropy(const Config& arguments) {
  ArgumentReader in(arguments);
  in.check_range("label_smoothing", 0, 1);
  auto function = std::make_unique<Function>(in.flag("from_logits"), in.number("label_smoothing"),
                                             in.integer("axis"));
  EW_TRY_VOID(in.status());
  return FunctionPtr(std::move(function));
}

Config sparse_defaults() { return Config::Map{{"from_logits", false}, {"ignore_class", Config()}}; }
Result<FunctionPtr> make_sparse(const Config& arguments) {
  ArgumentReader in(arguments);
  std::optional<int64_t> ignored;
  if (!arguments["ignore_class"].is_null()) ignored = in.integer("ignore_class");
  auto function = std::make_unique<SparseCategoricalCrossentropy>(in.flag("from_logits"), ignored);
  EW_TRY_VOID(in.status());
  return FunctionPtr(std::move(function));
}

Config binary_focal_defaults() {
  return Config::Map{{"apply_class_balancing", false}, {"alpha", 0.25},          {"gamma", 2.0},
                     {"from_logits", false},           {"label_smoothing", 0.0}, {"axis", -1}};
}
Result<FunctionPtr> make_binary_focal(const Config& arguments) {
  ArgumentReader in(arguments);
  in.check_range("label_smoothing", 0, 1);
  auto function = std::make_unique<BinaryFocalCrossentropy>(BinaryFocalCrossentropy::Options{
      in.flag("apply_class_balancing"), in.number("alpha"), in.number("gamma"),
      in.flag("from_logits"), in.number("label_smoothing"), in.integer("axis")});
  EW_TRY_VOID(in.status());
  return FunctionPtr(std::move(function));
}

Config categorical_focal_defaults() {
  return Config::Map{{"alpha", 0.25},
                     {"gamma", 2.0},
                     {"from_logits", false},
                     {"label_smoothing", 0.0},
                     {"axis", -1}};
}
Result<FunctionPtr> make_categorical_focal(const Config& arguments) {
  ArgumentReader in(arguments);
  in.check_range("label_smoothing", 0, 1);
  auto function =
      std::make_unique<CategoricalFocalCrossentropy>(CategoricalFocalCrossentropy::Options{
          in.number("alpha"), in.number("gamma"), in.flag("from_logits"),
          in.number("label_smoothing"), in.integer("axis")});
  EW_TRY_VOID(in.status());
  return FunctionPtr(std::move(function));
}

Config generalized_defaults() { return Config::Map{{"q", 0.5}}; }
Result<FunctionPtr> make_generalized(const Config& arguments) {
  ArgumentReader in(arguments);
  const float q = in.number("q");
  EW_TRY_VOID(in.status());
  if (!(q > 0 && q < 1)) return invalid_argument("q must be between 0 and 1, found ", q);
  return FunctionPtr(std::make_unique<GeneralizedCrossentropy>(q));
}

constexpr LossClass kLosses[] = {
    {"CategoricalCrossentropy", "categorical_crossentropy", "", crossentropy_defaults,
     make_crossentropy<CategoricalCrossentropy>},
    {"SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", "", sparse_defaults,
     make_sparse},
    {"BinaryCrossentropy", "binary_crossentropy", "bce", crossentropy_defaults,
     make_crossentropy<BinaryCrossentropy>},
    {"BinaryFocalCrossentropy", "binary_focal_crossentropy", "", binary_focal_defaults,
     make_binary_focal},
    {"CategoricalFocalCrossentropy", "categorical_focal_crossentropy", "",
     categorical_focal_defaults, make_categorical_focal},
    {"CategoricalGeneralizedCrossEntropy", "categorical_generalized_cross_entropy", "",
     generalized_defaults, make_generalized},
};

}  // namespace

std::span<const LossClass> crossentropy_losses() { return kLosses; }

}  // namespace ew::train
