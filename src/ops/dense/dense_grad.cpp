// With rows r over all leading dimensions:  dx = dy w^T, dw = sum_r x_r^T dy_r, dbias = sum_r dy_r.
#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const ValueId x = node.inputs[0];
  const ValueId w = node.inputs[1];
  const Shape shape = b.shape(x);
  const std::vector<int64_t> x_rows{-1, shape[-1]};
  const std::vector<int64_t> y_rows{-1, b.shape(w)[1]};
  const ValueId dy2 =
      b.shape(dy[0]).rank() == 2 ? dy[0] : b.add(kReshape, {dy[0]}, {{"shape", y_rows}});
  const ValueId x2 = shape.rank() == 2 ? x : b.add(kReshape, {x}, {{"shape", x_rows}});
  ValueId dx = b.add(kMatmul, {dy2, w}, {{"transpose_b", true}});
  if (shape.rank() != 2) dx = b.add(kReshape, {dx}, {{"shape", shape.dims()}});
  const ValueId dw = b.add(kMatmul, {x2, dy2}, {{"transpose_a", true}});
  if (node.inputs.size() < 3) return {dx, dw};
  return {dx, dw, b.add(kReduceSum, {dy2}, {{"axes", std::vector<int64_t>{0}}})};
}

}  // namespace

extern const Gradient dense_grad{.grad = grad};

}  // namespace ew::ops
