#pragma once
// Pooling, one output pixel at a time, vectorised over channels.

#include <cstring>

#include "runtime/kernels/io.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/pool.h"

namespace ew::kernels::EW_TARGET {

/// Taps [first, end) of a window along one dimension that lie inside the input, and the position
/// the tap 0 has.
struct TapRange {
  int64_t first, end, start;
};

inline TapRange valid_taps(int64_t output, int64_t stride, int64_t pad, int64_t dilation,
                           int64_t kernel, int64_t in) {
  TapRange t{0, kernel, output * stride - pad};
  while (t.first < t.end && t.start + t.first * dilation < 0) ++t.first;
  while (t.end > t.first && t.start + (t.end - 1) * dilation >= in) --t.end;
  return t;
}

/// Calls body(output index, tap rows, tap columns) for every output pixel of one image.
template <typename Body>
void for_windows(const Window2d& w, const Body& body) {
  for (int64_t oy = 0; oy < w.out_h; ++oy) {
    const TapRange y = valid_taps(oy, w.stride_h, w.pad_top, w.dilation_h, w.kernel_h, w.in_h);
    for (int64_t ox = 0; ox < w.out_w; ++ox) {
      body(oy * w.out_w + ox, y,
           valid_taps(ox, w.stride_w, w.pad_left, w.dilation_w, w.kernel_w, w.in_w));
    }
  }
}

/// Calls body(tap index, input pixel) for every valid tap of a window.
template <typename Body>
EW_INLINE void for_taps(const Window2d& w, const TapRange& y, const TapRange& x, const Body& body) {
  for (int64_t ky = y.first; ky < y.end; ++ky) {
    const int64_t row = (y.start + ky * w.dilation_h) * w.in_w;
    for (int64_t kx = x.first; kx < x.end; ++kx) {
      body(ky * w.kernel_w + kx, row + x.start + kx * w.dilation_w);
    }
  }
}

/// A vector whose lanes hold the bits of an int32; only moved and blended, never computed with.
EW_INLINE Vec bits_of(int64_t value) {
  const auto i = static_cast<int32_t>(value);
  float f;
  std::memcpy(&f, &i, sizeof(f));
  return set1(f);
}

inline void max_pool(const PoolShape& s, const float* x, float* y, int32_t* argmax,
                     ThreadPool* pool) {
  const Window2d& w = s.window;
  const int64_t c = s.channels;
  parallel_for(pool, s.batch, [&](int64_t n) {
    const float* image = x + n * w.in_h * w.in_w * c;
    float* out = y + n * w.out_h * w.out_w * c;
    // Indices are written as bits through a float pointer; memcpy in store() makes that well
    // defined.
    auto* taps =
        argmax == nullptr ? nullptr : reinterpret_cast<float*>(argmax + n * w.out_h * w.out_w * c);
    for_windows(w, [&](int64_t o, const TapRange& ty, const TapRange& tx) {
      for_vectors(0, c, [&](int64_t i, const auto& io) {
        Vec best = set1(Clamp{}.lo);
        Vec best_tap = bits_of(ty.first * w.kernel_w + tx.first);
        for_taps(w, ty, tx, [&](int64_t tap, int64_t pixel) {
          const Vec v = io.load(image + pixel * c + i);
          best_tap = if_greater(v, best, bits_of(tap), best_tap);
          best = max(v, best);
        });
        io.store(out + o * c + i, best);
        if (taps != nullptr) io.store(taps + o * c + i, best_tap);
      });
    });
  });
}

inline void max_pool_grad(const PoolShape& s, const float* dy, const int32_t* argmax, float* dx,
                          ThreadPool* pool) {
  const Window2d& w = s.window;
  const int64_t c = s.channels;
  parallel_for(pool, s.batch, [&](int64_t n) {
    float* image = dx + n * w.in_h * w.in_w * c;
    const float* gradients = dy + n * w.out_h * w.out_w * c;
    const int32_t* taps = argmax + n * w.out_h * w.out_w * c;
    std::memset(image, 0, bytes_of(w.in_h * w.in_w * c));
    for_windows(w, [&](int64_t o, const TapRange& ty, const TapRange& tx) {
      const float* g = gradients + o * c;
      const int32_t* chosen = taps + o * c;
      for_taps(w, ty, tx, [&](int64_t tap, int64_t pixel) {
        float* d = image + pixel * c;
        for (int64_t i = 0; i < c; ++i) d[i] += chosen[i] == tap ? g[i] : 0.F;
      });
    });
  });
}

inline float pool_factor(const PoolShape& s, const TapRange& y, const TapRange& x) {
  const int64_t count = s.count_padding ? s.window.kernel_h * s.window.kernel_w
                                        : max_of(1, (y.end - y.first) * (x.end - x.first));
  return static_cast<float>(count);
}

inline void average_pool(const PoolShape& s, const float* x, float* y, ThreadPool* pool) {
  const Window2d& w = s.window;
  const int64_t c = s.channels;
  parallel_for(pool, s.batch, [&](int64_t n) {
    const float* image = x + n * w.in_h * w.in_w * c;
    float* out = y + n * w.out_h * w.out_w * c;
    for_windows(w, [&](int64_t o, const TapRange& ty, const TapRange& tx) {
      const Vec count = set1(pool_factor(s, ty, tx));
      for_vectors(0, c, [&](int64_t i, const auto& io) {
        Vec total = zero();
        for_taps(w, ty, tx,
                 [&](int64_t, int64_t pixel) { total = total + io.load(image + pixel * c + i); });
        io.store(out + o * c + i, total / count);
      });
    });
  });
}

inline void average_pool_grad(const PoolShape& s, const float* dy, float* dx, ThreadPool* pool) {
  const Window2d& w = s.window;
  const int64_t c = s.channels;
  parallel_for(pool, s.batch, [&](int64_t n) {
    float* image = dx + n * w.in_h * w.in_w * c;
    const float* gradients = dy + n * w.out_h * w.out_w * c;
    std::memset(image, 0, bytes_of(w.in_h * w.in_w * c));
    for_windows(w, [&](int64_t o, const TapRange& ty, const TapRange& tx) {
      const Vec count = set1(pool_factor(s, ty, tx));
      for_vectors(0, c, [&](int64_t i, const auto& io) {
        const Vec share = io.load(gradients + o * c + i) / count;
        for_taps(w, ty, tx, [&](int64_t, int64_t pixel) {
          float* d = image + pixel * c + i;
          io.store(d, io.load(d) + share);
        });
      });
    });
  });
}

inline void global_average_pool(int64_t batch, int64_t pixels, int64_t channels, const float* x,
                                float* y, ThreadPool* pool) {
  const Vec count = set1(static_cast<float>(max_of(1, pixels)));
  parallel_for(pool, batch, [&](int64_t n) {
    const float* image = x + n * pixels * channels;
    for_vectors(0, channels, [&](int64_t c, const auto& io) {
      Vec even = zero();
      Vec odd = zero();
      int64_t p = 0;
      for (; p + 1 < pixels; p += 2) {
        even = even + io.load(image + p * channels + c);
        odd = odd + io.load(image + (p + 1) * channels + c);
      }
      if (p < pixels) even = even + io.load(image + p * channels + c);
      io.store(y + n * channels + c, (even + odd) / count);
    });
  });
}

inline void global_average_pool_grad(int64_t batch, int64_t pixels, int64_t channels,
                                     const float* dy, float* dx, ThreadPool* pool) {
  const Vec count = set1(static_cast<float>(max_of(1, pixels)));
  parallel_for(pool, batch, [&](int64_t n) {
    float* image = dx + n * pixels * channels;
    for_vectors(0, channels, [&](int64_t c, const auto& io) {
      const Vec share = io.load(dy + n * channels + c) / count;
      for (int64_t p = 0; p < pixels; ++p) io.store(image + p * channels + c, share);
    });
  });
}

}  // namespace ew::kernels::EW_TARGET
