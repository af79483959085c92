// The adjoint of conv_input_grad is the convolution itself: dx = conv(dy, w), and the kernel's
// gradient is that of the convolution with dy as its input and x as the gradient of its output.
#include "ops/gradient.h"
#include "ops/window.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const ValueId x = node.inputs[0];
  const Shape w = b.shape(node.inputs[1]);
  const std::vector<int64_t> kernel(w.begin(), w.end() - 2);
  Attrs attrs{{"strides", node.attrs.ints("strides")},
              {"dilations", node.attrs.ints("dilations")},
              {"padding", node.attrs.text("padding")},
              {"pads", node.attrs.ints("pads")}};
  const ValueId dx = b.add(kConv, {dy[0], node.inputs[1]}, attrs);
  attrs.set("kernel", kernel);
  std::vector<ValueId> all{dx, b.add(kConvWeightGrad, {dy[0], x}, attrs)};
  if (node.inputs.size() > 2) all.push_back(sum_to_shape(b, dy[0], b.shape(node.inputs[2])));
  return all;
}

}  // namespace

extern const Gradient conv_transpose_grad{.grad = grad};

}  // namespace ew::ops
