#pragma once
// Depthwise convolution with 3 or 5 taps a row, in place: each input is loaded once for all taps of
// a row that see it, and windows that hang over an edge skip the taps outside. The sums run in the
// order of depthwise_impl.h, so the results have the same bits.

#include "runtime/kernels/depthwise_impl.h"

namespace ew::kernels::EW_TARGET {

/// A run of outputs of one row; `first` and `last` inputs of every row of taps lie outside.
struct DepthwiseRun {
  DepthwiseTile tile;  // x at the first input, w and y at the first channel
  int64_t vectors = 1;
  int64_t first = 0;
  int64_t last = 0;
};

/// Keeps a value in its register: GCC would rather load it again for every use.
EW_INLINE Vec keep(Vec v) {
#if defined(__AVX2__) || defined(__AVX512F__)
  asm("" : "+x"(v.v));
#endif
  return v;
}

alignas(64) inline constexpr float kNoInput[kLanes] = {};

/// kPixels neighbouring outputs for run.vectors vectors of channels.
template <int kPixels, int kStride, int kTaps, bool kPartial>
void run_depthwise_shared(const DepthwiseRun& run) {
  constexpr int kInputs = (kPixels - 1) * kStride + kTaps;
  const DepthwiseTile& t = run.tile;
  const int64_t lanes = t.lanes;
  const int64_t first = run.first;
  const int64_t end = kInputs - run.last;
  const Vec lo = set1(t.clamp.lo);
  const Vec hi = set1(t.clamp.hi);
  for (int64_t c = 0; c < run.vectors * kLanes; c += kLanes) {
    const Vec bias = t.bias == nullptr ? zero() : load_lanes<kPartial>(t.bias + c, lanes);
    Vec sum[kPixels];
#pragma GCC unroll 16
    for (int i = 0; i < kPixels; ++i) sum[i] = bias;
    for (int64_t ky = 0; ky < t.taps_h; ++ky) {
      const float* x = t.x + ky * t.x_tap_h + c - (ky < t.wrap ? 0 : t.wrap_step);
      const float* w = t.w + ky * t.w_tap_h + c;
      Vec weight[kTaps];
#pragma GCC unroll 5
      for (int k = 0; k < kTaps; ++k) {
        weight[k] = keep(load_lanes<kPartial>(w + k * t.w_tap_w, lanes));
      }
#pragma GCC unroll 24
      for (int i = 0; i < kInputs; ++i, x += t.x_tap_w) {
        const float* from = x;
        if (i < kTaps - 1 && i < first) from = kNoInput;
        if (i > kInputs - kTaps && i >= end) from = kNoInput;
        const Vec v = keep(load_lanes<kPartial>(from, lanes));
#pragma GCC unroll 5
        for (int k = 0; k < kTaps; ++k) {
          const int pixel = (i - k) / kStride;
          if (i >= k && (i - k) % kStride == 0 && pixel < kPixels) {
            sum[pixel] = fma(v, weight[k], sum[pixel]);
          }
        }
      }
    }
    float* y = t.y + c;
#pragma GCC unroll 16
    for (int i = 0; i < kPixels; ++i, y += t.y_pixel) {
      const Vec out = clamp(sum[i], lo, hi);
      if (kPartial) {
        store_n(y, out, lanes);
      } else {
        store(y, out);
      }
    }
  }
}

using SharedFunction = void (*)(const DepthwiseRun&);

inline constexpr int kSharedPixels = kRegisters == 32 ? 8 : 6;

template <int kStride, int kTaps, bool kPartial, size_t... kIndex>
constexpr std::array<SharedFunction, sizeof...(kIndex)> depthwise_shared_tiles(
    std::index_sequence<kIndex...>) {
  return {run_depthwise_shared<static_cast<int>(kIndex) + 1, kStride, kTaps, kPartial>...};
}

template <int kStride, int kTaps, bool kPartial>
inline constexpr auto kDepthwiseShared =
    depthwise_shared_tiles<kStride, kTaps, kPartial>(std::make_index_sequence<kSharedPixels>());

/// The tiles of a stride and a number of taps, by pixels.
template <bool kPartial>
const SharedFunction* find_shared(int64_t stride, int64_t taps) {
  if (taps == 3) {
    return stride == 1 ? kDepthwiseShared<1, 3, kPartial>.data()
                       : kDepthwiseShared<2, 3, kPartial>.data();
  }
  return stride == 1 ? kDepthwiseShared<1, 5, kPartial>.data()
                     : kDepthwiseShared<2, 5, kPartial>.data();
}

inline bool has_shared_rows(const DepthwiseShape& s) {
  const Window2d& w = s.window;
  return s.multiplier == 1 && w.dilation_w == 1 && w.dilation_h == 1 && w.stride_w <= 2 &&
         (w.kernel_w == 3 || w.kernel_w == 5);
}

/// Outputs [first, end) of a row whose windows reach less than `kernel` inputs over an edge.
struct InnerRange {
  int64_t first, end;
};
inline InnerRange inner_outputs(const Window2d& w) {
  // The window of output x covers inputs [x * stride - pad, x * stride - pad + kernel).
  const int64_t first = min_of(w.out_w, max_of(0, (w.pad_left - w.kernel_w) / w.stride_w + 1));
  const int64_t end = ceil_div(w.in_w + w.pad_left, w.stride_w);
  return {w.pad_left < w.kernel_w ? 0 : first, max_of(0, min_of(w.out_w, end))};
}

/// A part of the inner outputs of all rows, whose inputs stay in the L1 cache from row to row.
struct InnerStrip {
  int64_t first, end;
  bool is_first, is_last;
};

/// One row of outputs: its inner part in runs, what lies further out pixel by pixel.
struct DepthwiseRow {
  DepthwiseTile tile;  // x at the input pixel of column -pad_left, w at the first tap
  int64_t channels;

