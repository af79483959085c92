#pragma once
// All operators, and what their definitions share.

#include <cmath>
#include <span>
#include <vector>

#include "ir/graph.h"

namespace ew::ops {

using ir::AttrDef;
using ir::Attrs;
using ir::Builder;
using ir::ConstTensorView;
using ir::ConstViews;
using ir::InputTypes;
using ir::Int8Profile;
using ir::kNoValue;
using ir::Node;
using ir::OpDef;
using ir::QuantRule;
using ir::Tensor;
using ir::TensorType;
using ir::TensorView;
using ir::ValueId;
using ir::Views;

#define EW_OP(name, Name, ...) extern const OpDef k##Name;
#include "ops/ops.def"
#undef EW_OP

// Elementwise operators are rows of a table, not folders: each row has the operator k<Name> and,
// for unary ones, k<Name>Grad(x, y, dy) = dy * f'(x).
#define EW_UNARY(name, Name, ...) \
  extern const OpDef k##Name;     \
  extern const OpDef k##Name##Grad;
#include "ops/unary/unary.def"
#undef EW_UNARY
#define EW_BINARY(name, Name, ...) extern const OpDef k##Name;
#define EW_COMPARE(name, Name, ...) extern const OpDef k##Name;
#include "ops/binary/binary.def"
#undef EW_BINARY
#undef EW_COMPARE

/// Every operator of this build, for look-up by name and for documentation.
std::span<const OpDef* const> all_ops();
/// The operator of that name, or null.
const OpDef* find_op(std::string_view name);

/// An output type equal to input 0's without its quantisation.
Result<std::vector<TensorType>> infer_same(InputTypes in, const Attrs& attrs);

/// Error kInvalidArgument unless the dtype is float32, float64, float16 or bfloat16.
Status expect_floating(const TensorType& type);
/// The same, or quantised int8: for operators that have an integer reference.
Status expect_real(const TensorType& type);
/// Error kInvalidArgument unless all inputs that are there have the dtype of the first. References
/// read them all as that type, so every operator of several numbers checks it.
Status expect_same_dtype(InputTypes in);

/// A shape seen as [outer, axis, inner] around one axis.
struct AxisSplit {
  int64_t outer = 1;
  int64_t axis = 1;
  int64_t inner = 1;
};
AxisSplit split_at(const Shape& shape, int axis);

/// Calls f.template operator()<T>() with T = float or double (what references compute in).
template <typename F>
void dispatch_real(DType dtype, F&& f) {
  if (dtype == DType::kF64)
    f.template operator()<double>();
  else
    f.template operator()<float>();
}

/// Calls f(linear index in `out`, index in `in`) for every element of the output shape, where `in`
/// is broadcast to it. Both shapes static.
class BroadcastIndex {
 public:
  BroadcastIndex(const Shape& in, const Shape& out);
  /// Index into the input of output element `i`.
  int64_t operator()(int64_t i) const;
  bool is_identity() const { return identity_; }

 private:
  std::vector<int64_t> out_strides_;
  std::vector<int64_t> in_strides_;
  bool identity_ = true;
};

}  // namespace ew::ops
