#pragma once
// Convolutions on small images as a product of a matrix of windows: rows of few pixels would fill
// no register tile, and read the kernel again for each of them.

#include <cstring>

#include "runtime/kernels/conv2d.h"
#include "runtime/kernels/gemm_impl.h"

namespace ew::kernels::EW_TARGET {

/// Rows of outputs shorter than a tile, with enough channels that copying windows costs little. It
/// does not depend on the number of rows, so that bands of an image choose alike.
inline bool is_gathered(const Conv2dShape& s) {
  return s.groups == 1 && s.window.kernel_h * s.window.kernel_w > 1 && s.in_c >= kLanes &&
         s.out_c >= 4 * kLanes && s.window.out_w < max_rows(2);
}

inline int64_t window_floats(const Conv2dShape& s) {
  return s.window.kernel_h * s.window.kernel_w * s.in_c;
}

/// Windows that are gathered at once: what stays in the second-level cache.
inline int64_t gathered_rows(const Conv2dShape& s) {
  constexpr int64_t kFloats = 128 * 1024;
  return min_of(s.batch * s.window.out_h * s.window.out_w,
                max_of(max_rows(2), kFloats / window_floats(s)));
}

inline size_t gathered_workspace_bytes(const Conv2dShape& s) {
  return bytes_of(gathered_rows(s) * window_floats(s));
}

/// The window of output pixel `index`, [kernel_h, kernel_w, in_c], with zeros outside the image.
inline void gather_window(const Conv2dShape& s, const float* x, int64_t index, float* out) {
  const Window2d& w = s.window;
  const int64_t pixels = w.out_h * w.out_w;
  const float* image = x + index / pixels * w.in_h * w.in_w * s.in_c;
  const int64_t top = index % pixels / w.out_w * w.stride_h - w.pad_top;
  const int64_t left = index % w.out_w * w.stride_w - w.pad_left;
  for (int64_t i = 0; i < w.kernel_h; ++i) {
    const int64_t y = top + i * w.dilation_h;
    const float* row = image + y * w.in_w * s.in_c;
    for (int64_t j = 0; j < w.kernel_w; ++j, out += s.in_c) {
      const int64_t column = left + j * w.dilation_w;
      if (y >= 0 && y < w.in_h && column >= 0 && column < w.in_w) {
        std::memcpy(out, row + column * s.in_c, bytes_of(s.in_c));
      } else {
        std::memset(out, 0, bytes_of(s.in_c));
      }
    }
  }
}

/// `packed` as run_conv() takes it: the panels of a product of many rows.
inline void conv2d_gathered(const Conv2dShape& s, const float* x, const PackedB& packed,
                            const float* bias, Clamp clamp, float* y, void* workspace,
                            ThreadPool* pool) {
  auto* windows = static_cast<float*>(workspace);
  const int64_t rows = s.batch * s.window.out_h * s.window.out_w;
  const int64_t step = gathered_rows(s);
  GemmArgs g;
  g.n = s.out_c;
  g.k = window_floats(s);
  g.a = windows;
  g.lda = g.k;
  g.is_packed = true;
  g.b = packed.floats;
  g.halves = packed.halves;
  g.half_type = packed.type;
  g.ldc = s.out_c;
  g.bias = bias;
  g.clamp = clamp;
  for (int64_t first = 0; first < rows; first += step) {
    g.m = min_of(step, rows - first);
    g.c = y + first * s.out_c;
    constexpr int64_t kLeastCopied = 16 * 1024;  // floats that starting a loop is worth
    ThreadPool* wide = g.m * g.k < kLeastCopied ? nullptr : pool;
    parallel_pieces(wide, 1, g.m, thread_count(wide), [&](int64_t, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        gather_window(s, x, first + i, windows + i * g.k);
      }
    });
    gemm_planned(g, GemmPlan(g, kStreamedRows + 1), nullptr, pool);
  }
}

}  // namespace ew::kernels::EW_TARGET
