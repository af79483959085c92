// Adam (Kingma and Ba, 2014) and its family: AdamW, Adamax, Nadam, Lamb.
#include <algorithm>
#include <cmath>

#include "train/optimizer_kernels.h"
#include "train/optimizer_rule.h"

namespace ew::train {
namespace {

class Adam : public UpdateRule {
 public:
  explicit Adam(ArgumentReader& in)
      : beta_1_(in.number("beta_1")),
        beta_2_(in.number("beta_2")),
        is_amsgrad_(in.flag("amsgrad")),
        scalars_{0, in.one_minus("beta_1"), in.one_minus("beta_2"), in.number("epsilon")} {}
  std::vector<SlotDef> slots() const override {
    std::vector<SlotDef> out{{"momentum"}, {"velocity"}};
    if (is_amsgrad_) out.push_back({"velocity_hat"});
    return out;
  }
  void begin(float rate, int64_t step) override {
    const float t = static_cast<float>(step);
    scalars_.rate = rate * std::sqrt(1.0f - std::pow(beta_2_, t)) / (1.0f - std::pow(beta_1_, t));
  }
  void update(const Block& b) const override {
    if (is_amsgrad_) {
      kernels::adam_amsgrad(b.size, b.value, b.gradient, b.slots[0], b.slots[1], b.slots[2],
                            scalars_);
    } else {
      kernels::adam(b.size, b.value, b.gradient, b.slots[0], b.slots[1], scalars_);
    }
  }

 private:
  float beta_1_, beta_2_;
  bool is_amsgrad_;
  kernels::AdamScalars scalars_;
};

// Adamax: Adam with the infinity norm.

class Adamax : public UpdateRule {
 public:
  explicit Adamax(ArgumentReader& in)
      : beta_1_(in.number("beta_1")),
        one_minus_beta_1_(in.one_minus("beta_1")),
        beta_2_(in.number("beta_2")),
        epsilon_(in.number("epsilon")) {}
  std::vector<SlotDef> slots() const override { return {{"momentum"}, {"norm"}}; }
  void begin(float rate, int64_t step) override {
    rate_ = rate;
    correction_ = 1.0f - std::pow(beta_1_, static_cast<float>(step));
  }
  void update(const Block& b) const override {
    kernels::adamax(b.size, b.value, b.gradient, b.slots[0], b.slots[1], rate_, one_minus_beta_1_,
                    beta_2_, epsilon_, correction_);
  }

 private:
  float beta_1_, one_minus_beta_1_, beta_2_, epsilon_;
  float rate_ = 0;
  float correction_ = 0;
};

// Nadam: Adam with Nesterov momentum (Dozat, 2015); the momentum itself follows a schedule.

class Nadam : public UpdateRule {
 public:
  explicit Nadam(ArgumentReader& in) : beta_1_(in.number("beta_1")), beta_2_(in.number("beta_2")) {
    scalars_.one_minus_beta_1 = 1.0f - beta_1_;
    scalars_.one_minus_beta_2 = 1.0f - beta_2_;
    scalars_.epsilon = in.number("epsilon");
  }
  std::vector<SlotDef> slots() const override { return {{"momentum"}, {"velocity"}}; }
  void begin(float rate, int64_t step) override {
    const auto momentum_at = [this](int64_t t) {
      return beta_1_ * (1.0f - 0.5f * std::pow(0.96f, static_cast<float>(t)));
    };
    const float now = momentum_at(step);
    const float next = momentum_at(step + 1);
    product_ *= now;
    scalars_.rate = rate;
    scalars_.momentum_weight = next;
    scalars_.momentum_correction = 1.0f - product_ * next;
    scalars_.gradient_weight = 1.0f - now;
    scalars_.gradient_correction = 1.0f - product_;
    scalars_.velocity_correction = 1.0f - std::pow(beta_2_, static_cast<float>(step));
  }
  void update(const Block& b) const override {
    kernels::nadam(b.size, b.value, b.gradient, b.slots[0], b.slots[1], scalars_);
  }
  float* schedule_product() override { return &product_; }

