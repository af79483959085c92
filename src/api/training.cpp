#include "edgewise/training.h"

#include "base/str.h"

namespace ew {
namespace {

const char* python_bool(bool value) { return value ? "True" : "False"; }

}  // namespace

LearningRate::LearningRate(double rate) : call(str(rate)) {}

LearningRate ExponentialDecay(const ExponentialDecayOptions& o) {
  return str("ExponentialDecay(", o.initial_learning_rate, ", decay_steps=", o.decay_steps,
             ", decay_rate=", o.decay_rate, ", staircase=", python_bool(o.staircase), ")");
}

OptimizerCall Adam(const AdamOptions& o) {
  return str("Adam(learning_rate=", o.learning_rate.call, ", beta_1=", o.beta_1,
             ", beta_2=", o.beta_2, ", epsilon=", o.epsilon, ")");
}

OptimizerCall SGD(const SgdOptions& o) {
  return str("SGD(learning_rate=", o.learning_rate.call, ", momentum=", o.momentum,
             ", nesterov=", python_bool(o.nesterov), ")");
}

}  // namespace ew
