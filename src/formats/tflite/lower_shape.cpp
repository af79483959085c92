// Operators that move elements: reshape, transpose, concatenate, pad.
#include <algorithm>

#include "formats/tflite/op_context.h"

namespace ew::formats::tflite {
namespace {

using Ints = std::vector<int64_t>;

Result<ValueId> to_shape(const OpContext& c, ValueId x, Ints target) {
  // A size of 0 is a size of 0 here, which our reshape cannot say of an input that has elements.
  if (std::find(target.begin(), target.end(), 0) != target.end()) {
    return unsupported("an empty tensor of shape ", target);
  }
  return c.b.add(ops::kReshape, {x}, {{"shape", std::move(target)}});
}

Result<ValueId> reshape(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  if (c.has_input(1)) {
    EW_TRY(Ints target, c.ints(1));
    return to_shape(c, x, std::move(target));
  }
  Ints target;
  for (const int32_t d : c.options.list<int32_t>(0)) target.push_back(d);
  return to_shape(c, x, std::move(target));
}

// The file's own shape of the output says what the operator's attributes do.
Result<ValueId> to_declared(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const ir::TensorType type, c.declared(0));
  return to_shape(c, x, type.shape.dims());
}

Result<ValueId> transpose(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(Ints perm, c.ints(1));
  for (int64_t& d : perm) d = d < 0 ? d + c.type(x).shape.rank() : d;
  return c.b.add(ops::kTranspose, {x}, {{"perm", std::move(perm)}});
}

Result<ValueId> concatenation(const OpContext& c) {
  std::vector<ValueId> in;
  for (size_t i = 0; i < c.inputs(); ++i) {
    EW_TRY(const ValueId x, c.in(i));
    in.push_back(x);
  }
  if (in.empty()) return invalid_data("nothing to concatenate");
  const ValueId y = c.b.add(ops::kConcat, in, {{"axis", int64_t{c.options.scalar<int32_t>(0)}}});
  return apply_clamp(c, y, c.options.scalar<Activation>(1));
}

const Lowering kLowerings[] = {
    {BuiltinOperator::kConcatenation, one<concatenation>},
    {BuiltinOperator::kExpandDims, one<to_declared>},
    {BuiltinOperator::kReshape, one<reshape>},
    {BuiltinOperator::kSqueeze, one<to_declared>},
    {BuiltinOperator::kTranspose, one<transpose>},
};

}  // namespace

std::span<const Lowering> shape_lowerings() { return kLowerings; }

}  // namespace ew::formats::tflite
