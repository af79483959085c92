// With J = diag(y) - y y^T:  dx = J dy = y * (dy - sum(dy * y, axis)).
#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const ValueId y = node.outputs[0];
  const ValueId dot =
      b.add(kReduceSum, {b.add(kMul, {dy[0], y})},
            {{"axes", std::vector<int64_t>{node.attrs.integer("axis")}}, {"keepdims", true}});
  return {b.add(kMul, {y, b.add(kSub, {dy[0], dot})})};
}

}  // namespace

extern const Gradient softmax_grad{.grad = grad};

}  // namespace ew::ops
