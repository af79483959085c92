// A filter that starts at rest is linear and does not change with time: its transpose is the same
// filter on the signal backwards.
#include <cstdint>

#include "ops/gradient.h"

namespace ew::ops {
namespace {

ValueId reversed(Builder& b, ValueId x) {
  const auto rank = static_cast<size_t>(b.shape(x).rank());
  std::vector<int64_t> begin(rank, 0);
  std::vector<int64_t> end(rank, kMaxElements);
  std::vector<int64_t> strides(rank, 1);
  begin.back() = kMaxElements;
  end.back() = INT64_MIN;
  strides.back() = -1;
  return b.add(kSlice, {x}, {{"begin", begin}, {"end", end}, {"strides", strides}});
}

std::vector<ValueId> grad(Builder& b, const Node& node, std::span<const ValueId> dy) {
  if (node.outputs.size() > 1) {
    return {b.fail(unsupported("biquad has no gradient through its state")), kNoValue};
  }
  return {reversed(b, b.add(kBiquad, {reversed(b, dy[0])}, node.attrs))};
}

}  // namespace

extern const Gradient biquad_grad{.grad = grad};

}  // namespace ew::ops
