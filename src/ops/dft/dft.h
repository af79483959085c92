#pragma once
// The attributes of dft as a plan.

#include "ops/ops.h"
#include "ops/signal/fft.h"

namespace ew::ops {

/// Longest transform: its tables take 50 bytes an element.
inline constexpr int64_t kMaxDftLength = int64_t{1} << 24;

/// What a dft node does to each row of x; x's last dimensions must be known.
signal::DftRows dft_rows_of(const Shape& x, const Attrs& attrs);

}  // namespace ew::ops
