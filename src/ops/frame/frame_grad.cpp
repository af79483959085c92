// Frames overlap, so their gradients add up.
#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const Shape x = b.shape(node.inputs[0]);
  EW_DCHECK(x.is_static());
  const int axis = *normalize_axis(node.attrs.integer("axis"), x.rank());
  return {
      b.add(kOverlapAdd, {dy[0]},
            {{"axis", int64_t{axis}}, {"step", node.attrs.integer("step")}, {"size", x[axis]}})};
}

}  // namespace

extern const Gradient frame_grad{.grad = grad};

}  // namespace ew::ops
