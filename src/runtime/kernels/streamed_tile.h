#pragma once
// Register tiles of at most four rows, whose time is that of reading B: packed panels, of floats or
// of something that widens to them, fetched ahead of the loads.

#include "runtime/kernels/half_vec.h"
#include "runtime/kernels/tile.h"

namespace ew::kernels::EW_TARGET {

struct FloatElements {
  using Element = float;
  static EW_INLINE Vec load(const float* p) { return EW_TARGET::load(p); }
};

template <HalfType kType>
struct HalfElements {
  using Element = uint16_t;
  static EW_INLINE Vec load(const uint16_t* p) { return load_halves<kType>(p); }
};

/// t.b is not used: B is `b`, rows of kVectors vectors. The sums are those of run_tile().
template <int kRows, int kVectors, typename Elements>
void run_streamed(const Tile& t, const typename Elements::Element* b) {
  using Element = typename Elements::Element;
  constexpr int64_t kAhead = 2048 / static_cast<int64_t>(sizeof(Element));
  constexpr int kLine = 64 / static_cast<int>(sizeof(Element));
  Vec sum[kRows][kVectors];
  clear_tile(sum);
  const float* a = t.a;
  for (int64_t l = t.length; l > 0; --l, ++a, b += kVectors * kLanes) {
    // Panels follow each other, so what lies ahead is wanted, but for the end of the last one.
#pragma GCC unroll 4
    for (int j = 0; j < kVectors * kLanes; j += kLine) __builtin_prefetch(b + kAhead + j);
    Vec bv[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) bv[j] = Elements::load(b + j * kLanes);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const Vec av = set1(a[r * t.a_row]);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sum[r][j] = fma(av, bv[j], sum[r][j]);
    }
  }
  finish_tile(t, sum);
}

template <typename Elements>
using StreamedFunction = void (*)(const Tile&, const typename Elements::Element*);

template <int kVectors, typename Elements>
StreamedFunction<Elements> streamed_tile(int64_t rows) {
  static constexpr StreamedFunction<Elements> kTiles[] = {
      run_streamed<1, kVectors, Elements>, run_streamed<2, kVectors, Elements>,
      run_streamed<3, kVectors, Elements>, run_streamed<4, kVectors, Elements>};
  return kTiles[rows - 1];
}

template <typename Elements>
StreamedFunction<Elements> find_streamed(int vectors, int64_t rows) {
  if (vectors == 1) return streamed_tile<1, Elements>(rows);
  if constexpr (kMaxVectors > 2) {
    if (vectors == 3) return streamed_tile<3, Elements>(rows);
    if (vectors == 4) return streamed_tile<4, Elements>(rows);
  }
  return streamed_tile<2, Elements>(rows);
}

}  // namespace ew::kernels::EW_TARGET
