// SGD, RMSprop, Adagrad, Adadelta, Ftrl and Lion.
#include <cmath>
#include <limits>

#include "train/optimizer_kernels.h"
#include "train/optimizer_rule.h"

namespace ew::train {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// SGD: m = momentum m - rate g; p += m (Nesterov: p += momentum m - rate g).

class Sgd : public UpdateRule {
 public:
  explicit Sgd(ArgumentReader& in)
      : momentum_(in.number("momentum")), nesterov_(in.flag("nesterov")) {
    in.check_range("momentum", 0, 1);
  }
  std::vector<SlotDef> slots() const override {
    return momentum_ != 0 ? std::vector<SlotDef>{{"momentum"}} : std::vector<SlotDef>{};
  }
  void begin(float rate, int64_t) override { rate_ = rate; }
  void update(const Block& b) const override {
    if (momentum_ == 0) return kernels::sgd_plain(b.size, b.value, b.gradient, rate_);
    const auto step = nesterov_ ? kernels::sgd_nesterov : kernels::sgd_momentum;
    step(b.size, b.value, b.gradient, b.slots[0], rate_, momentum_);
  }

 private:
  float momentum_;
  bool nesterov_;
  float rate_ = 0;
};

// RMSprop: v = rho v + (1 - rho) g^2; p -= rate g / sqrt(v [- average(g)^2] + epsilon).

class Rmsprop : public UpdateRule {
 public:
  explicit Rmsprop(ArgumentReader& in)
      : scalars_{0, in.number("rho"), in.one_minus("rho"), in.number("momentum"),
                 in.number("epsilon")},
        is_centered_(in.flag("centered")) {}
  std::vector<SlotDef> slots() const override {
    std::vector<SlotDef> out{{"velocity"}};
    if (has_momentum()) out.push_back({"momentum"});
    if (is_centered_) out.push_back({"average_gradient"});
    return out;
  }
  void begin(float rate, int64_t) override { scalars_.rate = rate; }
  void update(const Block& b) const override {
    if (!has_momentum() && !is_centered_) {
      return kernels::rmsprop_plain(b.size, b.value, b.gradient, b.slots[0], scalars_);
    }
    float* momentum = has_momentum() ? b.slots[1] : nullptr;
    float* average = is_centered_ ? b.slots[has_momentum() ? 2 : 1] : nullptr;
    kernels::rmsprop_full(b.size, b.value, b.gradient, b.slots[0], momentum, average, scalars_);
  }

 private:
  bool has_momentum() const { return scalars_.momentum > 0; }
  kernels::RmspropScalars scalars_;
  bool is_centered_;
};

// Adagrad: a += g^2; p -= rate g / sqrt(a + epsilon).

class Adagrad : public UpdateRule {
 public:
  explicit Adagrad(ArgumentReader& in)
      : initial_(in.number("initial_accumulator_value")), epsilon_(in.number("epsilon")) {
    in.check_range("initial_accumulator_value", 0, kInfinity);
  }
  std::vector<SlotDef> slots() const override { return {{"accumulator", initial_}}; }
  void begin(float rate, int64_t) override { rate_ = rate; }
  void update(const Block& b) const override {
    kernels::adagrad(b.size, b.value, b.gradient, b.slots[0], rate_, epsilon_);
  }

 private:
  float initial_, epsilon_;
  float rate_ = 0;
};

// Adadelta: steps scaled by the ratio of the running sizes of updates and gradients.

class Adadelta : public UpdateRule {
 public:
  explicit Adadelta(ArgumentReader& in)
      : rho_(in.number("rho")),
        one_minus_rho_(in.one_minus("rho")),
        epsilon_(in.number("epsilon")) {}
  std::vector<SlotDef> slots() const override {
    return {{"accumulated_grad"}, {"accumulated_delta_var"}};
  }
  void begin(float rate, int64_t) override { rate_ = rate; }
  void update(const Block& b) const override {
    kernels::adadelta(b.size, b.value, b.gradient, b.slots[0], b.slots[1], rate_, rho_,
                      one_minus_rho_, epsilon_);
  }

