// The table of gradients, made from ops.def, and those of the elementwise rows.
#include <iterator>

#include "ops/gradient.h"

namespace ew::ops {

#define EW_DECLARE_yes(name) extern const Gradient name##_grad;
#define EW_DECLARE_no(name)
#define EW_OP(name, Name, grad, ...) EW_DECLARE_##grad(name)
#include "ops/ops.def"
#undef EW_OP

namespace {

#define EW_UNARY(name, Name, ...)                                                        \
  std::vector<ValueId> name##_unary_grad(Builder& b, const Node& node,                   \
                                         std::span<const ValueId> dy) {                  \
    return {b.add(k##Name##Grad, {node.inputs[0], node.outputs[0], dy[0]}, node.attrs)}; \
  }                                                                                      \
  constexpr Gradient k##Name##Facet{.grad = name##_unary_grad};
#include "ops/unary/unary.def"
#undef EW_UNARY

struct Row {
  const OpDef* op;
  const Gradient* gradient;
};

const Row kRows[] = {
#define EW_ROW_yes(name, Name) {&k##Name, &name##_grad},
#define EW_ROW_no(name, Name)
#define EW_OP(name, Name, grad, ...) EW_ROW_##grad(name, Name)
#include "ops/ops.def"
#undef EW_OP
#define EW_UNARY(name, Name, ...) {&k##Name, &k##Name##Facet},
#include "ops/unary/unary.def"
#undef EW_UNARY
};

}  // namespace

extern const Gradient* find_binary_gradient(const OpDef& op);

const Gradient* find_gradient(const OpDef& op) {
  for (const Row& row : kRows) {
    if (row.op == &op) return row.gradient;
  }
  return find_binary_gradient(op);
}

ValueId sum_to_shape(Builder& b, ValueId dy, Shape shape) {
  if (!b.ok() || b.shape(dy) == shape) return dy;
  const Shape& from = b.shape(dy);
  const int shift = from.rank() - shape.rank();
  std::vector<int64_t> axes;
  for (int d = 0; d < from.rank(); ++d) {
    if (d < shift || (shape[d - shift] == 1 && from[d] != 1)) axes.push_back(d);
  }
  if (!axes.empty()) dy = b.add(kReduceSum, {dy}, {{"axes", axes}, {"keepdims", true}});
  return b.add(kReshape, {dy}, {{"shape", shape.dims()}});
}

}  // namespace ew::ops
