// Reductions and normalisations.
#include "formats/tflite/op_context.h"

namespace ew::formats::tflite {
namespace {

template <const ir::OpDef& op>
Result<ValueId> reduce(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(std::vector<int64_t> axes, c.ints(1));
  if (axes.empty()) return unsupported("a reduction over no axis");
  return c.b.add(op, {x}, {{"axes", std::move(axes)}, {"keepdims", c.options.flag(0)}});
}

const Lowering kLowerings[] = {
    {BuiltinOperator::kMean, one<reduce<ops::kReduceMean>>},
    {BuiltinOperator::kReduceMax, one<reduce<ops::kReduceMax>>},
    {BuiltinOperator::kSum, one<reduce<ops::kReduceSum>>},
};

}  // namespace

std::span<const Lowering> reduction_lowerings() { return kLowerings; }

}  // namespace ew::formats::tflite
