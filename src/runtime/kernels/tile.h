#pragma once
// The register tile under every matrix product and dense convolution.
//
// C[r, :] (+)= sum over the reduction of A[r, .] * B[., :], for up to 16 rows and 4 vectors of
// columns held in registers. The reduction is a nest of three loops, so that one tile serves all of
// them:
//   gemm                 outer = inner = 1, length = k
//   convolution          outer = kernel rows, inner = kernel columns, length = input channels
//                        (kernel columns and channels merge if they are adjacent in memory)
//   kernel gradient      outer = images, inner = output rows, length = output columns
// B advances by ldb per step through the whole nest. Every element of C is one chain of fused
// multiply-adds in the order of the nest, whatever the tile size, so results do not depend on
// tiling.

#include <array>
#include <type_traits>
#include <utility>

#include "runtime/kernels/common.h"
#include "runtime/kernels/parallel.h"
#include "runtime/kernels/readers.h"
#include "runtime/kernels/vec.h"

namespace ew::kernels::EW_TARGET {

struct Tile {
  int64_t outer = 1, inner = 1, length = 0;
  const float* a = nullptr;
  int64_t a_outer = 0, a_inner = 0;
  int64_t a_row = 0;   // stride between the rows of the tile; 1 if A is transposed
  int64_t a_step = 1;  // stride along `length`; 1 if A is not transposed
  const float* b = nullptr;
  int64_t ldb = 0;
  float* c = nullptr;
  int64_t ldc = 0;
  int64_t last = kLanes;        // lanes of the last vector of columns that exist in C and bias
  const float* bias = nullptr;  // added to every row
  bool accumulate = false;      // adds what C holds
  Clamp clamp{};
  const float* ahead = nullptr;  // what to fetch into the second-level cache meanwhile,
  int64_t ahead_step = 0;        // so many floats per step of the reduction
  // Of A, from the end of one run of `length` steps to the next: prepare() sets them.
  int64_t next_inner = 0, next_outer = 0;

  void prepare() {
    next_inner = a_inner - length * a_step;
    next_outer = a_outer - inner * a_inner;
  }
};

/// Whether the last vector of columns is whole, so that nothing has to be masked. Small builds mask
/// always, which AVX-512 does at no cost, and so have each tile's end once.
inline bool is_whole([[maybe_unused]] const Tile& t) {
#if defined(EW_SMALL) && defined(__AVX512F__)
  return false;
#else
  return t.last == kLanes;
#endif
}

inline constexpr int kMaxVectors = kRegisters == 32 ? 4 : 2;
inline constexpr int kMaxRows = 16;

/// Most rows of a tile with so many vectors: accumulators, B and one broadcast fit the registers.
constexpr int max_rows(int vectors) {
  if (kRegisters == 16) return vectors == 1 ? 12 : 6;
  constexpr int kRows[] = {0, 16, 14, 8, 6};
  return kRows[vectors];
}

inline constexpr Clamp kNoClamp{};

/// The last of kVectors vectors may be partial.
template <bool kPartial>
EW_INLINE Vec load_part(const float* p, bool is_last, int64_t lanes) {
  return kPartial && is_last ? load_n(p, lanes) : load(p);
}

template <int kRows, int kVectors>
EW_INLINE void clear_tile(Vec (&sum)[kRows][kVectors]) {
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sum[r][j] = zero();
  }
}

template <int kRows, int kVectors>
EW_INLINE void add_bias(const float* bias, int64_t last, Vec (&sum)[kRows][kVectors]) {
#pragma GCC unroll 4
  for (int j = 0; j < kVectors; ++j) {
    const bool is_partial = j == kVectors - 1 && last != kLanes;
    const Vec v = is_partial ? load_n(bias + j * kLanes, last) : load(bias + j * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) sum[r][j] = sum[r][j] + v;
  }
}

