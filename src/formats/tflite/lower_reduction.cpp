// Reductions and normalisations.
#include "formats/tflite/op_context.h"

namespace ew::formats::tflite {
namespace {

// Over any dtype, none of it quantised.
Result<ValueId> reduce_plain(const OpContext& c, const char* kind) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(std::vector<int64_t> axes, c.ints(1));
  if (axes.empty() || c.type(x).quant) return unsupported("of ", c.type(x), " over axes ", axes);
  return c.b.add(
      ops::kReduce, {x},
      {{"kind", std::string(kind)}, {"axes", std::move(axes)}, {"keepdims", c.options.flag(0)}});
}
Result<ValueId> reduce_prod(const OpContext& c) { return reduce_plain(c, "prod"); }
Result<ValueId> reduce_any(const OpContext& c) { return reduce_plain(c, "max"); }
Result<ValueId> reduce_all(const OpContext& c) { return reduce_plain(c, "min"); }

template <const ir::OpDef& op>
Result<ValueId> reduce(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(std::vector<int64_t> axes, c.ints(1));
  if (axes.empty()) return unsupported("a reduction over no axis");
  return c.b.add(op, {x}, {{"axes", std::move(axes)}, {"keepdims", c.options.flag(0)}});
}

Result<ValueId> reduce_sum(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  const bool is_plain = !is_floating(c.type(x).dtype) && !c.type(x).quant;
  return is_plain ? reduce_plain(c, "sum") : reduce<ops::kReduceSum>(c);
}

Result<ValueId> reduce_min(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const std::vector<int64_t> axes, c.ints(1));
  if (c.type(x).quant || axes.empty()) return unsupported("of ", c.type(x));
  const ValueId y = c.b.add(ops::kReduceMax, {c.b.add(ops::kNeg, {x})},
                            {{"axes", axes}, {"keepdims", c.options.flag(0)}});
  return c.b.add(ops::kNeg, {y});
}

Result<ValueId> log_softmax(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  return c.b.add(ops::kLogSoftmax, {x});
}

// x / max(|x|, 1e-6) over the last dimension.
Result<ValueId> l2_normalization(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  if (c.type(x).quant) return unsupported("of ", c.type(x), "; expected float32");
  const ValueId sum = c.b.add(ops::kReduceSum, {c.b.add(ops::kSquare, {x})},
                              {{"axes", std::vector<int64_t>{-1}}, {"keepdims", true}});
  const ValueId length =
      c.b.add(ops::kMaximum, {c.b.add(ops::kSqrt, {sum}), c.b.scalar(1e-6, c.type(x).dtype)});
  return apply_clamp(c, c.b.add(ops::kDiv, {x, length}), c.options.scalar<Activation>(0));
}

const Lowering kLowerings[] = {
    {BuiltinOperator::kL2Normalization, one<l2_normalization>},
    {BuiltinOperator::kLogSoftmax, one<log_softmax>},
    {BuiltinOperator::kReduceMin, one<reduce_min>},
    {BuiltinOperator::kMean, one<reduce<ops::kReduceMean>>},
    {BuiltinOperator::kReduceMax, one<reduce<ops::kReduceMax>>},
    {BuiltinOperator::kReduceAll, one<reduce_all>},
    {BuiltinOperator::kReduceAny, one<reduce_any>},
    {BuiltinOperator::kReduceProd, one<reduce_prod>},
    {BuiltinOperator::kSum, one<reduce_sum>},
};

}  // namespace

std::span<const Lowering> reduction_lowerings() { return kLowerings; }

}  // namespace ew::formats::tflite
