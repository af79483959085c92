// Gradients of the operators of binary.def. Comparisons have none.
#include "ops/gradient.h"

namespace ew::ops {
namespace {

ValueId as_input(Builder& b, const Node& node, size_t i, ValueId gradient) {
  return sum_to_shape(b, gradient, b.shape(node.inputs[i]));
}

std::vector<ValueId> add_grad(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return {as_input(b, n, 0, dy[0]), as_input(b, n, 1, dy[0])};
}

std::vector<ValueId> sub_grad(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return {as_input(b, n, 0, dy[0]), as_input(b, n, 1, b.add(kNeg, {dy[0]}))};
}

std::vector<ValueId> mul_grad(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return {as_input(b, n, 0, b.add(kMul, {dy[0], n.inputs[1]})),
          as_input(b, n, 1, b.add(kMul, {dy[0], n.inputs[0]}))};
}

// d(x/y) = dx / y - (x/y) dy / y
std::vector<ValueId> div_grad(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const ValueId dx = b.add(kDiv, {dy[0], n.inputs[1]});
  return {as_input(b, n, 0, dx), as_input(b, n, 1, b.add(kNeg, {b.add(kMul, {dx, n.outputs[0]})}))};
}

// Where both inputs are equal the first one gets the whole gradient, as in TensorFlow.
std::vector<ValueId> select_grad(Builder& b, const Node& n, std::span<const ValueId> dy,
                                 const OpDef& first_wins) {
  const DType dtype = b.type(dy[0]).dtype;
  const ValueId wins = b.add(first_wins, {n.inputs[0], n.inputs[1]});
  const ValueId mask = b.add(kCast, {wins}, {{"to", std::string(dtype_name(dtype))}});
  const ValueId first = b.add(kMul, {dy[0], mask});
  return {as_input(b, n, 0, first), as_input(b, n, 1, b.add(kSub, {dy[0], first}))};
}

std::vector<ValueId> maximum_grad(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return select_grad(b, n, dy, kGreaterEqual);
}

std::vector<ValueId> minimum_grad(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return select_grad(b, n, dy, kLessEqual);
}

// d(x^y) = y x^(y-1) dx + x^y ln(x) dy
std::vector<ValueId> pow_grad(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const ValueId x = n.inputs[0];
  const ValueId y = n.inputs[1];
  const ValueId one = b.scalar(1, b.type(x).dtype);
  const ValueId slope = b.add(kMul, {y, b.add(kPow, {x, b.add(kSub, {y, one})})});
  const ValueId log = b.add(kMul, {n.outputs[0], b.add(kLog, {x})});
  return {as_input(b, n, 0, b.add(kMul, {dy[0], slope})),
          as_input(b, n, 1, b.add(kMul, {dy[0], log}))};
}

struct Row {
  const OpDef* op;
  Gradient gradient;
};
const Row kRows[] = {{&kAdd, {.grad = add_grad}},         {&kSub, {.grad = sub_grad}},
                     {&kMul, {.grad = mul_grad}},         {&kDiv, {.grad = div_grad}},
                     {&kMaximum, {.grad = maximum_grad}}, {&kMinimum, {.grad = minimum_grad}},
                     {&kPow, {.grad = pow_grad}}};

}  // namespace

const Gradient* find_binary_gradient(const OpDef& op);
const Gradient* find_binary_gradient(const OpDef& op) {
  for (const Row& row : kRows) {
    if (row.op == &op) return &row.gradient;
  }
  return nullptr;
}

}  // namespace ew::ops
