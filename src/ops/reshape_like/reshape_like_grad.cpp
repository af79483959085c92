#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  return {b.add(kReshape, {dy[0]}, {{"shape", b.shape(node.inputs[0]).dims()}}), kNoValue};
}

}  // namespace

extern const Gradient reshape_like_grad{.grad = grad};

}  // namespace ew::ops
