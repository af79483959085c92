// Every reduced element gets the whole gradient: dx = broadcast(dy).
#include "ops/gradient.h"
#include "ops/reduce.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const Shape shape = b.shape(node.inputs[0]);
  const ValueId kept =
      b.add(kReshape, {dy[0]}, {{"shape", keepdims_shape(shape, node.attrs).dims()}});
  return {b.add(kBroadcastTo, {kept}, {{"shape", shape.dims()}})};
}

}  // namespace

extern const Gradient reduce_sum_grad{.grad = grad};

}  // namespace ew::ops
