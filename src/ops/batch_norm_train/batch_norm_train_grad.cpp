// Only y carries a gradient: the moving averages and saved statistics feed no loss.
#include "ops/gradient.h"
#include "ops/window.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  std::vector<ValueId> dx(5, kNoValue);
  if (dy[0] == kNoValue) return dx;
  const std::vector<ValueId> out =
      b.add_multi(kBatchNormTrainGrad,
                  {node.inputs[0], node.inputs[1], node.outputs[3], node.outputs[4], dy[0]},
                  shared_attrs(node, kBatchNormTrainGrad));
  if (out.empty()) return dx;
  dx[0] = out[0];
  if (node.inputs[1] != kNoValue) dx[1] = out[1];
  if (node.inputs[2] != kNoValue) dx[2] = out[2];
  return dx;
}

}  // namespace

extern const Gradient batch_norm_train_grad{.grad = grad};

}  // namespace ew::ops
