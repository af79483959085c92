// The gradient goes to the places that were read; the others get zero.
#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  Attrs attrs = node.attrs;
  attrs.set("shape", b.shape(node.inputs[0]).dims());
  return {b.add(kSliceScatter, {dy[0]}, attrs)};
}

}  // namespace

extern const Gradient slice_grad{.grad = grad};

}  // namespace ew::ops
