// Replays the oracle's training traces whose model is two dense layers, with a network written out
// by hand: optimizers, losses, schedules, regularizers and constraints against 20 steps of Keras.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "train/call.h"
#include "train/constraint.h"
#include "train/fixture_testing.h"
#include "train/keras_object.h"
#include "train/loss.h"
#include "train/optimizer.h"
#include "train/regularizer.h"

namespace ew::train {
namespace {

using Values = std::vector<float>;

/// y = f2(f1(x w1 + b1) w2 + b2); parameters w1 [I, H], b1, w2 [H, O], b2 in one flat array.
class Network {
 public:
  Network(const Config& order, bool is_tanh) : is_tanh_(is_tanh) {
    const Shape w1(order.as_list()[0].get_ints("shape", {}).value());
    const Shape w2(order.as_list()[2].get_ints("shape", {}).value());
    inputs_ = w1[0];
    hidden_ = w1[1];
    outputs_ = w2[1];
    for (const Config& entry : order.as_list()) {
      specs_.push_back({entry["path"].as_string(), Shape(entry.get_ints("shape", {}).value())});
    }
  }
  const std::vector<ParameterSpec>& specs() const { return specs_; }
  int64_t outputs() const { return outputs_; }

  /// The outputs before their activation.
  Values forward(const Values& w, const float* x, int64_t rows) {
    const float* w1 = w.data();
    const float* b1 = w1 + inputs_ * hidden_;
    const float* w2 = b1 + hidden_;
    const float* b2 = w2 + hidden_ * outputs_;
    h_.assign(static_cast<size_t>(rows * hidden_), 0.0f);
    Values out(static_cast<size_t>(rows * outputs_));
    for (int64_t r = 0; r < rows; ++r) {
      float* h = h_.data() + r * hidden_;
      for (int64_t j = 0; j < hidden_; ++j) {
        double sum = b1[j];
        for (int64_t i = 0; i < inputs_; ++i)
          sum += static_cast<double>(x[r * inputs_ + i] * w1[i * hidden_ + j]);
        h[j] = static_cast<float>(is_tanh_ ? std::tanh(sum) : std::max(sum, 0.0));
      }
      for (int64_t k = 0; k < outputs_; ++k) {
        double sum = b2[k];
        for (int64_t j = 0; j < hidden_; ++j)
          sum += static_cast<double>(h[j] * w2[j * outputs_ + k]);
        out[static_cast<size_t>(r * outputs_ + k)] = static_cast<float>(sum);
      }
    }
    return out;
  }

  /// Gradient of all parameters from that of the outputs before their activation.
  Values backward(const Values& w, const float* x, const Values& dz, int64_t rows) const {
    Values g(w.size(), 0.0f);
    float* g1 = g.data();
    float* gb1 = g1 + inputs_ * hidden_;
    float* g2 = gb1 + hidden_;
    float* gb2 = g2 + hidden_ * outputs_;
    const float* w2 = w.data() + inputs_ * hidden_ + hidden_;
    for (int64_t r = 0; r < rows; ++r) {
      const float* h = h_.data() + r * hidden_;
      const float* d = dz.data() + r * outputs_;
      for (int64_t k = 0; k < outputs_; ++k) gb2[k] += d[k];
      for (int64_t j = 0; j < hidden_; ++j) {
        double dh = 0;
        for (int64_t k = 0; k < outputs_; ++k) {
          g2[j * outputs_ + k] += h[j] * d[k];
          dh += static_cast<double>(d[k] * w2[j * outputs_ + k]);
        }
        const float slope = is_tanh_ ? 1.0f - h[j] * h[j] : (h[j] > 0 ? 1.0f : 0.0f);
        const float da = static_cast<float>(dh) * slope;
        gb1[j] += da;
        for (int64_t i = 0; i < inputs_; ++i) g1[i * hidden_ + j] += x[r * inputs_ + i] * da;
      }
    }
    return g;
  }

