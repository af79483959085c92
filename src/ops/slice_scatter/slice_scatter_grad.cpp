#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  return {b.add(kSlice, {dy[0]},
                {{"begin", node.attrs.ints("begin")},
                 {"end", node.attrs.ints("end")},
                 {"strides", node.attrs.ints("strides")}})};
}

}  // namespace

extern const Gradient slice_scatter_grad{.grad = grad};

}  // namespace ew::ops
