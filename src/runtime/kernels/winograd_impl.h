#pragma once
// Winograd's F(4x4, 3x3): a 4x4 block of outputs from a 6x6 block of inputs with 36 products per
// pair of channels instead of 144 (Lavin and Gray, arXiv 1509.09308). The polynomials are evaluated
// at 0, +-3/4, +-3/2 and infinity, whose errors stay within about three times those of plain sums;
// the usual +-1 and +-2 give ten times.

#include <cmath>

#include "runtime/kernels/conv2d.h"
#include "runtime/kernels/gemm_impl.h"
#include "runtime/kernels/io.h"

namespace ew::kernels::EW_TARGET {

inline constexpr int64_t kWinogradIn = 6;
inline constexpr int64_t kWinogradOut = 4;
inline constexpr int64_t kWinogradPoints = kWinogradIn * kWinogradIn;

// a = 3/4 and b = 3/2, exact in binary as are their powers.
inline constexpr float kA = 0.75F;
inline constexpr float kB = 1.5F;
inline constexpr float kA2 = kA * kA;
inline constexpr float kB2 = kB * kB;

struct WinogradPlan {
  int64_t in_c, out_c;
  int64_t tiles_h, tiles_w, tiles;
  Panels panels;

  explicit WinogradPlan(const Conv2dShape& s)
      : in_c(s.in_c),
        out_c(s.out_c),
        tiles_h(ceil_div(s.window.out_h, kWinogradOut)),
        tiles_w(ceil_div(s.window.out_w, kWinogradOut)),
        tiles(s.batch * tiles_h * tiles_w),
        panels(s.out_c, panel_vectors(s.in_c)) {}

