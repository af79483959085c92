// Each element's gradient goes to the input it was taken from.
#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const ValueId condition = node.inputs[0];
  const ValueId zero = b.scalar(0, b.type(dy[0]).dtype);
  const ValueId dx = b.add(kWhere, {condition, dy[0], zero});
  const ValueId dz = b.add(kWhere, {condition, zero, dy[0]});
  return {kNoValue, sum_to_shape(b, dx, b.shape(node.inputs[1])),
          sum_to_shape(b, dz, b.shape(node.inputs[2]))};
}

}  // namespace

extern const Gradient where_grad{.grad = grad};

}  // namespace ew::ops
