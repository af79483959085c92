#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "train/keras_object.h"

namespace ew::train {
namespace {

constexpr float kPi = std::numbers::pi_v<float>;

class Constant : public Schedule {
 public:
  explicit Constant(float rate) : rate_(rate) {}
  double rate(int64_t) const override { return rate_; }
  bool is_constant() const override { return true; }

 private:
  float rate_;
};

class ExponentialDecay : public Schedule {
 public:
  ExponentialDecay(double initial, double steps, double decay_rate, bool staircase)
      : initial_(static_cast<float>(initial)),
        steps_(static_cast<float>(steps)),
        decay_rate_(static_cast<float>(decay_rate)),
        staircase_(staircase) {}
  double rate(int64_t step) const override {
    float p = static_cast<float>(step) / steps_;
    if (staircase_) p = std::floor(p);
    return initial_ * std::pow(decay_rate_, p);
  }

 private:
  float initial_, steps_, decay_rate_;
  bool staircase_;
};

class InverseTimeDecay : public Schedule {
 public:
  InverseTimeDecay(double initial, double steps, double decay_rate, bool staircase)
      : initial_(static_cast<float>(initial)),
        steps_(static_cast<float>(steps)),
        decay_rate_(static_cast<float>(decay_rate)),
        staircase_(staircase) {}
  double rate(int64_t step) const override {
    float p = static_cast<float>(step) / steps_;
    if (staircase_) p = std::floor(p);
    return initial_ / (1.0f + decay_rate_ * p);
  }

 private:
  float initial_, steps_, decay_rate_;
  bool staircase_;
};

class PiecewiseConstantDecay : public Schedule {
 public:
  PiecewiseConstantDecay(std::vector<double> boundaries, std::vector<float> values)
      : boundaries_(std::move(boundaries)), values_(std::move(values)) {}
  double rate(int64_t step) const override {
    // A boundary still belongs to the interval it ends.
    const auto next =
        std::lower_bound(boundaries_.begin(), boundaries_.end(), static_cast<double>(step));
    return values_[static_cast<size_t>(next - boundaries_.begin())];
  }

 private:
  std::vector<double> boundaries_;
  std::vector<float> values_;
};

class PolynomialDecay : public Schedule {
 public:
  PolynomialDecay(double initial, double steps, double end, double power, bool cycle)
      : initial_(static_cast<float>(initial)),
        steps_(static_cast<float>(steps)),
        end_(static_cast<float>(end)),
        power_(static_cast<float>(power)),
        cycle_(cycle) {}
  double rate(int64_t step) const override {
    float done = static_cast<float>(step);
    float steps = steps_;
    if (cycle_) {
      steps *= step == 0 ? 1.0f : std::ceil(done / steps_);
    } else {
      done = std::min(done, steps);
    }
    return (initial_ - end_) * std::pow(1.0f - done / steps, power_) + end_;
  }

 private:
  float initial_, steps_, end_, power_;
  bool cycle_;
};

class CosineDecay : public Schedule {
 public:
  CosineDecay(double initial, double steps, double alpha)
      : initial_(static_cast<float>(initial)),
        peak_(initial_),
        steps_(static_cast<float>(steps)),
        alpha_(static_cast<float>(alpha)),
        one_minus_alpha_(static_cast<float>(1.0 - alpha)) {}
  void set_warmup(double target, double steps) {
    peak_ = static_cast<float>(target);
    warmup_steps_ = static_cast<float>(steps);
  }
  double rate(int64_t step) const override {
    const float done = std::min(static_cast<float>(step), steps_ + warmup_steps_);
    if (done < warmup_steps_) return (peak_ - initial_) * (done / warmup_steps_) + initial_;
    const float cosine = 0.5f * (1.0f + std::cos(kPi * ((done - warmup_steps_) / steps_)));
    return peak_ * (one_minus_alpha_ * cosine + alpha_);
  }

 private:
  float initial_, peak_, steps_, alpha_, one_minus_alpha_;
  float warmup_steps_ = 0;
};

class CosineDecayRestarts : public Schedule {
 public:
  CosineDecayRestarts(double initial, double first_steps, double t_mul, double m_mul, double alpha)
      : initial_(static_cast<float>(initial)),
        first_steps_(static_cast<float>(first_steps)),
        t_mul_(static_cast<float>(t_mul)),
        m_mul_(static_cast<float>(m_mul)),
        alpha_(static_cast<float>(alpha)) {}
  double rate(int64_t step) const override {
    float fraction = static_cast<float>(step) / first_steps_;
    float restarts = 0;
    if (t_mul_ == 1.0f) {
      restarts = std::floor(fraction);
      fraction -= restarts;
    } else {
      restarts = std::floor(std::log(1.0f - fraction * (1.0f - t_mul_)) / std::log(t_mul_));
      const float period = std::pow(t_mul_, restarts);
      fraction = (fraction - (1.0f - period) / (1.0f - t_mul_)) / period;
    }
    const float cosine = 0.5f * std::pow(m_mul_, restarts) * (1.0f + std::cos(kPi * fraction));
    return initial_ * ((1.0f - alpha_) * cosine + alpha_);
  }

