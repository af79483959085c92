// In training the batch's own statistics normalise, and the moving averages follow them. The
// gradient below is that of inference, which a frozen layer uses: an affine function of x.
#include "ops/gradient.h"
#include "ops/window.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const Shape shape = b.shape(node.inputs[0]);
  const int64_t axis = *normalize_axis(node.attrs.integer("axis"), shape.rank());
  const DType dtype = b.type(dy[0]).dtype;
  std::vector<int64_t> along(static_cast<size_t>(shape.rank()), 1);
  along[static_cast<size_t>(axis)] = shape[static_cast<int>(axis)];
  std::vector<int64_t> others;
  for (int64_t d = 0; d < shape.rank(); ++d) {
    if (d != axis) others.push_back(d);
  }
  const auto wide = [&](ValueId v) { return b.add(kReshape, {v}, {{"shape", along}}); };
  const auto sum = [&](ValueId v) {
    if (others.empty()) return v;
    return b.add(kReduceSum, {v}, {{"axes", others}});
  };
  const ValueId epsilon = b.scalar(node.attrs.number("epsilon"), dtype);
  const ValueId inv = b.add(kRsqrt, {b.add(kAdd, {node.inputs[4], epsilon})});
  const ValueId gamma = node.inputs[1];
  const ValueId scale = gamma == kNoValue ? inv : b.add(kMul, {gamma, inv});
  std::vector<ValueId> dx(5, kNoValue);
  dx[0] = b.add(kMul, {dy[0], wide(scale)});
  if (gamma != kNoValue) {
    const ValueId centred = b.add(kSub, {node.inputs[0], wide(node.inputs[3])});
    dx[1] = b.add(kMul, {sum(b.add(kMul, {dy[0], centred})), inv});
  }
  if (node.inputs[2] != kNoValue) dx[2] = sum(dy[0]);
  return dx;
}

// A parameter of a half type reaches the operator through a cast; its next value goes back by one.
void update(Builder& b, TrainingScope& scope, ValueId moving, ValueId next) {
  const Node* cast = b.graph().producer(moving);
  if (cast != nullptr && cast->op == &kCast) {
    const ValueId parameter = cast->inputs[0];
    next = b.add(kCast, {next}, {{"to", std::string(dtype_name(b.type(parameter).dtype))}});
    moving = parameter;
  }
  scope.add_update(moving, next);
}

std::vector<ValueId> training(Builder& b, const Node& node, std::span<const ValueId> inputs,
                              TrainingScope& scope) {
  const std::vector<ValueId> in(inputs.begin(), inputs.end());
  if (node.attrs.flag("is_frozen")) return {b.add(kBatchNorm, in, node.attrs)};
  const std::vector<ValueId> out =
      b.add_multi(kBatchNormTrain, in, shared_attrs(node, kBatchNormTrain));
  if (out.empty()) return {kNoValue};
  update(b, scope, in[3], out[1]);
  update(b, scope, in[4], out[2]);
  return {out[0]};
}

}  // namespace

extern const Gradient batch_norm_grad{.grad = grad, .training = training};

}  // namespace ew::ops
