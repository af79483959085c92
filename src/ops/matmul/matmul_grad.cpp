// C = A B:  dA = dC B^T, dB = A^T dC; with transposed operands the factors change places.
#include "ops/gradient.h"

namespace ew::ops {
namespace {

ValueId product(Builder& b, ValueId x, ValueId y, bool tx, bool ty) {
  return b.add(kMatmul, {x, y}, {{"transpose_a", tx}, {"transpose_b", ty}});
}

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const ValueId x = node.inputs[0];
  const ValueId y = node.inputs[1];
  const bool ta = node.attrs.flag("transpose_a");
  const bool tb = node.attrs.flag("transpose_b");
  const ValueId dx = ta ? product(b, y, dy[0], tb, true) : product(b, dy[0], y, false, !tb);
  const ValueId dw = tb ? product(b, dy[0], x, true, ta) : product(b, x, dy[0], !ta, false);
  return {sum_to_shape(b, dx, b.shape(x)), sum_to_shape(b, dw, b.shape(y))};
}

}  // namespace

extern const Gradient matmul_grad{.grad = grad};

}  // namespace ew::ops
