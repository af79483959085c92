#pragma once
// The ranges that slice, its gradient and its kernels agree on.

#include "ops/ops.h"

namespace ew::ops {

/// Elements begin, begin + stride, ... of one dimension, all inside it.
struct SliceRange {
  int64_t begin = 0;
  int64_t count = 0;
  int64_t stride = 1;
};

/// The range that slice or slice_scatter takes of dimension `dim` of size `size`.
SliceRange slice_range(int64_t size, const Attrs& attrs, int dim);

}  // namespace ew::ops