  int64_t columns() const { return panels.vectors * kLanes; }
  /// Tiles that go through the three stages together: what they need stays in the L2 cache.
  int64_t block() const {
    constexpr int64_t kBlockFloats = 64 * 1024;
    const int64_t fits = kBlockFloats / (kWinogradPoints * (in_c + columns()));
    return min_of(tiles, max_of(6, min_of(fits, 24)));
  }
  int64_t scratch_size() const {  // of one lane
    return array_size(kWinogradPoints * in_c) +
           array_size(kWinogradPoints * block() * (in_c + columns()));
  }
};

/// Whether fewer products outweigh the transforms, by rough counts of vector operations.
inline bool prefers_winograd(const Conv2dShape& s) {
  const Window2d& w = s.window;
  const bool fits = w.kernel_h == 3 && w.kernel_w == 3 && w.stride_h == 1 && w.stride_w == 1 &&
                    w.dilation_h == 1 && w.dilation_w == 1 && s.groups == 1;
  if (!fits || s.in_c < kLanes / 2 || s.out_c < kLanes) return false;
  const WinogradPlan p(s);
  if (p.tiles <= 0) return false;
  const auto vectors = static_cast<double>(p.panels.vectors);
  const auto depth = static_cast<double>(s.in_c);
  const double direct = static_cast<double>(s.batch * w.out_h * w.out_w) * 9 * depth * vectors;
  const double transforms = 200 * static_cast<double>(ceil_div(s.in_c, kLanes)) + 170 * vectors;
  // The kernel takes four times its memory, and every block of tiles reads it.
  const double blocks = static_cast<double>(ceil_div(p.tiles, p.block()));
  const double reads = blocks * 36 * depth * vectors;
  const double products = static_cast<double>(p.tiles) * (36 * depth * vectors + transforms);
  return products + reads < 0.85 * direct;
}

inline int64_t winograd_weight_floats(const Conv2dShape& s) {
  return kWinogradPoints * s.in_c * WinogradPlan(s).columns();
}

/// G w G^T per pair of channels, in double, as [point][panel][channel][column of the panel].
inline void winograd_pack(const Conv2dShape& s, const float* w, float* packed) {
  const WinogradPlan p(s);
  constexpr double kPoints[] = {0, kA, -kA, kB, -kB};
  double g[kWinogradIn][3] = {};
  for (int i = 0; i < 5; ++i) {
    double product = 1;
    for (int j = 0; j < 5; ++j) {
      if (j != i) product *= kPoints[i] - kPoints[j];
    }
    for (int j = 0; j < 3; ++j) g[i][j] = std::pow(kPoints[i], j) / product;
  }
  g[5][2] = 1;
  std::memset(packed, 0, bytes_of(winograd_weight_floats(s)));
  for (int64_t panel = 0; panel < p.panels.count; ++panel) {
    const int64_t first = p.panels.begin(panel);
    const int64_t width = p.panels.width(panel) * int64_t{kLanes};
    const int64_t used = min_of(width, s.out_c - first);
    for (int64_t c = 0; c < s.in_c; ++c) {
      for (int64_t k = 0; k < used; ++k) {
        double half[kWinogradIn][3];
        for (int i = 0; i < kWinogradIn; ++i) {
          for (int x = 0; x < 3; ++x) {
            half[i][x] = 0;
            for (int y = 0; y < 3; ++y) {
              half[i][x] += g[i][y] * double{w[((y * 3 + x) * s.in_c + c) * s.out_c + first + k]};
            }
          }
        }
        for (int i = 0; i < kWinogradIn; ++i) {
          for (int j = 0; j < kWinogradIn; ++j) {
            double sum = 0;
            for (int x = 0; x < 3; ++x) sum += half[i][x] * g[j][x];
            packed[(i * kWinogradIn + j) * s.in_c * p.columns() + s.in_c * first + c * width + k] =
                static_cast<float>(sum);
          }
        }
      }
    }
  }
}

/// One dimension of B^T d B.
EW_INLINE void transform_input(const Vec (&d)[6], Vec (&t)[6]) {
  const Vec product = set1(kA2 * kB2);
  const Vec negative_sum = set1(-(kA2 + kB2));
  const Vec even_a = fma(set1(-kB2), d[2], d[4]);
  const Vec even_b = fma(set1(-kA2), d[2], d[4]);
  const Vec odd_a = fma(set1(-kB2), d[1], d[3]);
  const Vec odd_b = fma(set1(-kA2), d[1], d[3]);
  t[0] = fma(negative_sum, d[2], fma(product, d[0], d[4]));
  t[1] = fma(set1(kA), odd_a, even_a);
  t[2] = fma(set1(-kA), odd_a, even_a);
  t[3] = fma(set1(kB), odd_b, even_b);
  t[4] = fma(set1(-kB), odd_b, even_b);
  t[5] = fma(negative_sum, d[3], fma(product, d[1], d[5]));
}

/// One dimension of A^T m A.
EW_INLINE void transform_output(const Vec (&m)[6], Vec (&y)[4]) {
  const Vec sum_a = m[1] + m[2];
  const Vec sum_b = m[3] + m[4];
  const Vec difference_a = m[1] - m[2];
  const Vec difference_b = m[3] - m[4];
  y[0] = m[0] + (sum_a + sum_b);
  y[1] = fma(set1(kB), difference_b, set1(kA) * difference_a);
  y[2] = fma(set1(kB2), sum_b, set1(kA2) * sum_a);
  y[3] = fma(set1(kB2 * kB), difference_b, fma(set1(kA2 * kA), difference_a, m[5]));
}

/// A 6x6 block with rows `row` and pixels `pixel` apart, into v[point * point_step + channel].
inline void winograd_input(const float* x, int64_t row, int64_t pixel, int64_t channels, float* v,
                           int64_t point_step) {
  for_vectors(0, channels, [&](int64_t c, const auto& io) {
    Vec half[6][6];
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
      Vec d[6];
      Vec t[6];
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) d[i] = io.load(x + i * row + j * pixel + c);
      transform_input(d, t);
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) half[i][j] = t[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) {
      Vec t[6];
      transform_input(half[i], t);
#pragma GCC unroll 6
      for (int j = 0; j < 6; ++j) io.store(v + (i * 6 + j) * point_step + c, t[j]);
    }
  });
}

