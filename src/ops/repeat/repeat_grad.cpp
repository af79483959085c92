// Every element gets the sum of its copies' gradients.
#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const Shape shape = b.shape(node.inputs[0]);
  const int axis = *normalize_axis(node.attrs.integer("axis"), shape.rank());
  const AxisSplit v = split_at(shape, axis);
  const std::vector<int64_t> copies{v.outer * v.axis, node.attrs.integer("repeats"), v.inner};
  const ValueId apart = b.add(kReshape, {dy[0]}, {{"shape", copies}});
  const ValueId sum = b.add(kReduceSum, {apart}, {{"axes", std::vector<int64_t>{1}}});
  return {b.add(kReshape, {sum}, {{"shape", shape.dims()}})};
}

}  // namespace

extern const Gradient repeat_grad{.grad = grad};

}  // namespace ew::ops
