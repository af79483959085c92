#pragma once
// Register tiles for layers of at most one vector of output channels, where the plain tile is bound
// by loading one input value per multiply-add. Taps that are neighbours along a row see the same
// inputs: each value is loaded once and multiplied by the taps of all outputs it belongs to.

#include "runtime/kernels/tile.h"

namespace ew::kernels::EW_TARGET {

inline constexpr int kSharedRows = kRegisters == 32 ? 16 : 10;

/// Forward, stride 1: output r = sum over kernel rows, channels and taps of input[r + tap] *
/// kernel. `outer` and `a_outer` are the kernel rows, `length` the channels, `a_row` the distance
/// of pixels; B has the rows (kernel row, tap, channel), `ldb` apart.
template <int kRows, int kTaps>
void run_shared_tiles(Tile& t, int64_t count) {
  for (; count > 0; --count, t.a += kRows * t.a_row, t.c += kRows * t.ldc) {
    Vec sum[kRows][1];
    clear_tile(sum);
    const int64_t ldb = t.ldb;
    const int64_t tap = t.length * ldb;
    for (int64_t o = 0; o < t.outer; ++o) {
      RowReader<kRows + kTaps - 1> a(t.a + o * t.a_outer, t.a_row);
      const float* b = t.b + o * kTaps * tap;
      for (int64_t l = t.length; l > 0; --l, b += ldb) {
        Vec w[kTaps];
#pragma GCC unroll 4
        for (int k = 0; k < kTaps; ++k) w[k] = load(b + k * tap);
#pragma GCC unroll 20
        for (int i = 0; i < kRows + kTaps - 1; ++i) {
          const Vec x = set1(a.at(i));
#pragma GCC unroll 4
          for (int k = 0; k < kTaps; ++k) {
            const int r = i - k;
            if (r >= 0 && r < kRows) sum[r][0] = fma(x, w[k], sum[r][0]);
          }
        }
        a.advance();
      }
    }
    finish_tile(t, sum);
  }
}

template <int kTaps, size_t... kIndex>
constexpr std::array<TileFunction, sizeof...(kIndex)> shared_tiles(std::index_sequence<kIndex...>) {
  return {run_shared_tiles<static_cast<int>(kIndex) + 1, kTaps>...};
}

template <int kTaps>
inline constexpr auto kSharedTiles = shared_tiles<kTaps>(std::make_index_sequence<kSharedRows>());

/// True if run_shared_rows has tiles for so many taps.
constexpr bool has_shared_tile(int64_t taps) { return taps == 2 || taps == 3; }

inline void run_shared_rows(const Tile& base, int64_t taps, int64_t rows) {
  for_tiles(base, rows, kSharedRows, [&](int64_t height, int64_t count, Tile& t) {
    const auto i = static_cast<size_t>(height - 1);
    (taps == 2 ? kSharedTiles<2>[i] : kSharedTiles<3>[i])(t, count);
  });
}

/// Kernel gradient, stride 1: C[(tap, row), :] = sum over pixels of input[pixel + tap, row] *
/// B[pixel,
/// :] for three taps and kRows channels; rows of C of the same tap are `ldc` apart, taps `c_tap`.
/// The nest is (outer: images, inner: output rows, length: pixels), `a_step` the distance of
/// pixels.
template <int kRows>
void run_shared_weights(const Tile& t, int64_t c_tap) {
  Vec sum[3][kRows][1];
#pragma GCC unroll 3
  for (int k = 0; k < 3; ++k) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) sum[k][r][0] = zero();
  }
  // One input pixel into taps [first, end); tap k goes with the output pixel k before.
  const auto add_pixel = [&sum](const float* x, const Vec(&dy)[3], auto first, auto end) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Vec v = set1(x[r]);
#pragma GCC unroll 3
      for (int k = 0; k < 3; ++k) {
        if (k >= first && k < end) sum[k][r][0] = fma(v, dy[k], sum[k][r][0]);
      }
    }
  };
  using std::integral_constant;
  const integral_constant<int, 0> c0;
  const integral_constant<int, 1> c1;
  const integral_constant<int, 2> c2;
  const integral_constant<int, 3> c3;
  const float* b = t.b;
  for (int64_t o = 0; o < t.outer; ++o) {
    for (int64_t i = 0; i < t.inner; ++i) {
      const float* x = t.a + o * t.a_outer + i * t.a_inner;
      Vec dy[3] = {load(b), zero(), zero()};
      add_pixel(x, dy, c0, c1);
      x += t.a_step;
      b += t.ldb;
      dy[1] = dy[0];
      dy[0] = load(b);
      add_pixel(x, dy, c0, c2);
      x += t.a_step;
      b += t.ldb;
      for (int64_t l = t.length - 2; l > 0; --l, x += t.a_step, b += t.ldb) {
        dy[2] = dy[1];
        dy[1] = dy[0];
        dy[0] = load(b);
        add_pixel(x, dy, c0, c3);
      }
      dy[2] = dy[1];
      dy[1] = dy[0];
      add_pixel(x, dy, c1, c3);
      dy[2] = dy[1];
      add_pixel(x + t.a_step, dy, c2, c3);
    }
  }
#pragma GCC unroll 3
  for (int k = 0; k < 3; ++k) {
    Tile part = t;
    part.c += k * c_tap;
    finish_tile(part, sum[k]);
  }
}

inline constexpr int kSharedChannels = kRegisters == 32 ? 8 : 4;

using SharedWeightFunction = void (*)(const Tile&, int64_t);

template <size_t... kIndex>
constexpr std::array<SharedWeightFunction, sizeof...(kIndex)> shared_weight_tiles(
    std::index_sequence<kIndex...>) {
  return {run_shared_weights<static_cast<int>(kIndex) + 1>...};
}

inline constexpr auto kSharedWeightTiles =
    shared_weight_tiles(std::make_index_sequence<kSharedChannels>());

/// Over `channels` input channels; rows of at least two pixels.
inline void run_shared_weight_rows(const Tile& base, int64_t c_tap, int64_t channels) {
  for_tiles(base, channels, kSharedChannels, [&](int64_t height, int64_t count, Tile& t) {
    for (; count > 0; --count, t.a += height, t.c += height * t.ldc) {
      kSharedWeightTiles[static_cast<size_t>(height - 1)](t, c_tap);
    }
  });
}

}  // namespace ew::kernels::EW_TARGET
