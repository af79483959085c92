#pragma once
// What the reduction operators share: reduce_sum, reduce_mean, reduce_max.

#include "ops/ops.h"

namespace ew::ops {

/// attrs of every reduction: axes (empty: all), keepdims.
extern const AttrDef kReduceAttrs[2];

Result<std::vector<TensorType>> infer_reduce(InputTypes in, const Attrs& attrs);
/// The same for any dtype.
Result<std::vector<TensorType>> infer_reduced_shape(InputTypes in, const Attrs& attrs);

/// Which dimensions are reduced.
std::vector<bool> reduced_dims(const Shape& shape, const Attrs& attrs);

/// The input's shape with the reduced dimensions as 1: what keepdims=true gives.
Shape keepdims_shape(const Shape& shape, const Attrs& attrs);

}  // namespace ew::ops