 private:
  bool is_tanh_;
  int64_t inputs_ = 0, hidden_ = 0, outputs_ = 0;
  std::vector<ParameterSpec> specs_;
  Values h_;
};

enum class Head { kLinear, kSoftmax, kSigmoid, kSoftplus };

Head head_of(const std::string& model) {
  if (model == "mlp" || model == "l2") return Head::kSoftmax;
  if (model == "mlp_bin") return Head::kSigmoid;
  return model == "mlp_pos" ? Head::kSoftplus : Head::kLinear;
}

/// Applies the head to z; returns the prediction.
Values activate(Head head, const Values& z, int64_t outputs) {
  Values p = z;
  for (float& x : p) {
    if (head == Head::kSigmoid) x = 1.0f / (1.0f + std::exp(-x));
    if (head == Head::kSoftplus) x = std::log1p(std::exp(x));
  }
  const auto k = static_cast<size_t>(outputs);
  for (size_t r = 0; head == Head::kSoftmax && r < p.size(); r += k) {
    double sum = 0;
    for (size_t i = 0; i < k; ++i) sum += std::exp(static_cast<double>(z[r + i]));
    for (size_t i = 0; i < k; ++i)
      p[r + i] = static_cast<float>(std::exp(static_cast<double>(z[r + i])) / sum);
  }
  return p;
}

/// d loss / d z from d loss / d p.
Values back_through(Head head, const Values& z, const Values& p, const Values& dp,
                    int64_t outputs) {
  Values dz = dp;
  const auto k = static_cast<size_t>(outputs);
  for (size_t r = 0; r < dz.size(); r += k) {
    double dot = 0;
    for (size_t i = 0; i < k; ++i) dot += static_cast<double>(dp[r + i] * p[r + i]);
    for (size_t i = r; i < r + k; ++i) {
      if (head == Head::kSigmoid) dz[i] = dp[i] * p[i] * (1.0f - p[i]);
      if (head == Head::kSoftplus) dz[i] = dp[i] / (1.0f + std::exp(-z[i]));
      if (head == Head::kSoftmax) dz[i] = p[i] * (dp[i] - static_cast<float>(dot));
    }
  }
  return dz;
}

struct LossCall {
  const char* name;
  const char* call;
};
constexpr LossCall kLosses[] = {
    {"cce", "CategoricalCrossentropy()"},
    {"cce_logits", "CategoricalCrossentropy(from_logits=True)"},
    {"cce_smooth", "CategoricalCrossentropy(label_smoothing=0.1)"},
    {"cce_logits_smooth", "CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)"},
    {"scce", "SparseCategoricalCrossentropy()"},
    {"scce_logits", "SparseCategoricalCrossentropy(from_logits=True)"},
    {"scce_ignore", "SparseCategoricalCrossentropy(from_logits=True, ignore_class=2)"},
    {"bce", "BinaryCrossentropy()"},
    {"bce_logits", "BinaryCrossentropy(from_logits=True)"},
    {"bce_smooth", "BinaryCrossentropy(label_smoothing=0.1)"},
    {"bfocal", "BinaryFocalCrossentropy(gamma=2.0, apply_class_balancing=True)"},
    {"cfocal", "CategoricalFocalCrossentropy()"},
    {"mse", "mse"},
    {"mae", "mae"},
    {"huber", "Huber(0.7)"},
    {"logcosh", "LogCosh()"},
    {"mape", "mape"},
    {"msle", "msle"},
    {"poisson", "poisson"},
    {"kld", "kld"},
    {"cosine", "CosineSimilarity()"},
    {"hinge", "hinge"},
    {"sqhinge", "squared_hinge"},
    {"chinge", "categorical_hinge"},
};

std::unique_ptr<Loss> loss_of(const std::string& name) {
  for (const LossCall& loss : kLosses) {
    if (loss.name == name) return Loss::create(parse_call(loss.call).value()).value();
  }
  FAIL("no such loss: " << name);
  return nullptr;
}

/// The regularizers and the constraint of the oracle's model "l2".
struct WeightRules {
  std::unique_ptr<Regularizer> kernel, bias;
  std::unique_ptr<Constraint> output;

