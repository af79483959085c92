// Every averaged element gets its share: dx = broadcast(dy) / count.
#include "ops/gradient.h"
#include "ops/reduce.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const Shape shape = b.shape(node.inputs[0]);
  const Shape kept = keepdims_shape(shape, node.attrs);
  const double share = static_cast<double>(kept.num_elements()) /
                       static_cast<double>(std::max<int64_t>(shape.num_elements(), 1));
  const ValueId scaled = b.add(kMul, {b.add(kReshape, {dy[0]}, {{"shape", kept.dims()}}),
                                      b.scalar(share, b.type(dy[0]).dtype)});
  return {b.add(kBroadcastTo, {scaled}, {{"shape", shape.dims()}})};
}

}  // namespace

extern const Gradient reduce_mean_grad{.grad = grad};

}  // namespace ew::ops
