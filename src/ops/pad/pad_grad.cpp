// The gradient is the part of dy that came from x.
#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const Shape shape = b.shape(node.inputs[0]);
  const std::vector<int64_t>& pads = node.attrs.ints("pads");
  std::vector<int64_t> begin;
  std::vector<int64_t> end;
  for (int d = 0; d < shape.rank(); ++d) {
    begin.push_back(pads[static_cast<size_t>(d)]);
    end.push_back(begin.back() + shape[d]);
  }
  return {b.add(kSlice, {dy[0]}, {{"begin", begin}, {"end", end}})};
}

}  // namespace

extern const Gradient pad_grad{.grad = grad};

}  // namespace ew::ops
