#pragma once
// Gradients of the depthwise convolution. The input's gradient is the same loop over dy, once per
// phase of the stride; the kernel's gradient keeps all taps of a kernel row in registers.

#include "runtime/kernels/conv2d_impl.h"
#include "runtime/kernels/conv2d_weights_impl.h"
#include "runtime/kernels/depthwise_impl.h"

namespace ew::kernels::EW_TARGET {

inline size_t depthwise_grad_input_workspace_bytes(const DepthwiseShape& s, int threads) {
  const PaddedImage image = padded_gradient(s.window, out_channels(s));
  return bytes_of(image_lanes(s.batch, threads) * (repeated_size(s) + padded_size(image)));
}

/// Rows [first, end) of one phase; `rows` is the padded row that offset -image.top of the first
/// reads.
inline void depthwise_grad_phase(const DepthwiseShape& s, const PaddedImage& image, const Taps& ty,
                                 const Taps& tx, const float* rows, int64_t first, int64_t end,
                                 const float* w, float* dx) {
  const int64_t c = out_channels(s);
  DepthwiseTile t;
  t.taps_h = ty.count;
  t.taps_w = tx.count;
  t.x_tap_h = ty.offset_step * image.row_stride();
  t.x_tap_w = tx.offset_step * c;
  t.x_pixel = c;
  t.w = w + (ty.first_tap * s.window.kernel_w + tx.first_tap) * c;
  t.w_tap_h = ty.tap_step * s.window.kernel_w * c;
  t.w_tap_w = tx.tap_step * c;
  t.y_pixel = tx.output_step * c;
  for (int64_t i = first; i < end; ++i) {
    t.x = rows + (i - first + ty.first_offset + image.top) * image.row_stride() +
          (tx.first_offset + image.left) * c;
    t.y = dx + ((ty.first_output + i * ty.output_step) * s.window.in_w + tx.first_output) * c;
    depthwise_row(t, c, tx.outputs);
  }
}

/// One image: bands of rows that all phases share.
inline void depthwise_grad_image(const DepthwiseShape& s, const PaddedImage& image, const float* dy,
                                 const float* w, float* padded, float* dx) {
  const Window2d& v = s.window;
  const int64_t outputs = ceil_div(v.in_h, v.stride_h);
  const int64_t overlap = max_of(0, image.rows - outputs);
  const int64_t band = band_rows(image, 1, overlap);
  for (int64_t first = 0; first < outputs; first += band) {
    const float* rows = dy + first * image.row_stride();
    if (image.needs_copy()) {
      image.copy(dy, first, min_of(image.rows, first + band + overlap), padded);
      rows = padded;
    }
    for (int64_t ph = 0; ph < v.stride_h; ++ph) {
      const Taps ty = grad_taps_h(v, ph);
      const int64_t end = min_of(ty.outputs, first + band);
      for (int64_t pw = 0; pw < v.stride_w; ++pw) {
        depthwise_grad_phase(s, image, ty, grad_taps_w(v, pw), rows, first, end, w, dx);
      }
    }
  }
}

inline void depthwise_grad_input(const DepthwiseShape& s, const float* dy, const float* w,
                                 float* dx, void* workspace, ThreadPool* pool) {
  const Window2d& v = s.window;
  const int64_t c = out_channels(s);
  const PaddedImage image = padded_gradient(v, c);
  const int64_t lanes = image_lanes(s.batch, thread_count(pool));
  const int64_t lane_size = repeated_size(s) + padded_size(image);
  parallel_for(pool, lanes, [&](int64_t lane) {
    float* repeated = static_cast<float*>(workspace) + lane * lane_size;
    for (int64_t n = lane; n < s.batch; n += lanes) {
      float* target = dx + n * v.in_h * v.in_w * s.channels;
      float* wide = s.multiplier > 1 ? repeated : target;
      depthwise_grad_image(s, image, dy + n * v.out_h * v.out_w * c, w, repeated + repeated_size(s),
                           wide);
      if (s.multiplier > 1) sum_channels(wide, v.in_h * v.in_w, s.channels, s.multiplier, target);
    }
  });
}

/// dw[tap] += sum over output rows of x[. + tap] * dy, for kTapRows x kTaps taps of the kernel and
/// kVectors vectors of channels.
struct DepthwiseWeightTile {
  int64_t rows = 0, pixels = 0;
  const float* x = nullptr;
  int64_t x_row = 0, x_pixel = 0, x_tap_row = 0, x_tap = 0;
  const float* dy = nullptr;
  int64_t dy_row = 0, dy_pixel = 0;
  float* dw = nullptr;
  int64_t dw_tap_row = 0, dw_tap = 0;
  int64_t lanes = kLanes;
};

template <int kTapRows, int kTaps, int kVectors, bool kPartial>
void run_depthwise_weights(const DepthwiseWeightTile& t) {
  Vec sum[kTapRows][kTaps][kVectors];
  for (auto& tap_row : sum) {
    for (auto& tap : tap_row) {
      for (Vec& s : tap) s = zero();
    }
  }
  const int64_t tap = t.x_tap;
  for (int64_t r = 0; r < t.rows; ++r) {
    const float* x = t.x + r * t.x_row;
    const float* dy = t.dy + r * t.dy_row;
    for (int64_t p = t.pixels; p > 0; --p, x += t.x_pixel, dy += t.dy_pixel) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        const Vec g = load_lanes<kPartial>(dy + j * kLanes, t.lanes);
#pragma GCC unroll 4
        for (int i = 0; i < kTapRows; ++i) {
          const float* row = x + i * t.x_tap_row + j * kLanes;
#pragma GCC unroll 8
          for (int k = 0; k < kTaps; ++k) {
            sum[i][k][j] = fma(load_lanes<kPartial>(row + k * tap, t.lanes), g, sum[i][k][j]);
          }
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kTapRows; ++i) {
#pragma GCC unroll 8
    for (int k = 0; k < kTaps; ++k) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        float* d = t.dw + i * t.dw_tap_row + k * t.dw_tap + j * kLanes;
        if (kPartial) {
          store_n(d, load_n(d, t.lanes) + sum[i][k][j], t.lanes);
        } else {
          store(d, load(d) + sum[i][k][j]);
        }
      }
    }
  }
}