  explicit WeightRules(bool is_l2) {
    if (!is_l2) return;
    kernel = make_regularizer(parse_call("L1L2(0.001, 0.01)").value()).value();
    bias = make_regularizer(parse_call("L2(0.01)").value()).value();
    output = make_constraint(parse_call("MaxNorm(0.8)").value()).value();
  }
};

struct Trace {
  Values losses, rates, weights;
};

Trace train(const Config& info, ir::KerasGeneration generation) {
  const std::string base = info["base"].as_string().substr(9);  // without "../_base/"
  const std::string model = info["model"].as_string();
  const ir::Tensor x = read_fixture_npy("fixtures/train/_base/" + base + "/x.npy");
  const ir::Tensor y = read_fixture_npy("fixtures/train/_base/" + base + "/y.npy");
  const ir::Tensor start = read_fixture_npy("start_weights/" + base + ".npy");
  Network network(info["weight_order"], model == "mlp_logits");
  const Head head = head_of(model);
  const auto loss = loss_of(info["loss"].as_string());
  const WeightRules rules(model == "l2");
  auto optimizer = Optimizer::create(
      keras_object(info["optimizer_class"].as_string(), info["optimizer_config"]), generation);
  REQUIRE_MESSAGE(optimizer.ok(), optimizer.error().message);
  (*optimizer)->build(network.specs()).value();

  Trace trace;
  trace.weights.assign(start.values<float>().begin(), start.values<float>().end());
  const int64_t batch = info["batch"].as_int();
  const int64_t features = x.shape()[1];
  const int64_t targets = y.size() / y.shape()[0];
  for (int64_t s = 0; s < info["steps"].as_int(); ++s) {
    Values& w = trace.weights;
    const float* xb = x.values<float>().data() + s * batch * features;
    std::vector<int64_t> target_dims = y.shape().dims();
    target_dims[0] = batch;
    ir::Tensor target(y.dtype(), Shape(target_dims));
    std::memcpy(target.mutable_data(), static_cast<const char*>(y.data()) + s * batch * targets * 4,
                target.size_bytes());
    const Values z = network.forward(w, xb, batch);
    const bool is_fused =
        (loss->fused_activation() == FusedActivation::kSoftmax && head == Head::kSoftmax) ||
        (loss->fused_activation() == FusedActivation::kSigmoid && head == Head::kSigmoid);
    const Values p = is_fused ? z : activate(head, z, network.outputs());
    const ir::Tensor prediction = ir::Tensor::from(p, {batch, network.outputs()});
    LossInput input{.prediction = prediction, .target = target};
    input.is_logits = is_fused;
    Values dp(p.size());
    double value = loss->evaluate(input, dp.data());
    Values g = network.backward(
        w, xb, is_fused ? dp : back_through(head, z, p, dp, network.outputs()), batch);
    std::vector<ParameterUpdate> updates;
    int64_t offset = 0;
    for (const ParameterSpec& spec : network.specs()) {
      const int64_t size = spec.shape.num_elements();
      if (rules.kernel && offset == 0)
        value += rules.kernel->evaluate(w.data(), spec.shape, g.data());
      if (rules.bias && updates.size() == 1) {
        value += rules.bias->evaluate(w.data() + offset, spec.shape, g.data() + offset);
      }
      updates.push_back({w.data() + offset, g.data() + offset, size});
      offset += size;
    }
    trace.rates.push_back(static_cast<float>((*optimizer)->learning_rate_now()));
    (*optimizer)->apply(updates, nullptr);
    if (rules.output) rules.output->apply(updates[2].value, network.specs()[2].shape);
    trace.losses.push_back(static_cast<float>(value));
  }
  return trace;
}

void check(const std::string& name) {
  CAPTURE(name);
  const std::string folder = "fixtures/train/" + name + "/";
  const Config info = read_fixture_json(folder + "case.json");
  const double loss_tolerance = info["tolerance"]["loss"].as_double();
  const double weight_tolerance = info["tolerance"]["weights"].as_double();
  const auto weights_of = [&](const Config& file) {
    const ir::Tensor t = read_fixture_npy(folder + file.as_string());
    return Values(t.values<float>().begin(), t.values<float>().end());
  };
  const Trace trace = train(info, ir::KerasGeneration::kKeras3);
  CHECK(worst_ratio(trace.losses, flat_floats(info["loss_per_step"]), 0, loss_tolerance) <= 1);
  CHECK(worst_ratio(trace.rates, flat_floats(info["lr_per_step"]), 1e-6, 1e-12) <= 1);
  CHECK(worst_ratio(trace.weights, weights_of(info["final_weights"]), 0, weight_tolerance) <= 1);
  if (info["k2"]["differs"].as_bool()) {
    const Trace other = train(info, ir::KerasGeneration::kKeras2);
    CHECK(worst_ratio(other.losses, flat_floats(info["k2"]["loss_per_step"]), 0, loss_tolerance) <=
          1);
    CHECK(worst_ratio(other.weights, weights_of(info["k2"]["final_weights"]), 0,
                      weight_tolerance) <= 1);
  }
}

}  // namespace

TEST_CASE("trace: every optimizer trains as Keras does") {
  for (const char* name : {"sgd",           "sgd_momentum",    "sgd_nesterov",
                           "rmsprop",       "rmsprop_full",    "adam",
                           "adam_amsgrad",  "adamw",           "adamax",
                           "nadam",         "adagrad",         "adadelta",
                           "ftrl",          "ftrl_full",       "lion",
                           "adam_clipnorm", "adam_globalclip", "sgd_clipvalue",
                           "adam_wd",       "sgd_ema",         "adafactor",
                           "lamb",          "adam_accum"}) {
    check(std::string("opt_") + name + "_cce");
    check(std::string("opt_") + name + "_mse");
  }
}

TEST_CASE("trace: every loss trains as in Keras") {
  for (const LossCall& loss : kLosses) check(std::string("loss_") + loss.name);
}

TEST_CASE("trace: every schedule trains as in Keras") {
  for (const char* name :
       {"cosine", "cosine_restart", "cosine_warm", "expdecay", "expdecay_seed", "expdecay_stair",
        "invtime", "invtime_stair", "piecewise", "poly", "poly_cycle"}) {
    check(std::string("sched_") + name + "_adam");
    check(std::string("sched_") + name + "_sgd_momentum");
  }
}

TEST_CASE("trace: regularizers and a constraint train as in Keras") {
  check("model_l2_adam");
  check("model_l2_sgd_momentum");
}

}  // namespace ew::train
