// Every input gets its own slice of the gradient.
#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const int rank = b.shape(dy[0]).rank();
  const auto axis = static_cast<size_t>((node.attrs.integer("axis") + rank) % rank);
  std::vector<int64_t> begin(static_cast<size_t>(rank), 0);
  std::vector<int64_t> end = b.shape(dy[0]).dims();
  std::vector<ValueId> gradients;
  for (const ValueId input : node.inputs) {
    end[axis] = begin[axis] + b.shape(input)[static_cast<int>(axis)];
    gradients.push_back(b.add(kSlice, {dy[0]}, {{"begin", begin}, {"end", end}}));
    begin[axis] = end[axis];
  }
  return gradients;
}

}  // namespace

extern const Gradient concat_grad{.grad = grad};

}  // namespace ew::ops