  void run(const Window2d& w, const InnerStrip& strip) const {
    for (int64_t x = 0; strip.is_first && x < strip.first; ++x) run_edge(w, x);
    const int64_t pixels = strip.end - strip.first;
    const int64_t count = ceil_div(max_of(0, pixels), int64_t{kSharedPixels});
    int64_t x = strip.first;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t width = pixels * (i + 1) / count - pixels * i / count;
      run_pixels(w, x, width);
      x += width;
    }
    for (x = max_of(strip.end, strip.first); strip.is_last && x < w.out_w; ++x) run_edge(w, x);
  }

  void run_pixels(const Window2d& w, int64_t x, int64_t width) const {
    const int64_t begin = x * w.stride_w - w.pad_left;
    const int64_t end = begin + (width - 1) * w.stride_w + w.kernel_w;
    DepthwiseRun r{tile, channels / kLanes, max_of(0, -begin), max_of(0, end - w.in_w)};
    r.tile.x += x * tile.x_pixel;
    r.tile.y += x * tile.y_pixel;
    if (r.vectors > 0) find_shared<false>(w.stride_w, w.kernel_w)[width - 1](r);
    r.tile.lanes = channels % kLanes;
    if (r.tile.lanes == 0) return;
    const int64_t done = r.vectors * kLanes;
    r.tile.x += done;
    r.tile.w += done;
    r.tile.y += done;
    if (r.tile.bias != nullptr) r.tile.bias += done;
    r.vectors = 1;
    find_shared<true>(w.stride_w, w.kernel_w)[width - 1](r);
  }

  void run_edge(const Window2d& w, int64_t x) const {
    const int64_t begin = x * w.stride_w - w.pad_left;
    const int64_t skip = max_of(0, -begin);
    DepthwiseTile t = tile;
    t.taps_w = max_of(0, min_of(w.kernel_w, w.in_w - begin) - skip);
    t.x += x * t.x_pixel + skip * t.x_tap_w;
    t.w += skip * t.w_tap_w;
    t.y += x * t.y_pixel;
    depthwise_row(t, channels, 1);
  }
};

/// Output rows [first, end) of a strip of one image for channels [channel, channel + count).
inline void depthwise_rows(const DepthwiseShape& s, const DepthwiseTile& base, const float* x,
                           float* y, int64_t channel, int64_t count, int64_t first, int64_t end,
                           const InnerStrip& strip) {
  const Window2d& w = s.window;
  const int64_t row = w.in_w * s.channels;
  for (int64_t oy = first; oy < end; ++oy) {
    const int64_t begin = oy * w.stride_h - w.pad_top;
    const int64_t skip = max_of(0, -begin);
    DepthwiseRow r{base, count};
    r.tile.taps_h = max_of(0, min_of(w.kernel_h, w.in_h - begin) - skip);
    int64_t at = begin + skip;
    if (s.ring > 0) {
      at = (s.ring_first + at) % s.ring;
      r.tile.wrap = s.ring - at;
      r.tile.wrap_step = s.ring * row;
    }
    r.tile.x = x + at * row - w.pad_left * s.channels + channel;
    r.tile.w += skip * r.tile.w_tap_h + channel;
    if (r.tile.bias != nullptr) r.tile.bias += channel;
    r.tile.y = y + oy * w.out_w * s.channels + channel;
    r.run(w, strip);
  }
}

