// The gradient is transposed by the inverse permutation.
#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  const std::vector<int64_t>& perm = node.attrs.ints("perm");
  std::vector<int64_t> inverse(perm.size());
  for (size_t d = 0; d < perm.size(); ++d) {
    inverse[static_cast<size_t>(perm[d])] = static_cast<int64_t>(d);
  }
  return {b.add(kTranspose, {dy[0]}, {{"perm", inverse}})};
}

}  // namespace

extern const Gradient transpose_grad{.grad = grad};

}  // namespace ew::ops
