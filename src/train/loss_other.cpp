// Hinge losses of class margins; Dice and Tversky overlaps of regions.
#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "train/arguments.h"
#include "train/row_function.h"

namespace ew::train {
namespace {

/// mean(max(1 - t p, 0)^power) with t in {-1, 1}; targets in {0, 1} are mapped to those.
class Hinge : public RowFunction {
 public:
  explicit Hinge(bool is_squared) : is_squared_(is_squared) {}
  void prepare(const float* targets, int64_t count) override {
    is_binary_ =
        std::all_of(targets, targets + count, [](float t) { return t == 0.0f || t == 1.0f; });
  }
  float evaluate(const Row& row) const override {
    const float scale = row.scale / static_cast<float>(row.size);
    double sum = 0;
    for (int64_t i = 0; i < row.size; ++i) {
      const float t = is_binary_ ? 2.0f * row.target[i] - 1.0f : row.target[i];
      const float margin = 1.0f - t * row.prediction[i];
      const float loss = std::max(margin, 0.0f);
      sum += static_cast<double>(is_squared_ ? loss * loss : loss);
      if (!row.gradient) continue;
      const float slope = is_squared_ ? 2.0f * loss : 1.0f;
      row.gradient[i] = margin >= 0 ? scale * slope * -t : 0.0f;
    }
    return static_cast<float>(sum / static_cast<double>(row.size));
  }

 private:
  bool is_squared_;
  bool is_binary_ = false;
};

/// max(1 + highest wrong score - score of the true class, 0)
class CategoricalHinge : public RowFunction {
 public:
  float evaluate(const Row& row) const override {
    double positive = 0;
    float negative = (1.0f - row.target[0]) * row.prediction[0];
    for (int64_t i = 0; i < row.size; ++i) {
      positive += static_cast<double>(row.target[i] * row.prediction[i]);
      negative = std::max(negative, (1.0f - row.target[i]) * row.prediction[i]);
    }
    const float margin = negative - static_cast<float>(positive) + 1.0f;
    if (row.gradient) gradient(row, negative, margin >= 0 ? row.scale : 0.0f);
    return std::max(margin, 0.0f);
  }

 private:
  /// Scores that share the maximum share its gradient, as TensorFlow has it.
  static void gradient(const Row& row, float negative, float scale) {
    const auto wrong = [&](int64_t i) { return (1.0f - row.target[i]) * row.prediction[i]; };
    int64_t count = 0;
    for (int64_t i = 0; i < row.size; ++i) count += wrong(i) == negative;
    for (int64_t i = 0; i < row.size; ++i) {
      float slope = -row.target[i];
      if (wrong(i) == negative) slope += (1.0f - row.target[i]) / static_cast<float>(count);
      row.gradient[i] = scale * slope;
    }
  }
};

/// 1 - overlap / (overlap + alpha * (targets missed) + beta * (predictions wrong) + epsilon).
/// Dice is alpha = beta = 1/2. The row is the whole batch unless axes are named.
class Overlap : public RowFunction {
 public:
  Overlap(bool is_dice, double alpha, double beta, std::optional<std::vector<int64_t>> axes)
      : is_dice_(is_dice), alpha_(alpha), beta_(beta), axes_(std::move(axes)) {}
  std::vector<int64_t> axes(int rank) const override {
    if (axes_) return *axes_;
    std::vector<int64_t> all;
    for (int i = 0; i < rank; ++i) all.push_back(i);
    return all;
  }
  float evaluate(const Row& row) const override {
    double both = 0;
    double targets = 0;
    double predictions = 0;
    for (int64_t i = 0; i < row.size; ++i) {
      both += static_cast<double>(row.target[i]) * static_cast<double>(row.prediction[i]);
      targets += row.target[i];
      predictions += row.prediction[i];
    }
    // numerator / denominator, and the slopes of both with respect to p: n' = a t, d' = b t + c.
    constexpr double kEpsilon = 1e-7;
    const double missed = targets - both;
    const double wrong = predictions - both;
    const double n = is_dice_ ? 2 * both : both;
    const double d = is_dice_ ? targets + predictions + kEpsilon
                              : both + missed * alpha_ + wrong * beta_ + kEpsilon;
    for (int64_t i = 0; row.gradient && i < row.size; ++i) {
      const double t = row.target[i];
      const double dn = is_dice_ ? 2 * t : t;
      const double dd = is_dice_ ? 1 : t - alpha_ * t + beta_ * (1 - t);
      row.gradient[i] = static_cast<float>(-row.scale * (dn * d - n * dd) / (d * d));
    }
    return static_cast<float>(1 - n / d);
  }

 private:
  bool is_dice_;
  double alpha_, beta_;
  std::optional<std::vector<int64_t>> axes_;
};

using FunctionPtr = std::unique_ptr<RowFunction>;

Config no_arguments() { return Config::map(); }
template <bool is_squared>
Result<FunctionPtr> make_hinge(const Config&) {
  return FunctionPtr(std::make_unique<Hinge>(is_squared));
}
Result<FunctionPtr> make_categorical_hinge(const Config&) {
  return FunctionPtr(std::make_unique<CategoricalHinge>());
}

Config dice_defaults() { return Config::Map{{"axis", Config()}}; }
Config tversky_defaults() { return Config::Map{{"alpha", 0.5}, {"beta", 0.5}, {"axis", Config()}}; }
template <bool is_dice>
Result<FunctionPtr> make_overlap(const Config& arguments) {
  ArgumentReader in(arguments);
  const double alpha = in.real("alpha");
  const double beta = in.real("beta");
  EW_TRY_VOID(in.status());
  std::optional<std::vector<int64_t>> axes;
  if (!arguments["axis"].is_null()) {
    EW_TRY(axes, arguments.get_ints("axis", {}));
  }
  return FunctionPtr(std::make_unique<Overlap>(is_dice, alpha, beta, std::move(axes)));
}

constexpr LossClass kLosses[] = {
    {"Hinge", "hinge", "", no_arguments, make_hinge<false>},
    {"SquaredHinge", "squared_hinge", "", no_arguments, make_hinge<true>},
    {"CategoricalHinge", "categorical_hinge", "", no_arguments, make_categorical_hinge},
    {"Dice", "dice", "", dice_defaults, make_overlap<true>},
    {"Tversky", "tversky", "", tversky_defaults, make_overlap<false>},
};

}  // namespace

std::span<const LossClass> other_losses() { return kLosses; }

}  // namespace ew::train
