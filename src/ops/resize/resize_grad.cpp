#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const Shape shape = b.shape(node.inputs[0]);
  return {b.add(kResizeGrad, {dy[0]},
                {{"input_size", std::vector<int64_t>{shape[1], shape[2]}},
                 {"method", node.attrs.text("method")},
                 {"coordinates", node.attrs.text("coordinates")}})};
}

}  // namespace

extern const Gradient resize_grad{.grad = grad};

}  // namespace ew::ops