template <int kRows, int kVectors, bool kPartial>
EW_INLINE void add_tile(const float* c, int64_t ldc, int64_t last, Vec (&sum)[kRows][kVectors]) {
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r, c += ldc) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      sum[r][j] = sum[r][j] + load_part<kPartial>(c + j * kLanes, j == kVectors - 1, last);
    }
  }
}

template <int kRows, int kVectors>
EW_INLINE void clamp_tile(Clamp bounds, Vec (&sum)[kRows][kVectors]) {
  const Vec lo = set1(bounds.lo);
  const Vec hi = set1(bounds.hi);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sum[r][j] = clamp(sum[r][j], lo, hi);
  }
}

template <int kRows, int kVectors, bool kPartial>
EW_INLINE void store_tile(float* c, int64_t ldc, int64_t last, const Vec (&sum)[kRows][kVectors]) {
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r, c += ldc) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      if (kPartial && j == kVectors - 1) {
        store_n(c + j * kLanes, sum[r][j], last);
      } else {
        store(c + j * kLanes, sum[r][j]);
      }
    }
  }
}

template <int kRows, int kVectors>
EW_INLINE void finish_tile(const Tile& t, Vec (&sum)[kRows][kVectors]) {
  const bool is_full = is_whole(t);
  if (t.bias != nullptr) add_bias(t.bias, t.last, sum);
  if (t.accumulate) {
    if (is_full) {
      add_tile<kRows, kVectors, false>(t.c, t.ldc, kLanes, sum);
    } else {
      add_tile<kRows, kVectors, true>(t.c, t.ldc, t.last, sum);
    }
  }
  if (t.clamp.lo > kNoClamp.lo || t.clamp.hi < kNoClamp.hi) clamp_tile(t.clamp, sum);
  if (is_full) {
    store_tile<kRows, kVectors, false>(t.c, t.ldc, kLanes, sum);
  } else {
    store_tile<kRows, kVectors, true>(t.c, t.ldc, t.last, sum);
  }
}

/// `count` tiles of kRows rows, one under the other; t.a and t.c move past them.
template <int kRows, int kVectors, bool kTransposed>
void run_tiles(Tile& t, int64_t count) {
  using Reader = std::conditional_t<kTransposed, ColumnReader, RowReader<kRows>>;
  for (; count > 0; --count) {
    // What only the ends of a tile need stays in memory: the sums take the registers.
    asm volatile("" : : "r"(&t) : "memory");
    Vec sum[kRows][kVectors];
    clear_tile(sum);
    const float* b = t.b;
    const int64_t ldb = t.ldb;
    const float* ahead = t.ahead != nullptr ? t.ahead : b;
    const int64_t ahead_step = t.ahead_step;
    Reader a(t.a, kTransposed ? t.a_step : t.a_row);
    for (int64_t o = t.outer; o > 0; --o) {
      for (int64_t i = t.inner; i > 0; --i) {
        for (int64_t l = t.length; l > 0; --l) {
          // Loads bound narrower tiles.
          if (kVectors > 1 && !kTransposed) {
            __builtin_prefetch(ahead, 0, 2);
            ahead += ahead_step;
          }
          Vec bv[kVectors];
#pragma GCC unroll 4
          for (int j = 0; j < kVectors; ++j) bv[j] = load(b + j * kLanes);
#pragma GCC unroll 16
          for (int r = 0; r < kRows; ++r) {
            const Vec av = set1(a.at(r));
#pragma GCC unroll 4
            for (int j = 0; j < kVectors; ++j) sum[r][j] = fma(av, bv[j], sum[r][j]);
          }
          a.advance();
          b += ldb;
        }
        a.move(t.next_inner);
      }
      a.move(t.next_outer);
    }
    asm volatile("" : : "r"(&t) : "memory");
    if (t.ahead != nullptr) t.ahead = ahead;
    finish_tile(t, sum);
    t.a += kRows * (kTransposed ? 1 : t.a_row);
    t.c += kRows * t.ldc;
  }
}

using TileFunction = void (*)(Tile&, int64_t count);

