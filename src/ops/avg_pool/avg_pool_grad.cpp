#include "ops/gradient.h"
#include "ops/window.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  Attrs attrs = node.attrs;
  const Shape x = b.shape(node.inputs[0]);
  const auto lengths = spatial_of(x);
  attrs.set("input_lengths", std::vector<int64_t>(lengths.begin(), lengths.end()));
  return {b.add(kAvgPoolGrad, {dy[0]}, attrs)};
}

}  // namespace

extern const Gradient avg_pool_grad{.grad = grad};

}  // namespace ew::ops
