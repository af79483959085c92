#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  return {kNoValue, b.add(kGather, {dy[0], node.inputs[0]})};
}

}  // namespace

extern const Gradient scatter_add_grad{.grad = grad};

}  // namespace ew::ops
