// The elements equal to the maximum share the gradient evenly, as in TensorFlow.
#include "ops/gradient.h"
#include "ops/reduce.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const ValueId x = node.inputs[0];
  const std::vector<int64_t> kept = keepdims_shape(b.shape(x), node.attrs).dims();
  const std::string dtype = dtype_name(b.type(x).dtype);
  const ValueId max = b.add(kReshape, {node.outputs[0]}, {{"shape", kept}});
  const ValueId is_max = b.add(kCast, {b.add(kEqual, {x, max})}, {{"to", dtype}});
  Attrs over = node.attrs;
  over.set("keepdims", true);
  const ValueId count = b.add(kReduceSum, {is_max}, over);
  const ValueId share = b.add(kDiv, {b.add(kReshape, {dy[0]}, {{"shape", kept}}), count});
  return {b.add(kMul, {is_max, share})};
}

}  // namespace

extern const Gradient reduce_max_grad{.grad = grad};

}  // namespace ew::ops
