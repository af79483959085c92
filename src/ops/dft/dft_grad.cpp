// The transform is linear: dx is the conjugate transform of dX, of which the elements that x has
// are taken. |X|^2 has dX = 2 X dy, |X| has dX = X / |X| dy (0 where X is).
#include "ops/gradient.h"

namespace ew::ops {
namespace {

ValueId with_last(Builder& b, ValueId x, int64_t size) {
  std::vector<int64_t> shape = b.shape(x).dims();
  shape.push_back(size);
  return b.add(kReshape, {x}, {{"shape", shape}});
}

// dX as pairs, from the gradient of what was made of X.
ValueId of_pairs(Builder& b, const Node& node, ValueId dy) {
  const std::string& output = node.attrs.text("output");
  if (output == "complex") return dy;
  Attrs attrs = node.attrs;
  attrs.set("output", std::string("complex"));
  const ValueId pairs = b.add(kDft, {node.inputs[0]}, attrs);
  const DType dtype = b.type(dy).dtype;
  ValueId factor = b.add(kMul, {dy, b.scalar(2, dtype)});
  if (output == "magnitude") {
    const ValueId floor = b.scalar(1e-30, dtype);
    factor = b.add(kDiv, {dy, b.add(kMaximum, {node.outputs[0], floor})});
  }
  return b.add(kMul, {pairs, with_last(b, factor, 1)});
}

// Elements [0, size) of dimension `axis`, with zeros behind where there are fewer.
ValueId resized(Builder& b, ValueId x, int axis, int64_t size) {
  const Shape shape = b.shape(x);
  const auto rank = static_cast<size_t>(shape.rank());
  if (shape[axis] > size) {
    std::vector<int64_t> end(static_cast<size_t>(axis) + 1, kMaxElements);
    end.back() = size;
    return b.add(kSlice, {x}, {{"begin", std::vector<int64_t>(end.size(), 0)}, {"end", end}});
  }
  if (shape[axis] == size) return x;
  std::vector<int64_t> pads(2 * rank, 0);
  pads[rank + static_cast<size_t>(axis)] = size - shape[axis];
  return b.add(kPad, {x}, {{"pads", pads}});
}

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const Shape x = b.shape(node.inputs[0]);
  const bool is_complex = node.attrs.flag("complex");
  const int axis = x.rank() - (is_complex ? 2 : 1);
  const int64_t given = x[axis];
  const int64_t n = node.attrs.integer("length") == 0 ? given : node.attrs.integer("length");
  const bool inverse = node.attrs.flag("inverse");
  ValueId dx = b.add(kDft, {of_pairs(b, node, dy[0])},
                     {{"complex", true}, {"length", n}, {"inverse", !inverse}});
  const double scale = inverse ? 1.0 / static_cast<double>(n) : static_cast<double>(n);
  dx = b.add(kMul, {dx, b.scalar(scale, b.type(dx).dtype)});
  dx = resized(b, dx, axis, given);
  if (is_complex) return {dx};
  std::vector<int64_t> begin(static_cast<size_t>(x.rank()) + 1, 0);
  std::vector<int64_t> end(begin.size(), kMaxElements);
  end.back() = 1;
  dx = b.add(kSlice, {dx}, {{"begin", begin}, {"end", end}});
  return {b.add(kReshape, {dx}, {{"shape", x.dims()}})};
}

}  // namespace

extern const Gradient dft_grad{.grad = grad};

}  // namespace ew::ops
