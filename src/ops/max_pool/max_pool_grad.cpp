#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  return {b.add(kMaxPoolGrad, {node.inputs[0], dy[0]}, node.attrs)};
}

}  // namespace

extern const Gradient max_pool_grad{.grad = grad};

}  // namespace ew::ops