/// All taps: 3 x 3 at once, else row by row in groups of 5, 3 and 1.
template <int kVectors, bool kPartial>
void depthwise_weight_taps(const DepthwiseWeightTile& base, int64_t taps_h, int64_t taps_w) {
  if (taps_h == 3 && taps_w == 3) {
    run_depthwise_weights<3, 3, kVectors, kPartial>(base);
    return;
  }
  for (int64_t ky = 0; ky < taps_h; ++ky) {
    DepthwiseWeightTile t = base;
    t.x += ky * t.x_tap_row;
    t.dw += ky * t.dw_tap_row;
    for (int64_t taps = taps_w; taps > 0;) {
      const int64_t group = taps >= 5 ? 5 : taps >= 3 ? 3 : 1;
      if (group == 5) {
        run_depthwise_weights<1, 5, kVectors, kPartial>(t);
      } else if (group == 3) {
        run_depthwise_weights<1, 3, kVectors, kPartial>(t);
      } else {
        run_depthwise_weights<1, 1, kVectors, kPartial>(t);
      }
      t.x += group * t.x_tap;
      t.dw += group * t.dw_tap;
      taps -= group;
    }
  }
}

inline int64_t depthwise_chunks(const DepthwiseShape& s) {
  return max_of(1, min_of(kWeightChunks, s.batch / 2));
}

/// Kernel and bias partial sums of one chunk.
inline int64_t depthwise_partial(const DepthwiseShape& s) {
  const int64_t c = out_channels(s);
  return array_size(s.window.kernel_h * s.window.kernel_w * c) + array_size(c);
}

inline size_t depthwise_grad_weights_workspace_bytes(const DepthwiseShape& s, int /*threads*/) {
  const PaddedImage image = padded_input(s.window, out_channels(s));
  return bytes_of(depthwise_chunks(s) *
                  (depthwise_partial(s) + repeated_size(s) + padded_size(image)));
}

