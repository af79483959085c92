#pragma once
// What every kernel header shares.
//
// Rules for all kernels, so that they need not be repeated:
//   - Pointers are to contiguous f32 unless a stride is given; alignment above 4 bytes is not
//   needed.
//   - Inputs and outputs must not overlap, except where "in place" is allowed.
//   - `workspace` needs 64-byte alignment and the size that the matching *_workspace_bytes function
//     returns (it may be null if that is 0). Its content is undefined before and after.
//   - `pool` may be null: then the caller's thread does everything. A pool may have at most the
//   number
//     of threads that the workspace was sized for. The bits of a result do not depend on the pool.
//   - Nothing allocates, throws or fails; sizes are trusted (zero is allowed everywhere).
//   - Sums of many f32 values use blocks of at most a few thousand terms in f32 and double above
//   that.

#include <cstddef>
#include <cstdint>
#include <limits>

namespace ew {
class ThreadPool;
}

namespace ew::kernels {

/// y = min(max(x, lo), hi), fused into many kernels: the default does nothing, {0} is ReLU, {0, 6}
/// ReLU6. NaN passes through.
struct Clamp {
  float lo = -std::numeric_limits<float>::infinity();
  float hi = std::numeric_limits<float>::infinity();
};

/// Sliding window over the two spatial dimensions of an NHWC tensor, shared by convolution and
/// pooling. Output (oy, ox) reads input rows oy * stride_h - pad_top + ky * dilation_h; what falls
/// outside the input is padding. Bottom and right padding follow from out_h and out_w.
struct Window2d {
  int64_t in_h = 1, in_w = 1;
  int64_t out_h = 1, out_w = 1;
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0;
};

/// Outputs along one dimension: floor((in + pads - dilated kernel) / stride) + 1; 0 if none fits.
constexpr int64_t window_output_size(int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
                                     int64_t pad_before, int64_t pad_after) {
  const int64_t room = in + pad_before + pad_after - ((kernel - 1) * dilation + 1);
  return room < 0 ? 0 : room / stride + 1;
}

}  // namespace ew::kernels