 private:
  float initial_, first_steps_, t_mul_, m_mul_, alpha_;
};

using SchedulePtr = std::unique_ptr<Schedule>;

Result<double> required(const Config& config, std::string_view key) {
  if (config[key].is_null()) return invalid_data(key, " is missing");
  return config.get_double(key, 0);
}

Result<double> positive_steps(const Config& config, std::string_view key) {
  EW_TRY(const double steps, required(config, key));
  if (!(steps > 0)) return invalid_argument(key, " must be > 0, found ", steps);
  return steps;
}

Result<SchedulePtr> make_exponential(const Config& config) {
  EW_TRY(const double initial, required(config, "initial_learning_rate"));
  EW_TRY(const double steps, positive_steps(config, "decay_steps"));
  EW_TRY(const double decay_rate, required(config, "decay_rate"));
  EW_TRY(const bool staircase, config.get_bool("staircase", false));
  return SchedulePtr(std::make_unique<ExponentialDecay>(initial, steps, decay_rate, staircase));
}

Result<SchedulePtr> make_inverse_time(const Config& config) {
  EW_TRY(const double initial, required(config, "initial_learning_rate"));
  EW_TRY(const double steps, positive_steps(config, "decay_steps"));
  EW_TRY(const double decay_rate, required(config, "decay_rate"));
  EW_TRY(const bool staircase, config.get_bool("staircase", false));
  return SchedulePtr(std::make_unique<InverseTimeDecay>(initial, steps, decay_rate, staircase));
}

Result<SchedulePtr> make_piecewise(const Config& config) {
  std::vector<double> boundaries;
  for (const Config& item : config["boundaries"].as_list()) {
    if (!item.is_number()) return invalid_data("boundaries: expected numbers");
    if (!boundaries.empty() && item.as_double() < boundaries.back()) {
      return invalid_argument("boundaries must increase");
    }
    boundaries.push_back(item.as_double());
  }
  std::vector<float> values;
  for (const Config& item : config["values"].as_list()) {
    if (!item.is_number()) return invalid_data("values: expected numbers");
    values.push_back(static_cast<float>(item.as_double()));
  }
  if (values.size() != boundaries.size() + 1) {
    return invalid_argument("needs one more value than boundaries, found ", values.size(), " and ",
                            boundaries.size());
  }
  return SchedulePtr(
      std::make_unique<PiecewiseConstantDecay>(std::move(boundaries), std::move(values)));
}

Result<SchedulePtr> make_polynomial(const Config& config) {
  EW_TRY(const double initial, required(config, "initial_learning_rate"));
  EW_TRY(const double steps, positive_steps(config, "decay_steps"));
  EW_TRY(const double end, config.get_double("end_learning_rate", 0.0001));
  EW_TRY(const double power, config.get_double("power", 1.0));
  EW_TRY(const bool cycle, config.get_bool("cycle", false));
  return SchedulePtr(std::make_unique<PolynomialDecay>(initial, steps, end, power, cycle));
}

Result<SchedulePtr> make_cosine(const Config& config) {
  EW_TRY(const double initial, required(config, "initial_learning_rate"));
  EW_TRY(const double steps, positive_steps(config, "decay_steps"));
  EW_TRY(const double alpha, config.get_double("alpha", 0.0));
  EW_TRY(const double warmup_steps, config.get_double("warmup_steps", 0.0));
  EW_TRY(const double target, config.get_double("warmup_target", 0.0));
  if (warmup_steps < 0) return invalid_argument("warmup_steps must be >= 0");
  auto schedule = std::make_unique<CosineDecay>(initial, steps, alpha);
  if (!config["warmup_target"].is_null()) schedule->set_warmup(target, warmup_steps);
  return SchedulePtr(std::move(schedule));
}

Result<SchedulePtr> make_cosine_restarts(const Config& config) {
  EW_TRY(const double initial, required(config, "initial_learning_rate"));
  EW_TRY(const double steps, positive_steps(config, "first_decay_steps"));
  EW_TRY(const double t_mul, config.get_double("t_mul", 2.0));
  EW_TRY(const double m_mul, config.get_double("m_mul", 1.0));
  EW_TRY(const double alpha, config.get_double("alpha", 0.0));
  return SchedulePtr(std::make_unique<CosineDecayRestarts>(initial, steps, t_mul, m_mul, alpha));
}

struct ScheduleClass {
  const char* name;
  Result<SchedulePtr> (*make)(const Config&);
};
constexpr ScheduleClass kClasses[] = {
    {"ExponentialDecay", make_exponential},
    {"InverseTimeDecay", make_inverse_time},
    {"PiecewiseConstantDecay", make_piecewise},
    {"PolynomialDecay", make_polynomial},
    {"CosineDecay", make_cosine},
    {"CosineDecayRestarts", make_cosine_restarts},
};

}  // namespace

Result<SchedulePtr> make_schedule(const Config& config) {
  if (config.is_number()) {
    return SchedulePtr(std::make_unique<Constant>(static_cast<float>(config.as_double())));
  }
  EW_TRY(const KerasObject object, read_keras_object(config, "learning rate"));
  std::vector<std::string> known;
  for (const ScheduleClass& c : kClasses) {
    if (fold_name(c.name) == fold_name(object.name)) {
      auto schedule = c.make(object.config);
      if (!schedule.ok()) return at(c.name, schedule.error());
      return schedule;
    }
    known.emplace_back(c.name);
  }
  return unknown_name("learning rate schedule", object.name, known);
}

}  // namespace ew::train