 private:
  float beta_1_, beta_2_;
  float product_ = 1;
  kernels::NadamScalars scalars_{};
};

// Lamb: Adam's step rescaled to the norm of its parameter (You et al., 2019).

class Lamb : public UpdateRule {
 public:
  explicit Lamb(ArgumentReader& in)
      : beta_1_(in.number("beta_1")),
        beta_2_(in.number("beta_2")),
        one_minus_beta_1_(in.one_minus("beta_1")),
        one_minus_beta_2_(in.one_minus("beta_2")),
        epsilon_(in.number("epsilon")) {}
  std::vector<SlotDef> slots() const override { return {{"momentum"}, {"velocity"}}; }
  bool is_elementwise() const override { return false; }
  void begin(float rate, int64_t step) override {
    rate_ = rate;
    correction_1_ = 1.0f - std::pow(beta_1_, static_cast<float>(step));
    correction_2_ = 1.0f - std::pow(beta_2_, static_cast<float>(step));
  }
  void update(const Block& b) const override {
    float* m = b.slots[0];
    float* v = b.slots[1];
    // Norms are summed in double: a parameter may have millions of elements.
    double value_sum = 0;
    double step_sum = 0;
    for (int64_t i = 0; i < b.size; ++i) {
      const float g = b.gradient[i];
      m[i] += (g - m[i]) * one_minus_beta_1_;
      v[i] += (g * g - v[i]) * one_minus_beta_2_;
      const double step = step_of(m[i], v[i]);
      step_sum += step * step;
      value_sum += static_cast<double>(b.value[i]) * static_cast<double>(b.value[i]);
    }
    const float value_norm = static_cast<float>(std::sqrt(value_sum));
    const float step_norm = static_cast<float>(std::sqrt(step_sum));
    const float ratio = value_norm > 0 && step_norm > 0 ? value_norm / step_norm : 1.0f;
    const float scale = ratio * rate_;
    for (int64_t i = 0; i < b.size; ++i) b.value[i] -= scale * step_of(m[i], v[i]);
  }

 private:
  float step_of(float m, float v) const {
    return m / correction_1_ / (std::sqrt(v / correction_2_) + epsilon_);
  }
  float beta_1_, beta_2_, one_minus_beta_1_, one_minus_beta_2_, epsilon_;
  float rate_ = 0;
  float correction_1_ = 1;
  float correction_2_ = 1;
};

Config beta_defaults() {
  return Config::Map{{"beta_1", 0.9}, {"beta_2", 0.999}, {"epsilon", 1e-7}};
}
Config plain_defaults(ir::KerasGeneration) { return beta_defaults(); }
Config adam_defaults(ir::KerasGeneration) {
  Config out = beta_defaults();
  out.set("amsgrad", false);
  return out;
}
Config adamw_defaults(ir::KerasGeneration generation) {
  Config out = adam_defaults(generation);
  out.set("weight_decay", 0.004);
  return out;
}

Result<std::unique_ptr<UpdateRule>> make_adamw(const Config& arguments,
                                               ir::KerasGeneration generation) {
  if (!arguments["weight_decay"].is_number()) {
    return invalid_argument("weight_decay must be a number");
  }
  return make_rule<Adam>(arguments, generation);
}

}  // namespace

const OptimizerClass kAdam{"Adam", adam_defaults, make_rule<Adam>};
const OptimizerClass kAdamW{"AdamW", adamw_defaults, make_adamw};
const OptimizerClass kAdamax{"Adamax", plain_defaults, make_rule<Adamax>};
const OptimizerClass kNadam{"Nadam", plain_defaults, make_rule<Nadam>};
const OptimizerClass kLamb{"Lamb", plain_defaults, make_rule<Lamb>};

}  // namespace ew::train