/// Adds output rows [first, end) of one image; `x` is the first input row they read.
inline void depthwise_add_rows(const DepthwiseShape& s, const PaddedImage& image, const float* x,
                               const float* dy, int64_t rows, float* dw) {
  const Window2d& v = s.window;
  const int64_t channels = out_channels(s);
  constexpr int kVectors = kRegisters == 32 ? 2 : 1;
  DepthwiseWeightTile base;
  base.rows = rows;
  base.pixels = v.out_w;
  base.x_row = v.stride_h * image.row_stride();
  base.x_pixel = v.stride_w * channels;
  base.x_tap_row = v.dilation_h * image.row_stride();
  base.x_tap = v.dilation_w * channels;
  base.dy_row = v.out_w * channels;
  base.dy_pixel = channels;
  base.dw_tap_row = v.kernel_w * channels;
  base.dw_tap = channels;
  for (int64_t c = 0; c < channels;) {
    DepthwiseWeightTile t = base;
    t.x = x + c;
    t.dy = dy + c;
    t.dw = dw + c;
    const int64_t left = channels - c;
    if (left >= kVectors * kLanes) {
      depthwise_weight_taps<kVectors, false>(t, v.kernel_h, v.kernel_w);
      c += kVectors * kLanes;
    } else if (left >= kLanes) {
      depthwise_weight_taps<1, false>(t, v.kernel_h, v.kernel_w);
      c += kLanes;
    } else {
      t.lanes = left;
      depthwise_weight_taps<1, true>(t, v.kernel_h, v.kernel_w);
      c = channels;
    }
  }
}

inline void depthwise_grad_weights(const DepthwiseShape& s, const float* x, const float* dy,
                                   float* dw, float* dbias, void* workspace, ThreadPool* pool) {
  const Window2d& v = s.window;
  const int64_t c = out_channels(s);
  const int64_t taps = v.kernel_h * v.kernel_w;
  const PaddedImage image = padded_input(v, c);
  const int64_t chunks = depthwise_chunks(s);
  const int64_t band = forward_band(image, v);
  const int64_t chunk_size = depthwise_partial(s) + repeated_size(s) + padded_size(image);
  const auto part_of = [&](int64_t chunk) {
    return static_cast<float*>(workspace) + chunk * chunk_size;
  };
  parallel_for(pool, chunks, [&](int64_t task) {
    const int64_t chunk = chunks - 1 - task;
    float* part = part_of(chunk);
    float* bias_part = part + array_size(taps * c);
    float* repeated = part + depthwise_partial(s);
    std::memset(part, 0, bytes_of(depthwise_partial(s)));
    // Backwards: the gradient of the input, which usually follows, then finds the first images
    // cached.
    for (int64_t n = s.batch * (chunk + 1) / chunks - 1; n >= s.batch * chunk / chunks; --n) {
      const float* source = x + n * v.in_h * v.in_w * s.channels;
      if (s.multiplier > 1) {
        repeat_channels(source, v.in_h * v.in_w, s.channels, s.multiplier, repeated);
        source = repeated;
      }
      for (int64_t first = 0; first < v.out_h; first += band) {
        const int64_t end = min_of(v.out_h, first + band);
        const float* rows = band_input(image, v, source, first, end, repeated + repeated_size(s));
        const float* gradients = dy + (n * v.out_h + first) * v.out_w * c;
        depthwise_add_rows(s, image, rows, gradients, end - first, part);
        if (dbias != nullptr) add_column_sums(gradients, (end - first) * v.out_w, c, bias_part);
      }
    }
  });
  std::memcpy(dw, part_of(0), bytes_of(taps * c));
  if (dbias != nullptr) std::memcpy(dbias, part_of(0) + array_size(taps * c), bytes_of(c));
  for (int64_t chunk = 1; chunk < chunks; ++chunk) {
    add_partial(part_of(chunk), taps * c, dw);
    if (dbias != nullptr) add_partial(part_of(chunk) + array_size(taps * c), c, dbias);
  }
}

}  // namespace ew::kernels::EW_TARGET
