#include "ops/recurrent_gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  return recurrent_grad(b, node, dy, kGruKind, kGruBackward);
}

}  // namespace

extern const Gradient gru_grad{.grad = grad, .training = recurrent_training};

}  // namespace ew::ops
