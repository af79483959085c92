#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  return {sum_to_shape(b, dy[0], b.shape(node.inputs[0]))};
}

}  // namespace

extern const Gradient broadcast_to_grad{.grad = grad};

}  // namespace ew::ops
