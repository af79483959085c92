// The transpose of adding frames is cutting them. Where `size` leaves room for more frames than
// there are, the last ones are cut off.
#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const Shape x = b.shape(node.inputs[0]);
  const int axis = *normalize_axis(node.attrs.integer("axis"), x.rank());
  const ValueId frames = b.add(
      kFrame, {dy[0]},
      {{"axis", int64_t{axis}}, {"length", x[axis + 1]}, {"step", node.attrs.integer("step")}});
  std::vector<int64_t> end(static_cast<size_t>(axis) + 1, kMaxElements);
  end.back() = x[axis];
  return {b.add(kSlice, {frames}, {{"begin", std::vector<int64_t>(end.size(), 0)}, {"end", end}})};
}

}  // namespace

extern const Gradient overlap_add_grad{.grad = grad};

}  // namespace ew::ops