/// A 4x4 block, of which `rows` x `columns` pixels exist, from m[point * point_step + channel].
inline void winograd_output(const float* m, int64_t point_step, int64_t channels, const float* bias,
                            Clamp bounds, int64_t rows, int64_t columns, float* y, int64_t row,
                            int64_t pixel) {
  const Vec lo = set1(bounds.lo);
  const Vec hi = set1(bounds.hi);
  for_vectors(0, channels, [&](int64_t c, const auto& io) {
    Vec half[4][6];
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
      Vec d[6];
      Vec t[4];
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) d[i] = load(m + (i * 6 + j) * point_step + c);
      transform_output(d, t);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) half[i][j] = t[i];
    }
    const Vec b = bias == nullptr ? zero() : io.load(bias + c);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      if (i >= rows) continue;
      Vec t[4];
      transform_output(half[i], t);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        if (j < columns) io.store(y + i * row + j * pixel + c, clamp(t[j] + b, lo, hi));
      }
    }
  });
}

/// The 6x6 block of one tile: in place, or with its padding in `scratch`.
struct WinogradBlock {
  const float* x;
  int64_t row, pixel;
};

inline WinogradBlock find_block(const Conv2dShape& s, const float* image, int64_t y, int64_t x,
                                float* scratch) {
  const Window2d& w = s.window;
  const int64_t c = s.in_c;
  const int64_t row = w.in_w * c;
  if (y >= 0 && x >= 0 && y + kWinogradIn <= w.in_h && x + kWinogradIn <= w.in_w) {
    return {image + y * row + x * c, row, c};
  }
  std::memset(scratch, 0, bytes_of(kWinogradPoints * c));
  const int64_t first = max_of(0, -x);
  const int64_t end = min_of(kWinogradIn, w.in_w - x);
  for (int64_t i = max_of(0, -y); i < min_of(kWinogradIn, w.in_h - y) && first < end; ++i) {
    std::memcpy(scratch + (i * kWinogradIn + first) * c, image + (y + i) * row + (x + first) * c,
                bytes_of((end - first) * c));
  }
  return {scratch, kWinogradIn * c, c};
}

/// body(image, row, column) of the first output of a tile.
template <typename Body>
EW_INLINE void at_tile(const WinogradPlan& p, int64_t tile, const Body& body) {
  const int64_t image = tile / (p.tiles_h * p.tiles_w);
  body(image, tile / p.tiles_w % p.tiles_h * kWinogradOut, tile % p.tiles_w * kWinogradOut);
}

/// One point and panel of the product of `count` tiles.
inline void winograd_product(const WinogradPlan& p, const float* weights, int64_t point,
                             int64_t panel, const float* v, float* m, int64_t count) {
  const int64_t column = p.panels.begin(panel);
  Tile t;
  t.length = p.in_c;
  t.a = v + point * count * p.in_c;
  t.a_row = p.in_c;
  t.b = weights + (point * p.columns() + column) * p.in_c;
  t.ldb = p.panels.width(panel) * int64_t{kLanes};
  t.c = m + point * count * p.columns() + column;
  t.ldc = p.columns();
  run_rows<false>(t, p.panels.width(panel), count);
}

