// A row's gradient is the sum over all places that read it; ids have none.
#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const int64_t rows = b.shape(node.inputs[0])[0];
  return {b.add(kScatterAdd, {node.inputs[1], dy[0]}, {{"rows", rows}}), kNoValue};
}

}  // namespace

extern const Gradient gather_grad{.grad = grad};

}  // namespace ew::ops
