// Losses of real-valued targets: mean over a row of an elementwise error, and cosine similarity.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "train/arguments.h"
#include "train/row_function.h"

namespace ew::train {
namespace {

constexpr float kEpsilon = 1e-7f;  // keras.backend.epsilon()

float sign(float x) { return static_cast<float>((x > 0) - (x < 0)); }

/// Value and derivative of one element's error.
struct Term {
  double value;
  float slope;
};

template <typename F>
float mean_of(const Row& row, F&& term) {
  const float count = static_cast<float>(row.size);
  const float scale = row.scale / count;
  double sum = 0;
  for (int64_t i = 0; i < row.size; ++i) {
    const Term t = term(row.prediction[i], row.target[i]);
    sum += t.value;
    if (row.gradient) row.gradient[i] = scale * t.slope;
  }
  return static_cast<float>(sum / static_cast<double>(row.size));
}

class MeanSquaredError : public RowFunction {
 public:
  float evaluate(const Row& row) const override {
    return mean_of(row, [](float p, float t) {
      const float e = p - t;
      return Term{static_cast<double>(e * e), 2.0f * e};
    });
  }
};

class MeanAbsoluteError : public RowFunction {
 public:
  float evaluate(const Row& row) const override {
    return mean_of(row, [](float p, float t) {
      return Term{static_cast<double>(std::abs(p - t)), sign(p - t)};
    });
  }
};

class MeanAbsolutePercentageError : public RowFunction {
 public:
  float evaluate(const Row& row) const override {
    return mean_of(row, [](float p, float t) {
      const float base = std::max(std::abs(t), kEpsilon);
      return Term{100.0 * static_cast<double>(std::abs((t - p) / base)),
                  100.0f * sign(p - t) / base};
    });
  }
};

class MeanSquaredLogarithmicError : public RowFunction {
 public:
  float evaluate(const Row& row) const override {
    return mean_of(row, [](float p, float t) {
      const float p1 = std::max(p, kEpsilon) + 1.0f;
      const float e = std::log(p1) - std::log(std::max(t, kEpsilon) + 1.0f);
      return Term{static_cast<double>(e * e), p >= kEpsilon ? 2.0f * e / p1 : 0.0f};
    });
  }
};

class Huber : public RowFunction {
 public:
  explicit Huber(float delta) : delta_(delta) {}
  float evaluate(const Row& row) const override {
    return mean_of(row, [this](float p, float t) {
      const float e = p - t;
      const float size = std::abs(e);
      if (size <= delta_) return Term{static_cast<double>(0.5f * e * e), e};
      return Term{static_cast<double>(delta_ * size - 0.5f * delta_ * delta_), delta_ * sign(e)};
    });
  }

 private:
  float delta_;
};

class LogCosh : public RowFunction {
 public:
  float evaluate(const Row& row) const override {
    return mean_of(row, [](float p, float t) {
      const float e = p - t;
      // log cosh e = |e| + log(1 + exp(-2|e|)) - log 2, which cannot overflow.
      const double size = std::abs(static_cast<double>(e));
      return Term{size + std::log1p(std::exp(-2 * size)) - std::numbers::ln2, std::tanh(e)};
    });
  }
};

class Poisson : public RowFunction {
 public:
  float evaluate(const Row& row) const override {
    return mean_of(row, [](float p, float t) {
      const float positive = p + kEpsilon;
      return Term{static_cast<double>(p - t * std::log(positive)), 1.0f - t / positive};
    });
  }
};

class KlDivergence : public RowFunction {
 public:
  float evaluate(const Row& row) const override {
    double sum = 0;
    for (int64_t i = 0; i < row.size; ++i) {
      const float t = std::clamp(row.target[i], kEpsilon, 1.0f);
      const float p = std::clamp(row.prediction[i], kEpsilon, 1.0f);
      sum += static_cast<double>(t * std::log(t / p));
      if (row.gradient) row.gradient[i] = p == row.prediction[i] ? row.scale * (-t / p) : 0.0f;
    }
    return static_cast<float>(sum);
  }
};

class CosineSimilarity : public RowFunction {
 public:
  explicit CosineSimilarity(int64_t axis) : axis_(axis) {}
  std::vector<int64_t> axes(int) const override { return {axis_}; }
  float evaluate(const Row& row) const override {
    double pp = 0;
    double tt = 0;
    double pt = 0;
    for (int64_t i = 0; i < row.size; ++i) {
      const double p = row.prediction[i];
      const double t = row.target[i];
      pp += p * p;
      tt += t * t;
      pt += p * t;
    }
    // A vector shorter than epsilon is divided by epsilon and no longer normalised.
    const double p_inverse = 1 / std::max(std::sqrt(pp), static_cast<double>(kEpsilon));
    const double t_inverse = 1 / std::max(std::sqrt(tt), static_cast<double>(kEpsilon));
    const double cosine = pt * p_inverse * t_inverse;
    const bool is_normalised = pp > 0 && std::sqrt(pp) >= static_cast<double>(kEpsilon);
    for (int64_t i = 0; row.gradient && i < row.size; ++i) {
      double slope = row.target[i] * t_inverse;
      if (is_normalised) slope -= cosine * row.prediction[i] * p_inverse;
      row.gradient[i] = static_cast<float>(-row.scale * slope * p_inverse);
    }
    return static_cast<float>(-cosine);
  }

 private:
  int64_t axis_;
};

using FunctionPtr = std::unique_ptr<RowFunction>;

Config no_arguments() { return Config::map(); }
template <typename Function>
Result<FunctionPtr> make_plain(const Config&) {
  return FunctionPtr(std::make_unique<Function>());
}

Config huber_defaults() { return Config::Map{{"delta", 1.0}}; }
Result<FunctionPtr> make_huber(const Config& arguments) {
  ArgumentReader in(arguments);
  auto function = std::make_unique<Huber>(in.number("delta"));
  EW_TRY_VOID(in.status());
  return FunctionPtr(std::move(function));
}

Config cosine_defaults() { return Config::Map{{"axis", -1}}; }
Result<FunctionPtr> make_cosine(const Config& arguments) {
  ArgumentReader in(arguments);
  auto function = std::make_unique<CosineSimilarity>(in.integer("axis"));
  EW_TRY_VOID(in.status());
  return FunctionPtr(std::move(function));
}

constexpr LossClass kLosses[] = {
    {"MeanSquaredError", "mean_squared_error", "mse", no_arguments, make_plain<MeanSquaredError>},
    {"MeanAbsoluteError", "mean_absolute_error", "mae", no_arguments,
     make_plain<MeanAbsoluteError>},
    {"MeanAbsolutePercentageError", "mean_absolute_percentage_error", "mape", no_arguments,
     make_plain<MeanAbsolutePercentageError>},
    {"MeanSquaredLogarithmicError", "mean_squared_logarithmic_error", "msle", no_arguments,
     make_plain<MeanSquaredLogarithmicError>},
    {"Huber", "huber_loss", "huber", huber_defaults, make_huber},
    {"LogCosh", "log_cosh", "logcosh", no_arguments, make_plain<LogCosh>},
    {"Poisson", "poisson", "", no_arguments, make_plain<Poisson>},
    {"KLDivergence", "kl_divergence", "kld", no_arguments, make_plain<KlDivergence>},
    {"CosineSimilarity", "cosine_similarity", "", cosine_defaults, make_cosine},
};

}  // namespace

std::span<const LossClass> regression_losses() { return kLosses; }

}  // namespace ew::train
