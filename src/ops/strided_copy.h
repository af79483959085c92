#pragma once
// What moves elements without looking at them: transpose, slice, pad and their gradients.

#include <vector>

#include "ops/ops.h"

namespace ew::ops {

/// One dimension of a copy: `length` elements, `from` and `to` elements apart. Strides may be
/// negative.
struct CopyDim {
  int64_t length = 0;
  int64_t from = 0;
  int64_t to = 0;
};

/// Copies elements of `size` bytes: index (i_0, i_1, ...) from source + sum(i_d from_d) to
/// target + sum(i_d to_d). No two indices share a target; source and target do not overlap. Runs of
/// neighbours are copied at once, and exchanged dimensions in tiles.
void strided_copy(std::vector<CopyDim> dims, size_t size, const void* source, void* target);

}  // namespace ew::ops
