// dx = dy - softmax(x) sum(dy), and softmax(x) = exp(y).
#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const ValueId sum =
      b.add(kReduceSum, {dy[0]},
            {{"axes", std::vector<int64_t>{node.attrs.integer("axis")}}, {"keepdims", true}});
  const ValueId softmax = b.add(kExp, {node.outputs[0]});
  return {b.add(kSub, {dy[0], b.add(kMul, {softmax, sum})})};
}

}  // namespace

extern const Gradient log_softmax_grad{.grad = grad};

}  // namespace ew::ops
