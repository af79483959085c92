#pragma once
// Two-dimensional convolution, dense (with groups) and depthwise, NHWC.

#include "runtime/kernels/common.h"

namespace ew::kernels {

/// x [batch, in_h, in_w, in_c], w [kernel_h, kernel_w, in_c / groups, out_c],
/// y [batch, out_h, out_w, out_c]. Group g maps input channels [g, g+1) * in_c / groups to output
/// channels [g, g+1) * out_c / groups; `groups` divides both.
struct Conv2dShape {
  Window2d window{};
  int64_t batch = 1;
  int64_t in_c = 1, out_c = 1;
  int64_t groups = 1;
};

/// x [batch, in_h, in_w, channels], w [kernel_h, kernel_w, channels, multiplier],
/// y [batch, out_h, out_w, channels * multiplier]; output channel c * multiplier + m reads input c.
struct DepthwiseShape {
  Window2d window{};
  int64_t batch = 1;
  int64_t channels = 1;
  int64_t multiplier = 1;
  /// If not 0, row r of x is number (ring_first + r) % ring of the rows that x points to. One
  /// image, where depthwise_takes_ring() allows it.
  int64_t ring = 0;
  int64_t ring_first = 0;
};

}  // namespace ew::kernels