template <int kVectors, bool kTransposed, size_t... kIndex>
constexpr std::array<TileFunction, kMaxRows> tile_row(std::index_sequence<kIndex...>) {
  return {run_tiles<static_cast<int>(kIndex) + 1, kVectors, kTransposed>...};
}

template <int kVectors, bool kTransposed>
inline constexpr std::array<TileFunction, kMaxRows> kTileRow = tile_row<kVectors, kTransposed>(
    std::make_index_sequence<static_cast<size_t>(max_rows(kVectors))>());

template <bool kTransposed>
TileFunction find_tile(int vectors, int64_t rows) {
  const auto r = static_cast<size_t>(rows - 1);
  if (vectors == 1) return kTileRow<1, kTransposed>[r];
  if constexpr (kMaxVectors > 2) {
    if (vectors == 3) return kTileRow<3, kTransposed>[r];
    if (vectors == 4) return kTileRow<4, kTransposed>[r];
  }
  return kTileRow<2, kTransposed>[r];
}

/// Covers `rows` rows with tiles of nearly equal height, at most `most`: run(height, count, tile)
/// for up to two heights, where `base` has a and c at the first row, and each run moves them on.
template <typename Run>
EW_INLINE void for_tiles(const Tile& base, int64_t rows, int64_t most, const Run& run) {
  if (rows <= 0) return;
  const int64_t tiles = ceil_div(rows, most);
  const int64_t low = rows / tiles;
  const int64_t higher = rows - low * tiles;  // so many tiles have one row more
  Tile t = base;
  t.prepare();
  if (higher > 0) run(low + 1, higher, t);
  run(low, tiles - higher, t);
}

/// Runs `base` over `rows` rows, base.a and base.c at the first.
template <bool kTransposed>
void run_rows(const Tile& base, int vectors, int64_t rows) {
  for_tiles(base, rows, max_rows(vectors), [&](int64_t height, int64_t count, Tile& t) {
    find_tile<kTransposed>(vectors, height)(t, count);
  });
}

/// The columns of C as panels of at most `max_vectors` vectors of nearly equal width.
struct Panels {
  int64_t columns, vectors, count;

  Panels(int64_t columns_, int64_t max_vectors)
      : columns(columns_),
        vectors(ceil_div(columns_, kLanes)),
        count(ceil_div(vectors, max_vectors)) {}
  int64_t begin(int64_t panel) const { return vectors * panel / count * kLanes; }
  int width(int64_t panel) const {
    return static_cast<int>(vectors * (panel + 1) / count - vectors * panel / count);
  }
  /// Lanes that exist in the last vector of the panel.
  int64_t last(int64_t panel) const {
    const int64_t end = begin(panel) + width(panel) * int64_t{kLanes};
    return end <= columns ? kLanes : columns - (end - kLanes);
  }
};

/// Copies op(src)[rows, columns from `first` on] as rows of `width` floats, zero beyond `columns`.
inline void pack_panel(const float* src, int64_t ld, bool transposed, int64_t rows, int64_t columns,
                       int64_t first, int64_t width, float* dst) {
  const int64_t used = min_of(columns - first, width);
  if (!transposed) {
    for (int64_t r = 0; r < rows; ++r) {
      const float* s = src + r * ld + first;
      float* d = dst + r * width;
      for (int64_t j = 0; j < width; j += kLanes) {
        store(d + j, used - j >= kLanes ? load(s + j) : load_n(s + j, max_of(used - j, 0)));
      }
    }
    return;
  }
  for (int64_t j = 0; j < used; ++j) {
    const float* s = src + (first + j) * ld;
    for (int64_t r = 0; r < rows; ++r) dst[r * width + j] = s[r];
  }
  for (int64_t j = used; j < width; ++j) {
    for (int64_t r = 0; r < rows; ++r) dst[r * width + j] = 0.F;
  }
}

}  // namespace ew::kernels::EW_TARGET