/// Vectors of channels that run together, and so strips: neighbouring vectors share pages and
/// prefetches, and rows under each other share inputs, which are to stay in the L1 cache.
struct DepthwiseBlocks {
  int64_t step;    // channels of a block
  int64_t count;   // blocks
  int64_t strips;  // of each
  InnerRange inner;

  explicit DepthwiseBlocks(const DepthwiseShape& s) : inner(inner_outputs(s.window)) {
    constexpr int64_t kFloats = 6 * 1024;
    constexpr int64_t kMostVectors = 8;
    const Window2d& w = s.window;
    const int64_t vectors = ceil_div(s.channels, kLanes);
    step = ceil_div(vectors, ceil_div(vectors, kMostVectors)) * kLanes;
    count = ceil_div(s.channels, step);
    const int64_t inputs = kFloats / max_of(1, w.kernel_h * min_of(step, s.channels));
    const int64_t outputs = max_of(kSharedPixels, (inputs - w.kernel_w) / w.stride_w + 1);
    strips = max_of(1, ceil_div(inner.end - inner.first, outputs));
  }
  InnerStrip strip(int64_t i) const {
    const int64_t pixels = inner.end - inner.first;
    return {inner.first + pixels * i / strips, inner.first + pixels * (i + 1) / strips, i == 0,
            i == strips - 1};
  }
};

inline void depthwise_in_place(const DepthwiseShape& s, const float* x, const float* w,
                               const float* bias, Clamp clamp, float* y, ThreadPool* pool) {
  const Window2d& v = s.window;
  DepthwiseTile t;
  t.x_tap_h = v.in_w * s.channels;
  t.x_tap_w = s.channels;
  t.x_pixel = v.stride_w * s.channels;
  t.w = w;
  t.w_tap_h = v.kernel_w * s.channels;
  t.w_tap_w = s.channels;
  t.bias = bias;
  t.clamp = clamp;
  t.y_pixel = s.channels;
  const DepthwiseBlocks blocks(s);
  // A task is a block of channels of a band of rows; bands come in the order of the rows.
  constexpr int64_t kLeastProducts = 200'000;  // that starting and ending a loop is worth
  const int64_t products = s.batch * v.out_h * v.out_w * s.channels * v.kernel_h * v.kernel_w;
  ThreadPool* wide = products < kLeastProducts ? nullptr : pool;
  const bool by_rows = wide != nullptr && v.out_h * v.out_w > kFewRows;
  const int64_t bands =
      by_rows ? min_of(v.out_h, thread_count(wide) * (products < 10 * kLeastProducts ? 1 : 2)) : 1;
  parallel_for(wide, s.batch * blocks.count * bands, [&](int64_t task) {
    const int64_t n = task / (blocks.count * bands);
    const int64_t band = task / blocks.count % bands;
    const int64_t channel = task % blocks.count * blocks.step;
    for (int64_t i = 0; i < blocks.strips; ++i) {
      depthwise_rows(s, t, x + n * v.in_h * v.in_w * s.channels,
                     y + n * v.out_h * v.out_w * s.channels, channel,
                     min_of(blocks.step, s.channels - channel), v.out_h * band / bands,
                     v.out_h * (band + 1) / bands, blocks.strip(i));
    }
  });
}

inline size_t depthwise_any_workspace_bytes(const DepthwiseShape& s, int threads) {
  return has_shared_rows(s) ? 0 : depthwise_workspace_bytes(s, threads);
}

inline void depthwise_any(const DepthwiseShape& s, const float* x, const float* w,
                          const float* bias, Clamp clamp, float* y, void* workspace,
                          ThreadPool* pool) {
  if (has_shared_rows(s)) return depthwise_in_place(s, x, w, bias, clamp, y, pool);
  depthwise(s, x, w, bias, clamp, y, workspace, pool);
}

}  // namespace ew::kernels::EW_TARGET
