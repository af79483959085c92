#pragma once
// Depthwise convolution: register tiles over a run of output pixels and up to four vectors of
// channels. A multiplier above 1 first repeats every input channel, so that inner loops see equal
// channels.

#include <array>
#include <limits>
#include <utility>

#include "runtime/kernels/conv2d.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/padding.h"

namespace ew::kernels::EW_TARGET {

/// A tile of pixels: y[i] (+)= sum over taps of x[i + tap] * w[tap], for one run of channels.
struct DepthwiseTile {
  int64_t taps_h = 0, taps_w = 0;
  const float* x = nullptr;
  int64_t x_tap_h = 0, x_tap_w = 0, x_pixel = 0;
  int64_t wrap = std::numeric_limits<int64_t>::max();  // rows of taps from this one on lie
  int64_t wrap_step = 0;                               // so many elements before
  const float* w = nullptr;
  int64_t w_tap_h = 0, w_tap_w = 0;
  const float* bias = nullptr;
  Clamp clamp{};
  float* y = nullptr;
  int64_t y_pixel = 0;
  int64_t lanes = kLanes;  // that exist, if the tile is one vector wide
};

template <bool kPartial>
EW_INLINE Vec load_lanes(const float* p, int64_t lanes) {
  return kPartial ? load_n(p, lanes) : load(p);
}

template <int kPixels, int kVectors, bool kPartial>
void run_depthwise(const DepthwiseTile& t) {
  Vec sum[kPixels][kVectors];
#pragma GCC unroll 4
  for (int j = 0; j < kVectors; ++j) {
    const Vec bias =
        t.bias == nullptr ? zero() : load_lanes<kPartial>(t.bias + j * kLanes, t.lanes);
#pragma GCC unroll 16
    for (int i = 0; i < kPixels; ++i) sum[i][j] = bias;
  }
  const int64_t pixel = t.x_pixel;
  for (int64_t ky = 0; ky < t.taps_h; ++ky) {
    const float* x = t.x + ky * t.x_tap_h - (ky < t.wrap ? 0 : t.wrap_step);
    const float* w = t.w + ky * t.w_tap_h;
    for (int64_t kx = t.taps_w; kx > 0; --kx, x += t.x_tap_w, w += t.w_tap_w) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        const Vec wv = load_lanes<kPartial>(w + j * kLanes, t.lanes);
#pragma GCC unroll 16
        for (int i = 0; i < kPixels; ++i) {
          sum[i][j] = fma(load_lanes<kPartial>(x + i * pixel + j * kLanes, t.lanes), wv, sum[i][j]);
        }
      }
    }
  }
  const Vec lo = set1(t.clamp.lo);
  const Vec hi = set1(t.clamp.hi);
#pragma GCC unroll 16
  for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      float* y = t.y + i * t.y_pixel + j * kLanes;
      const Vec v = clamp(sum[i][j], lo, hi);
      if (kPartial) {
        store_n(y, v, t.lanes);
      } else {
        store(y, v);
      }
    }
  }
}

using DepthwiseFunction = void (*)(const DepthwiseTile&);

template <int kVectors, bool kPartial, size_t... kIndex>
constexpr std::array<DepthwiseFunction, sizeof...(kIndex)> depthwise_tiles(
    std::index_sequence<kIndex...>) {
  return {run_depthwise<static_cast<int>(kIndex) + 1, kVectors, kPartial>...};
}

/// `pixels` outputs in a row, in tiles of nearly equal width.
template <int kVectors, bool kPartial>
void depthwise_pixels(DepthwiseTile t, int64_t pixels) {
  constexpr size_t kWidest = kVectors == 1 ? 8 : kVectors == 2 ? 5 : 6;
  static constexpr auto kTiles =
      depthwise_tiles<kVectors, kPartial>(std::make_index_sequence<kWidest>());
  const int64_t tiles = ceil_div(pixels, int64_t{kWidest});
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t width = pixels * (i + 1) / tiles - pixels * i / tiles;
    kTiles[static_cast<size_t>(width - 1)](t);
    t.x += width * t.x_pixel;
    t.y += width * t.y_pixel;
  }
}

/// One row of outputs, all channels.
inline void depthwise_row(const DepthwiseTile& base, int64_t channels, int64_t pixels) {
  constexpr int kVectors = kRegisters == 32 ? 4 : 2;
  for (int64_t c = 0; c < channels;) {
    DepthwiseTile t = base;
    t.x += c;
    t.w += c;
    t.y += c;
    if (t.bias != nullptr) t.bias += c;
    const int64_t left = channels - c;
    if (left >= kVectors * kLanes) {
      depthwise_pixels<kVectors, false>(t, pixels);
      c += kVectors * kLanes;
    } else if (left >= kLanes) {
      depthwise_pixels<1, false>(t, pixels);
      c += kLanes;
    } else {
      t.lanes = left;
      depthwise_pixels<1, true>(t, pixels);
      c = channels;
    }
  }
}