 private:
  float rho_, one_minus_rho_, epsilon_;
  float rate_ = 0;
};

// Ftrl: McMahan et al., "Ad Click Prediction", 2013, with Keras' shrinkage and beta.

class Ftrl : public UpdateRule {
 public:
  explicit Ftrl(ArgumentReader& in)
      : initial_(in.number("initial_accumulator_value")),
        l2_(in.number("l2_regularization_strength")),
        beta_(in.number("beta")),
        scalars_{0, -in.number("learning_rate_power"), in.number("l1_regularization_strength"), 0,
                 static_cast<float>(2 * in.real("l2_shrinkage_regularization_strength"))} {
    in.check_range("learning_rate_power", -kInfinity, 0);
    for (const char* key : {"initial_accumulator_value", "l1_regularization_strength",
                            "l2_regularization_strength", "l2_shrinkage_regularization_strength"}) {
      in.check_range(key, 0, kInfinity);
    }
  }
  std::vector<SlotDef> slots() const override { return {{"accumulator", initial_}, {"linear"}}; }
  void begin(float rate, int64_t) override {
    scalars_.rate = rate;
    scalars_.two_l2 = 2.0f * (l2_ + beta_ / (2.0f * rate));
  }
  void update(const Block& b) const override {
    kernels::ftrl(b.size, b.value, b.gradient, b.slots[0], b.slots[1], scalars_);
  }

 private:
  float initial_, l2_, beta_;
  kernels::FtrlScalars scalars_;
};

// Lion: p -= rate sign(beta_1 m + (1 - beta_1) g); Chen et al., 2023.

class Lion : public UpdateRule {
 public:
  explicit Lion(ArgumentReader& in) : beta_1_(in.number("beta_1")), beta_2_(in.number("beta_2")) {
    in.check_range("beta_1", std::numeric_limits<double>::min(), 1);
  }
  std::vector<SlotDef> slots() const override { return {{"momentum"}}; }
  void begin(float rate, int64_t) override { rate_ = rate; }
  void update(const Block& b) const override {
    kernels::lion(b.size, b.value, b.gradient, b.slots[0], rate_, beta_1_, beta_2_);
  }

 private:
  float beta_1_, beta_2_;
  float rate_ = 0;
};

Config sgd_defaults(ir::KerasGeneration) {
  return Config::Map{{"learning_rate", 0.01}, {"momentum", 0.0}, {"nesterov", false}};
}
Config rmsprop_defaults(ir::KerasGeneration generation) {
  Config out = Config::Map{{"rho", 0.9}, {"momentum", 0.0}, {"epsilon", 1e-7}, {"centered", false}};
  if (generation == ir::KerasGeneration::kKeras2) out.set("ema_overwrite_frequency", 100);
  return out;
}
Config adagrad_defaults(ir::KerasGeneration) {
  return Config::Map{{"initial_accumulator_value", 0.1}, {"epsilon", 1e-7}};
}
Config adadelta_defaults(ir::KerasGeneration) {
  return Config::Map{{"rho", 0.95}, {"epsilon", 1e-7}};
}
Config ftrl_defaults(ir::KerasGeneration) {
  return Config::Map{{"learning_rate_power", -0.5},
                     {"initial_accumulator_value", 0.1},
                     {"l1_regularization_strength", 0.0},
                     {"l2_regularization_strength", 0.0},
                     {"l2_shrinkage_regularization_strength", 0.0},
                     {"beta", 0.0}};
}
Config lion_defaults(ir::KerasGeneration generation) {
  const double rate = generation == ir::KerasGeneration::kKeras2 ? 0.0001 : 0.001;
  return Config::Map{{"learning_rate", rate}, {"beta_1", 0.9}, {"beta_2", 0.99}};
}

}  // namespace

const OptimizerClass kSgd{"SGD", sgd_defaults, make_rule<Sgd>};
const OptimizerClass kRmsprop{"RMSprop", rmsprop_defaults, make_rule<Rmsprop>};
const OptimizerClass kAdagrad{"Adagrad", adagrad_defaults, make_rule<Adagrad>};
const OptimizerClass kAdadelta{"Adadelta", adadelta_defaults, make_rule<Adadelta>};
const OptimizerClass kFtrl{"Ftrl", ftrl_defaults, make_rule<Ftrl>};
const OptimizerClass kLion{"Lion", lion_defaults, make_rule<Lion>};

}  // namespace ew::train
