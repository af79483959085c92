// A convolution is linear in x and in w: each gradient is an operator over the same products.
#include "ops/gradient.h"
#include "ops/window.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const Shape x = b.shape(node.inputs[0]);
  const Shape w = b.shape(node.inputs[1]);
  Attrs to_input = shared_attrs(node, kConvInputGrad);
  const auto lengths = spatial_of(x);
  to_input.set("input_lengths", std::vector<int64_t>(lengths.begin(), lengths.end()));
  Attrs to_weight = shared_attrs(node, kConvWeightGrad);
  to_weight.set("kernel", std::vector<int64_t>(w.begin(), w.end() - 2));
  std::vector<ValueId> dx{b.add(kConvInputGrad, {dy[0], node.inputs[1]}, to_input),
                          b.add(kConvWeightGrad, {node.inputs[0], dy[0]}, to_weight)};
  if (node.inputs.size() > 2) dx.push_back(sum_to_shape(b, dy[0], b.shape(node.inputs[2])));
  return dx;
}

}  // namespace

extern const Gradient conv_grad{.grad = grad};

}  // namespace ew::ops
