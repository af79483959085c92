#include "ops/recurrent_gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  return recurrent_grad(b, node, dy, kLstmKind, kLstmBackward);
}

}  // namespace

extern const Gradient lstm_grad{.grad = grad, .training = recurrent_training};

}  // namespace ew::ops
