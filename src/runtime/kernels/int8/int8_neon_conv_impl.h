#pragma once
// Dense convolutions on NEON: a tile is `Vectors` vectors of 4 output channels of `Pixels`
// neighbours, all of K in registers.
//
// Packed weights: for signed bytes first int32 [lane], what to add to the bias, and 16 bytes of
// which the first says whether a weight is -128; then [segment][dword][vector][16], or for usmmla
// [segment][8 bytes][pair of channels][2][8], segments padded with zeros.

#include "runtime/kernels/int8/int8_neon_common_impl.h"

namespace ew::kernels::int8::EW_INT8_TARGET {

inline constexpr int kMostVectors = 8;

/// Whether the tile multiplies matrices of 2 pixels by 2 channels.
inline constexpr bool is_matrix(int pixels) { return kHasMatrix && pixels > 1; }

inline size_t header_bytes(int64_t lanes) {
  return kSigned ? static_cast<size_t>(lanes) * sizeof(int32_t) + 16 : 0;
}

template <int L, int Vectors, int Pixels>
EW_INLINE void multiply_dword(const uint8x16_t (&x)[Pixels], const int8_t*& w, bool has_lowest,
                              int32x4_t (&acc)[Pixels][Vectors]) {
  int8x16_t weights[Vectors];
  EW_UNROLL for (int v = 0; v < Vectors; ++v) weights[v] = vld1q_s8(w + 16 * v);
  EW_UNROLL for (int p = 0; p < Pixels; ++p) {
    const Four<L> four(x[p]);
    EW_UNROLL for (int v = 0; v < Vectors; ++v) {
      acc[p][v] = four.mac(acc[p][v], weights[v], has_lowest);
    }
  }
  w += 16 * Vectors;
}

template <int Vectors, int Pixels, bool HasLowest>
EW_INLINE void multiply(const ConvShape& s, const uint8_t* in, const int8_t* w,
                        int32x4_t (&acc)[Pixels][Vectors]) {
  for (int64_t i = 0; i < s.segments; ++i) {
    const uint8_t* run = in + s.segment_offsets[i];
    int64_t left = (s.segment_bytes + 3) / 4;
    uint8x16_t x[Pixels];
    for (; left >= 4; left -= 4, run += 16) {
      EW_UNROLL for (int p = 0; p < Pixels; ++p) x[p] = load_bytes(run + p * s.in_pixel);
      multiply_dword<0>(x, w, HasLowest, acc);
      multiply_dword<1>(x, w, HasLowest, acc);
      multiply_dword<2>(x, w, HasLowest, acc);
      multiply_dword<3>(x, w, HasLowest, acc);
    }
    if (left == 0) continue;
    EW_UNROLL for (int p = 0; p < Pixels; ++p) x[p] = load_bytes(run + p * s.in_pixel);
    multiply_dword<0>(x, w, HasLowest, acc);
    if (left > 1) multiply_dword<1>(x, w, HasLowest, acc);
    if (left > 2) multiply_dword<2>(x, w, HasLowest, acc);
  }
}

#if defined(__ARM_FEATURE_MATMUL_INT8)

template <int Vectors, int Pixels>
EW_INLINE void multiply_pairs(const uint8x16_t (&x)[Pixels / 2], const int8_t*& w,
                              int32x4_t (&sum)[Pixels / 2][2 * Vectors]) {
  EW_UNROLL for (int c = 0; c < 2 * Vectors; ++c) {
    const int8x16_t weights = vld1q_s8(w + 16 * c);
    EW_UNROLL for (int p = 0; p < Pixels / 2; ++p) {
      sum[p][c] = vusmmlaq_s32(sum[p][c], x[p], weights);
    }
  }
  w += 32 * Vectors;
}

// acc += products. A sum holds two channels of a pixel, then of its neighbour.
template <int Vectors, int Pixels>
EW_INLINE void multiply_matrix(const ConvShape& s, const uint8_t* in, const int8_t* w,
                               int32x4_t (&acc)[Pixels][Vectors]) {
  constexpr int kPairs = Pixels / 2;
  int32x4_t sum[kPairs][2 * Vectors];
  EW_UNROLL for (int p = 0; p < kPairs; ++p) EW_UNROLL for (int c = 0; c < 2 * Vectors; ++c)
      sum[p][c] = vdupq_n_s32(0);
  for (int64_t i = 0; i < s.segments; ++i) {
    const uint8_t* run = in + s.segment_offsets[i];
    int64_t left = (s.segment_bytes + 7) / 8;
    uint8x16_t x[kPairs];
    for (; left >= 2; left -= 2, run += 16) {
      uint8x16_t high[kPairs];
      EW_UNROLL for (int p = 0; p < kPairs; ++p) {
        const uint64x2_t a = vreinterpretq_u64_u8(vld1q_u8(run + 2 * p * s.in_pixel));
        const uint64x2_t b = vreinterpretq_u64_u8(vld1q_u8(run + (2 * p + 1) * s.in_pixel));
        x[p] = vreinterpretq_u8_u64(vzip1q_u64(a, b));
        high[p] = vreinterpretq_u8_u64(vzip2q_u64(a, b));
      }
      multiply_pairs<Vectors, Pixels>(x, w, sum);
      multiply_pairs<Vectors, Pixels>(high, w, sum);
    }
    if (left == 0) continue;
    EW_UNROLL for (int p = 0; p < kPairs; ++p) {
      x[p] =
          vcombine_u8(vld1_u8(run + 2 * p * s.in_pixel), vld1_u8(run + (2 * p + 1) * s.in_pixel));
    }
    multiply_pairs<Vectors, Pixels>(x, w, sum);
  }
  EW_UNROLL for (int p = 0; p < kPairs; ++p) EW_UNROLL for (int v = 0; v < Vectors; ++v) {
    const int64x2_t a = vreinterpretq_s64_s32(sum[p][2 * v]);
    const int64x2_t b = vreinterpretq_s64_s32(sum[p][2 * v + 1]);
    acc[2 * p][v] = vaddq_s32(acc[2 * p][v], vreinterpretq_s32_s64(vzip1q_s64(a, b)));
    acc[2 * p + 1][v] = vaddq_s32(acc[2 * p + 1][v], vreinterpretq_s32_s64(vzip2q_s64(a, b)));
  }
}

#endif

template <int Vectors, int Pixels, Rounding R, bool HasLowest>
__attribute__((noinline)) void run_block(const ConvShape& shape, const ConvBlock& block,
                                         const int32_t* start, const uint8_t* x, uint8_t* y) {
  const ConvShape s = shape;  // copies: stores of bytes could change the originals
  const ConvBlock b = block;
  const auto* w = static_cast<const int8_t*>(b.weights) + header_bytes(4 * Vectors);
  for (int64_t n = 0; n < s.images; ++n) {
    for (int64_t oy = 0; oy < s.out_h; ++oy) {
      const uint8_t* row = x + n * s.in_image + oy * s.in_row;
      uint8_t* out = y + n * s.out_image + oy * s.out_row + b.first;
      for (int64_t ox = 0; ox < s.out_w; ox += Pixels) {
        // The last tile of a row overlaps the one before it.
        const int64_t at = std::min<int64_t>(ox, s.out_w - Pixels);
        int32x4_t acc[Pixels][Vectors];
        EW_UNROLL for (int v = 0; v < Vectors; ++v) EW_UNROLL for (int p = 0; p < Pixels; ++p)
            acc[p][v] = vld1q_s32(start + 4 * v);
        const uint8_t* in = row + at * s.in_pixel;
#if defined(__ARM_FEATURE_MATMUL_INT8)
        if constexpr (is_matrix(Pixels)) {
          multiply_matrix<Vectors, Pixels>(s, in, w, acc);
        } else {
          multiply<Vectors, Pixels, HasLowest>(s, in, w, acc);
        }
#else
        multiply<Vectors, Pixels, HasLowest>(s, in, w, acc);
#endif
        requantize_lanes<R>(b.requant, 0, acc);
        EW_UNROLL for (int p = 0; p < Pixels; ++p)
            store_lanes<R>(b.requant, acc[p], b.channels, out + (at + p) * s.out_pixel);
      }
    }
  }
}

using RunFn = void (*)(const ConvShape&, const ConvBlock&, const int32_t*, const uint8_t*,
                       uint8_t*);
struct Tile {
  int vectors;
  int pixels;
  RunFn run[3];  // by Rounding
  RunFn run_lowest[3];
};
template <int Vectors, int Pixels>
constexpr Tile tile() {
  constexpr bool kAsks = !kHasDot;
  return {Vectors,
          Pixels,
          {run_block<Vectors, Pixels, Rounding::kBits, false>,
           run_block<Vectors, Pixels, Rounding::kFloat, false>,
           run_block<Vectors, Pixels, Rounding::kExact, false>},
          {run_block<Vectors, Pixels, Rounding::kBits, kAsks>,
           run_block<Vectors, Pixels, Rounding::kFloat, kAsks>,
           run_block<Vectors, Pixels, Rounding::kExact, kAsks>}};
}

inline constexpr Tile kTiles[] = {
    tile<2, 1>(), tile<2, 2>(), tile<2, 4>(), tile<4, 1>(), tile<4, 2>(), tile<4, 4>(),
#if defined(__ARM_FEATURE_MATMUL_INT8)
    tile<2, 6>(), tile<2, 8>(), tile<4, 6>(),
#elif defined(__ARM_FEATURE_DOTPROD)
    tile<2, 8>(), tile<4, 5>(),
#endif
    tile<8, 1>(),
};

// Instructions of a row of tiles, roughly.
inline double row_cost(const Tile& t, const ConvShape& s) {
  const double products = t.vectors * t.pixels;
  const int64_t bytes = is_matrix(t.pixels) ? 8 : 4;
  const auto k = static_cast<double>(s.segments * ((s.segment_bytes + bytes - 1) / bytes));
  // Each step also loads its weights, and its share of the activations.
  const double step = is_matrix(t.pixels) ? products + 2.0 * t.vectors + t.pixels
                      : kHasDot           ? products + t.vectors + 0.5 * t.pixels
                                          : 3 * products + t.vectors + 2.5 * t.pixels;
  const auto tiles = static_cast<double>((s.out_w + t.pixels - 1) / t.pixels);
  return tiles * (k * step + 5 * products + 6 * t.pixels + 12);
}

inline const Tile& best_tile(const ConvShape& s, int vectors) {
  const Tile* best = nullptr;
  for (const Tile& t : kTiles) {
    if (t.vectors != vectors || t.pixels > s.out_w) continue;
    if (best == nullptr || row_cost(t, s) < row_cost(*best, s)) best = &t;
  }
  return *best;
}

inline int64_t plan_conv(const ConvShape& s, int64_t channels, ConvBlock* blocks, int64_t limit) {
  // A single pixel has no neighbours to share weights with, so it takes more channels at a time.
  const int widest = s.out_w == 1 ? 8 : 4;
  int64_t count = 0;
  for (int64_t first = 0; first < channels; ++count) {
    int vectors = widest;
    while (vectors > 2 && 2 * vectors >= channels - first) vectors /= 2;
    const int64_t here = std::min<int64_t>(4 * vectors, channels - first);
    if (count < limit) {
      blocks[count] = {.vectors = vectors,
                       .pixels = best_tile(s, vectors).pixels,
                       .first = first,
                       .channels = here};
    }
    first += here;
  }
  return count;
}

inline int conv_channel(int, int vector, int lane) { return 4 * vector + lane; }

inline size_t conv_weight_bytes(const ConvShape& s, const ConvBlock& b) {
  const int64_t step = is_matrix(b.pixels) ? 8 : 4;
  const int64_t steps = (s.segment_bytes + step - 1) / step;
  return header_bytes(4 * b.vectors) +
         static_cast<size_t>(s.segments * steps * step * 4 * b.vectors);
}

inline void pack_conv(const ConvShape& s, const ConvBlock& b, const int8_t* w, int64_t all_channels,
                      void* packed) {
  const int64_t lanes = 4 * b.vectors;
  auto* out = static_cast<int8_t*>(packed) + header_bytes(lanes);
  int32_t correction[4 * kMostVectors] = {};
  int8_t lowest = 0;
  const auto put = [&](int64_t i, int64_t k, int64_t lane) {
    int8_t value = 0;
    if (lane < b.channels && k < s.segment_bytes) {
      value = w[(i * s.segment_bytes + k) * all_channels + b.first + lane];
    }
    correction[lane] += 128 * value;
    lowest = std::min(lowest, value);
    *out++ = value;
  };
  const int64_t step = is_matrix(b.pixels) ? 8 : 4;
  const int64_t group = is_matrix(b.pixels) ? 2 : 4;  // lanes that lie together
  const int64_t run = kHasDot ? step : 2;             // bytes of a lane that do
  for (int64_t i = 0; i < s.segments; ++i) {
    for (int64_t k = 0; k < s.segment_bytes; k += step) {
      for (int64_t first = 0; first < lanes; first += group) {
        for (int64_t j = k; j < k + step; j += run) {
          for (int64_t l = first; l < first + group; ++l) {
            for (int64_t byte = j; byte < j + run; ++byte) put(i, byte, l);
          }
        }
      }
    }
  }
  if (!kSigned) return;
  auto* header = static_cast<int8_t*>(packed);
  std::memcpy(header, correction, static_cast<size_t>(lanes) * sizeof(int32_t));
  std::memset(header + lanes * 4, 0, 16);
  header[lanes * 4] = lowest == -128 ? 1 : 0;
}

/// The biases of `lanes` lanes with their corrections, which lie before the weights.
inline void add_corrections(const Requant& r, const void* weights, int64_t lanes, int32_t* start) {
  for (int64_t l = 0; l < lanes; l += 4) {
    int32x4_t bias = vld1q_s32(r.bias + l);
    if (kSigned) bias = vaddq_s32(bias, vld1q_s32(static_cast<const int32_t*>(weights) + l));
    vst1q_s32(start + l, bias);
  }
}

/// Where a tile keeps the block for it; the table does not offer kFine.
constexpr size_t place_of(Rounding rounding) {
  return rounding == Rounding::kBits ? 0 : rounding == Rounding::kFloat ? 1 : 2;
}

inline void conv(const ConvShape& s, const ConvBlock& b, const uint8_t* x, uint8_t* y) {
  const int64_t lanes = 4 * b.vectors;
  int32_t start[4 * kMostVectors];
  add_corrections(b.requant, b.weights, lanes, start);
  const bool has_lowest = kSigned && static_cast<const int8_t*>(b.weights)[lanes * 4] != 0;
  const size_t rounding = place_of(b.requant.rounding);
  const RoundDown mode(b.requant.rounding);
  for (const Tile& t : kTiles) {
    if (t.vectors != b.vectors || t.pixels != b.pixels) continue;
    (has_lowest ? t.run_lowest : t.run)[rounding](s, b, start, x, y);
    return;
  }
}

}  // namespace ew::kernels::int8::EW_INT8_TARGET
