// The gradient goes back in the input's dtype; integers carry none.
#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const DType dtype = b.type(node.inputs[0]).dtype;
  if (!is_floating(dtype)) return {kNoValue};
  return {b.add(kCast, {dy[0]}, {{"to", std::string(dtype_name(dtype))}})};
}

}  // namespace

extern const Gradient cast_grad{.grad = grad};

}  // namespace ew::ops
