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

inline void depthwise_grad_phase(const DepthwiseShape& s, const PaddedImage& image, const Taps& ty,
                                 const Taps& tx, const float* dy, const float* w, float* dx) {
  const int64_t c = out_channels(s);
  DepthwiseTile t;
  t.taps_h = ty.count;
  t.taps_w = ty.count == 0 ? 0 : tx.count;
  t.x_tap_h = ty.offset_step * image.row_stride();
  t.x_tap_w = tx.offset_step * c;
  t.x_pixel = c;
  t.w = w + (ty.first_tap * s.window.kernel_w + tx.first_tap) * c;
  t.w_tap_h = ty.tap_step * s.window.kernel_w * c;
  t.w_tap_w = tx.tap_step * c;
  t.y_pixel = tx.output_step * c;
  for (int64_t i = 0; i < ty.outputs; ++i) {
    t.x = dy + (i + ty.first_offset + image.top) * image.row_stride() +
          (tx.first_offset + image.left) * c;
    t.y = dx + ((ty.first_output + i * ty.output_step) * s.window.in_w + tx.first_output) * c;
    depthwise_row(t, c, tx.outputs);
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
      const float* source = image.get(dy + n * v.out_h * v.out_w * c, repeated + repeated_size(s));
      float* target = dx + n * v.in_h * v.in_w * s.channels;
      float* wide = s.multiplier > 1 ? repeated : target;
      for (int64_t ph = 0; ph < v.stride_h; ++ph) {
        for (int64_t pw = 0; pw < v.stride_w; ++pw) {
          depthwise_grad_phase(s, image, grad_taps_h(v, ph), grad_taps_w(v, pw), source, w, wide);
        }
      }
      if (s.multiplier > 1) sum_channels(wide, v.in_h * v.in_w, s.channels, s.multiplier, target);
    }
  });
}

/// dw[tap] += sum over a block of output rows of x[. + tap] * dy, for kTaps taps of one kernel row
/// and kVectors vectors of channels.
struct DepthwiseWeightTile {
  int64_t rows = 0, pixels = 0;
  const float* x = nullptr;
  int64_t x_row = 0, x_pixel = 0, x_tap = 0;
  const float* dy = nullptr;
  int64_t dy_row = 0, dy_pixel = 0;
  float* dw = nullptr;
  int64_t dw_tap = 0;
  int64_t lanes = kLanes;
};

template <int kTaps, int kVectors, bool kPartial>
void run_depthwise_weights(const DepthwiseWeightTile& t) {
  Vec sum[kTaps][kVectors];
#pragma GCC unroll 8
  for (int k = 0; k < kTaps; ++k) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sum[k][j] = zero();
  }
  const int64_t tap = t.x_tap;
  for (int64_t r = 0; r < t.rows; ++r) {
    const float* x = t.x + r * t.x_row;
    const float* dy = t.dy + r * t.dy_row;
    for (int64_t p = t.pixels; p > 0; --p, x += t.x_pixel, dy += t.dy_pixel) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        const Vec g = load_lanes<kPartial>(dy + j * kLanes, t.lanes);
#pragma GCC unroll 8
        for (int k = 0; k < kTaps; ++k) {
          sum[k][j] = fma(load_lanes<kPartial>(x + k * tap + j * kLanes, t.lanes), g, sum[k][j]);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int k = 0; k < kTaps; ++k) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      float* d = t.dw + k * t.dw_tap + j * kLanes;
      if (kPartial) {
        store_n(d, load_n(d, t.lanes) + sum[k][j], t.lanes);
      } else {
        store(d, load(d) + sum[k][j]);
      }
    }
  }
}

/// Taps in groups of 5, 3 and 1.
template <int kVectors, bool kPartial>
void depthwise_weight_taps(DepthwiseWeightTile t, int64_t taps) {
  const auto advance = [&](int64_t n) {
    t.x += n * t.x_tap;
    t.dw += n * t.dw_tap;
    taps -= n;
  };
  for (; taps >= 5; advance(5)) run_depthwise_weights<5, kVectors, kPartial>(t);
  for (; taps >= 3; advance(3)) run_depthwise_weights<3, kVectors, kPartial>(t);
  for (; taps >= 1; advance(1)) run_depthwise_weights<1, kVectors, kPartial>(t);
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

inline void depthwise_add_image(const DepthwiseShape& s, const PaddedImage& image, const float* x,
                                const float* dy, float* dw) {
  const Window2d& v = s.window;
  const int64_t channels = out_channels(s);
  constexpr int kVectors = 2;
  DepthwiseWeightTile base;
  base.rows = v.out_h;
  base.pixels = v.out_w;
  base.x_row = v.stride_h * image.row_stride();
  base.x_pixel = v.stride_w * channels;
  base.x_tap = v.dilation_w * channels;
  base.dy_row = v.out_w * channels;
  base.dy_pixel = channels;
  base.dw_tap = channels;
  for (int64_t ky = 0; ky < v.kernel_h; ++ky) {
    for (int64_t c = 0; c < channels;) {
      DepthwiseWeightTile t = base;
      t.x = x + ky * v.dilation_h * image.row_stride() + c;
      t.dy = dy + c;
      t.dw = dw + ky * v.kernel_w * channels + c;
      const int64_t left = channels - c;
      if (left >= kVectors * kLanes) {
        depthwise_weight_taps<kVectors, false>(t, v.kernel_w);
        c += kVectors * kLanes;
      } else if (left >= kLanes) {
        depthwise_weight_taps<1, false>(t, v.kernel_w);
        c += kLanes;
      } else {
        t.lanes = left;
        depthwise_weight_taps<1, true>(t, v.kernel_w);
        c = channels;
      }
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
  const int64_t chunk_size = depthwise_partial(s) + repeated_size(s) + padded_size(image);
  const auto part_of = [&](int64_t chunk) {
    return static_cast<float*>(workspace) + chunk * chunk_size;
  };
  parallel_for(pool, chunks, [&](int64_t chunk) {
    float* part = part_of(chunk);
    float* bias_part = part + array_size(taps * c);
    float* repeated = part + depthwise_partial(s);
    std::memset(part, 0, bytes_of(depthwise_partial(s)));
    for (int64_t n = s.batch * chunk / chunks; n < s.batch * (chunk + 1) / chunks; ++n) {
      const float* source = x + n * v.in_h * v.in_w * s.channels;
      if (s.multiplier > 1) {
        repeat_channels(source, v.in_h * v.in_w, s.channels, s.multiplier, repeated);
        source = repeated;
      }
      source = image.get(source, repeated + repeated_size(s));
      const float* gradients = dy + n * v.out_h * v.out_w * c;
      depthwise_add_image(s, image, source, gradients, part);
      if (dbias != nullptr) add_column_sums(gradients, v.out_h * v.out_w, c, bias_part);
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
