#include "ops/ops.h"

#include "ops/selected.h"

namespace ew::ops {
namespace {

const OpDef* const kAll[] = {
#define EW_OP(name, Name, ...) &k##Name,
#include EW_OPS_DEF
#undef EW_OP
#define EW_UNARY(name, Name, ...) &k##Name, &k##Name##Grad,
#include EW_UNARY_DEF
#undef EW_UNARY
#define EW_BINARY(name, Name, ...) &k##Name,
#define EW_COMPARE(name, Name, ...) &k##Name,
#include EW_BINARY_DEF
#undef EW_BINARY
#undef EW_COMPARE
};

}  // namespace

std::span<const OpDef* const> all_ops() { return kAll; }

const OpDef* find_op(std::string_view name) {
  for (const OpDef* op : kAll) {
    if (name == op->name) return op;
  }
  return nullptr;
}

Result<std::vector<TensorType>> infer_same(InputTypes in, const Attrs&) {
  return std::vector<TensorType>{{in[0]->dtype, in[0]->shape, nullptr}};
}

Status expect_floating(const TensorType& type) {
  if (is_floating(type.dtype)) return {};
  return invalid_argument("expected a floating-point tensor, found ", type);
}

Status expect_real(const TensorType& type) {
  if (is_floating(type.dtype) || (type.quant && type.dtype == DType::kI8)) return {};
  return invalid_argument("expected a floating-point or quantised int8 tensor, found ", type);
}

Status expect_same_dtype(InputTypes in) {
  for (const TensorType* type : in) {
    if (type != nullptr && type->dtype != in[0]->dtype) {
      return invalid_argument("inputs have different dtypes: ", in[0]->dtype, " and ", type->dtype);
    }
  }
  return {};
}

AxisSplit split_at(const Shape& shape, int axis) {
  return {shape.product(0, axis), shape[axis], shape.product(axis + 1, shape.rank())};
}

BroadcastIndex::BroadcastIndex(const Shape& in, const Shape& out)
    : out_strides_(strides_of(out)), in_strides_(static_cast<size_t>(out.rank()), 0) {
  const std::vector<int64_t> strides = strides_of(in);
  const int shift = out.rank() - in.rank();
  for (int d = 0; d < out.rank(); ++d) {
    const bool is_repeated = d < shift || (in[d - shift] == 1 && out[d] != 1);
    if (d >= shift && !is_repeated) {
      in_strides_[static_cast<size_t>(d)] = strides[static_cast<size_t>(d - shift)];
    }
    identity_ = identity_ && (!is_repeated || out[d] == 1);
  }
}

int64_t BroadcastIndex::operator()(int64_t i) const {
  if (identity_) return i;
  int64_t index = 0;
  for (size_t d = 0; d < out_strides_.size(); ++d) {
    index += i / out_strides_[d] * in_strides_[d];
    i %= out_strides_[d];
  }
  return index;
}

}  // namespace ew::ops