/// Repeats every channel of [pixels, channels] `multiplier` times.
inline void repeat_channels(const float* x, int64_t pixels, int64_t channels, int64_t multiplier,
                            float* y) {
  for (int64_t i = 0; i < pixels * channels; ++i) {
    for (int64_t m = 0; m < multiplier; ++m) *y++ = x[i];
  }
}

/// Sums the `multiplier` copies of every channel: the gradient of repeat_channels.
inline void sum_channels(const float* y, int64_t pixels, int64_t channels, int64_t multiplier,
                         float* x) {
  for (int64_t i = 0; i < pixels * channels; ++i) {
    float total = *y++;
    for (int64_t m = 1; m < multiplier; ++m) total += *y++;
    x[i] = total;
  }
}

inline int64_t out_channels(const DepthwiseShape& s) { return s.channels * s.multiplier; }

/// Images are spread over so many lanes of work, each with its own scratch.
inline int64_t image_lanes(int64_t batch, int64_t threads) {
  return max_of(1, min_of(batch, threads));
}

inline int64_t repeated_size(const DepthwiseShape& s) {
  if (s.multiplier == 1) return 0;
  return array_size(s.window.in_h * s.window.in_w * out_channels(s));
}

inline int64_t padded_size(const PaddedImage& p) {
  return p.needs_copy() ? array_size(p.size()) : 0;
}

/// Output rows per band of a forward or kernel gradient pass.
inline int64_t forward_band(const PaddedImage& image, const Window2d& w) {
  return band_rows(image, w.stride_h, (w.kernel_h - 1) * w.dilation_h);
}

/// The first input row of output rows [first, end), padded into `buffer` if the image needs
/// padding.
inline const float* band_input(const PaddedImage& image, const Window2d& w, const float* source,
                               int64_t first, int64_t end, float* buffer) {
  const int64_t begin = first * w.stride_h;
  if (!image.needs_copy()) return source + begin * image.row_stride();
  image.copy(source, begin, (end - 1) * w.stride_h + (w.kernel_h - 1) * w.dilation_h + 1, buffer);
  return buffer;
}

inline size_t depthwise_workspace_bytes(const DepthwiseShape& s, int threads) {
  const PaddedImage image = padded_input(s.window, out_channels(s));
  return bytes_of(image_lanes(s.batch, threads) * (repeated_size(s) + padded_size(image)));
}

inline void depthwise(const DepthwiseShape& s, const float* x, const float* w, const float* bias,
                      Clamp clamp, float* y, void* workspace, ThreadPool* pool) {
  const Window2d& v = s.window;
  const int64_t c = out_channels(s);
  const PaddedImage image = padded_input(v, c);
  const int64_t lanes = image_lanes(s.batch, thread_count(pool));
  const int64_t lane_size = repeated_size(s) + padded_size(image);
  const int64_t band = forward_band(image, v);
  DepthwiseTile t;
  t.taps_h = v.kernel_h;
  t.taps_w = v.kernel_w;
  t.x_tap_h = v.dilation_h * image.row_stride();
  t.x_tap_w = v.dilation_w * c;
  t.x_pixel = v.stride_w * c;
  t.w_tap_h = v.kernel_w * c;
  t.w_tap_w = c;
  t.bias = bias;
  t.clamp = clamp;
  t.y_pixel = c;
  parallel_for(pool, lanes, [&](int64_t lane) {
    float* repeated = static_cast<float*>(workspace) + lane * lane_size;
    for (int64_t n = lane; n < s.batch; n += lanes) {
      const float* source = x + n * v.in_h * v.in_w * s.channels;
      if (s.multiplier > 1) {
        repeat_channels(source, v.in_h * v.in_w, s.channels, s.multiplier, repeated);
        source = repeated;
      }
      float* padded = repeated + repeated_size(s);
      for (int64_t first = 0; first < v.out_h; first += band) {
        const int64_t end = min_of(v.out_h, first + band);
        const float* rows = band_input(image, v, source, first, end, padded);
        for (int64_t oy = first; oy < end; ++oy) {
          DepthwiseTile row = t;
          row.x = rows + (oy - first) * v.stride_h * image.row_stride();
          row.w = w;
          row.y = y + (n * v.out_h + oy) * v.out_w * c;
          depthwise_row(row, c, v.out_w);
        }
      }
    }
  });
}

}  // namespace ew::kernels::EW_TARGET
