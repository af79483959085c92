#pragma once
// What the reference and the CPU facet of frame share: copying whole frames is fast as it stands.

#include "ops/ops.h"

namespace ew::ops {

/// Every frame of `in` into `out`, whose type frame's infer() gave.
void copy_frames(ConstTensorView in, TensorView out, const Attrs& attrs);

}  // namespace ew::ops