/// Tiles [first, end) of all images.
inline void winograd_block(const Conv2dShape& s, const WinogradPlan& p, const float* x,
                           const float* weights, const float* bias, Clamp bounds, float* y,
                           float* scratch, int64_t first, int64_t end) {
  const Window2d& w = s.window;
  const int64_t count = end - first;
  float* v = scratch + array_size(kWinogradPoints * p.in_c);
  float* m = v + kWinogradPoints * count * p.in_c;
  for (int64_t i = 0; i < count; ++i) {
    at_tile(p, first + i, [&](int64_t n, int64_t ty, int64_t tx) {
      const WinogradBlock b =
          find_block(s, x + n * w.in_h * w.in_w * p.in_c, ty - w.pad_top, tx - w.pad_left, scratch);
      winograd_input(b.x, b.row, b.pixel, p.in_c, v + i * p.in_c, count * p.in_c);
    });
  }
  for (int64_t point = 0; point < kWinogradPoints; ++point) {
    for (int64_t panel = 0; panel < p.panels.count; ++panel) {
      winograd_product(p, weights, point, panel, v, m, count);
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    at_tile(p, first + i, [&](int64_t n, int64_t ty, int64_t tx) {
      winograd_output(m + i * p.columns(), count * p.columns(), p.out_c, bias, bounds, w.out_h - ty,
                      w.out_w - tx, y + ((n * w.out_h + ty) * w.out_w + tx) * p.out_c,
                      w.out_w * p.out_c, p.out_c);
    });
  }
}

/// Few tiles and many weights: the threads share each of the three stages out, the products by
/// points, so that each reads its part of the weights alone.
inline void winograd_by_points(const Conv2dShape& s, const WinogradPlan& p, const float* x,
                               const float* weights, const float* bias, Clamp bounds, float* y,
                               float* workspace, ThreadPool* pool) {
  const Window2d& w = s.window;
  const int64_t threads = thread_count(pool);
  const int64_t edge = array_size(kWinogradPoints * p.in_c);
  float* v = workspace + threads * edge;
  float* m = v + kWinogradPoints * p.tiles * p.in_c;
  const int64_t lanes = min_of(threads, p.tiles);
  parallel_for(pool, lanes, [&](int64_t lane) {
    for (int64_t i = p.tiles * lane / lanes; i < p.tiles * (lane + 1) / lanes; ++i) {
      at_tile(p, i, [&](int64_t n, int64_t ty, int64_t tx) {
        const WinogradBlock b = find_block(s, x + n * w.in_h * w.in_w * p.in_c, ty - w.pad_top,
                                           tx - w.pad_left, workspace + lane * edge);
        winograd_input(b.x, b.row, b.pixel, p.in_c, v + i * p.in_c, p.tiles * p.in_c);
      });
    }
  });
  parallel_pieces(pool, kWinogradPoints, p.panels.count, 4 * threads,
                  [&](int64_t point, int64_t first, int64_t end) {
                    for (int64_t panel = first; panel < end; ++panel) {
                      winograd_product(p, weights, point, panel, v, m, p.tiles);
                    }
                  });
  parallel_for(pool, lanes, [&](int64_t lane) {
    for (int64_t i = p.tiles * lane / lanes; i < p.tiles * (lane + 1) / lanes; ++i) {
      at_tile(p, i, [&](int64_t n, int64_t ty, int64_t tx) {
        winograd_output(m + i * p.columns(), p.tiles * p.columns(), p.out_c, bias, bounds,
                        w.out_h - ty, w.out_w - tx,
                        y + ((n * w.out_h + ty) * w.out_w + tx) * p.out_c, w.out_w * p.out_c,
                        p.out_c);
      });
    }
  });
}

inline int64_t winograd_workspace_floats(const Conv2dShape& s, int64_t threads) {
  return max_of(1, threads) * WinogradPlan(s).scratch_size();
}

inline void winograd(const Conv2dShape& s, const float* x, const float* weights, const float* bias,
                     Clamp bounds, float* y, void* workspace, ThreadPool* pool) {
  const WinogradPlan p(s);
  const int64_t threads = thread_count(pool);
  // What moves between caches costs more than weights that both fetch.
  const bool has_few_tiles = 4 * p.tiles * (p.in_c + p.columns()) <= p.in_c * p.columns();
  if (threads > 1 && has_few_tiles && p.tiles <= threads * p.block()) {
    return winograd_by_points(s, p, x, weights, bias, bounds, y, static_cast<float*>(workspace),
                              pool);
  }
  // As many blocks for every thread, none larger than fits.
  const int64_t blocks = round_up(ceil_div(p.tiles, p.block()), min_of(threads, p.tiles));
  const int64_t lanes = min_of(threads, blocks);
  parallel_for(pool, lanes, [&](int64_t lane) {
    float* scratch = static_cast<float*>(workspace) + lane * p.scratch_size();
    for (int64_t i = blocks * lane / lanes; i < blocks * (lane + 1) / lanes; ++i) {
      winograd_block(s, p, x, weights, bias, bounds, y, scratch, p.tiles * i / blocks,
                     p.tiles * (i + 1) / blocks);
    }
  });
}

}  // namespace ew::kernels::EW_TARGET
