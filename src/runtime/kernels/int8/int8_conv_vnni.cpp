// Dense convolutions: a tile is `Vectors` vectors of 16 output channels of `Pixels` neighbours, all
// of K in registers. One weight load serves all pixels, one 4-byte broadcast all vectors.
#include <array>
#include <iterator>
#include <utility>

#include "runtime/kernels/int8/int8_vnni_common.h"

namespace ew::kernels::int8::vnni {
namespace {

// Pixel p lies at base[p / 3] + (p % 3) * step: x86 adds once or twice an index for free.
template <int Pixels>
struct Bases {
  static constexpr int kCount = (Pixels + 2) / 3;
  const uint8_t* at[kCount];
  EW_INLINE Bases(const uint8_t* first, int64_t step) {
    EW_UNROLL for (int i = 0; i < kCount; ++i) at[i] = first + 3 * i * step;
  }
  EW_INLINE void advance(int64_t bytes) {
    EW_UNROLL for (int i = 0; i < kCount; ++i) at[i] += bytes;
  }
  EW_INLINE __m512i four(int p, int64_t step, int offset) const {
    int32_t value;
    std::memcpy(&value, at[p / 3] + (p % 3) * step + offset, 4);
    return _mm512_set1_epi32(value);
  }
};

template <int Vectors, int Pixels>
EW_INLINE void multiply(const ConvShape& s, const uint8_t* in, const int8_t* w,
                        __m512i (&acc)[Pixels][Vectors]) {
  const int64_t step = s.in_pixel;
  const int64_t dwords = (s.segment_bytes + 3) / 4;
  const auto one = [&](const Bases<Pixels>& x, int offset) __attribute__((always_inline)) {
    __m512i weight[Vectors];
    EW_UNROLL for (int v = 0; v < Vectors; ++v) weight[v] = load(w + 64 * v);
    EW_UNROLL for (int p = 0; p < Pixels; ++p) {
      const __m512i four = x.four(p, step, offset);
      EW_UNROLL for (int v = 0; v < Vectors; ++v) acc[p][v] = dot(acc[p][v], four, weight[v]);
    }
    w += 64 * Vectors;
  };
  for (int64_t i = 0; i < s.segments; ++i) {
    Bases<Pixels> x(in + s.segment_offsets[i], step);
    int64_t k = dwords;
    for (; k >= 2; k -= 2) {
      one(x, 0);
      one(x, 4);
      x.advance(8);
    }
    if (k > 0) one(x, 0);
  }
}

// A single pixel would wait for its own sums: K is split over more accumulators. Weights are read
// once, from the second-level cache; as nothing depends on the loads, the core runs them far ahead,
// and prefetches would only take their places.
template <int Vectors>
EW_INLINE void multiply_one(const ConvShape& s, const uint8_t* in, const int8_t* w,
                            __m512i (&acc)[1][Vectors]) {
  constexpr int kParts = Vectors == 8 ? 2 : Vectors == 4 ? 4 : 8;
  const int64_t dwords = (s.segment_bytes + 3) / 4;
  __m512i sum[kParts][Vectors];
  EW_UNROLL for (int j = 0; j < kParts; ++j) EW_UNROLL for (int v = 0; v < Vectors; ++v) sum[j][v] =
      j == 0 ? acc[0][v] : _mm512_setzero_si512();
  const auto four = [](const uint8_t* p) __attribute__((always_inline)) {
    int32_t value;
    std::memcpy(&value, p, 4);
    return _mm512_set1_epi32(value);
  };
  for (int64_t i = 0; i < s.segments; ++i) {
    const uint8_t* x = in + s.segment_offsets[i];
    int64_t k = dwords;
    for (; k >= kParts; k -= kParts, x += 4 * kParts, w += 64 * Vectors * kParts) {
      EW_UNROLL for (int j = 0; j < kParts; ++j) {
        const __m512i value = four(x + 4 * j);
        EW_UNROLL for (int v = 0; v < Vectors; ++v) sum[j][v] =
            dot(sum[j][v], value, load(w + 64 * (Vectors * j + v)));
      }
    }
    for (; k > 0; --k, x += 4, w += 64 * Vectors) {
      const __m512i value = four(x);
      EW_UNROLL for (int v = 0; v < Vectors; ++v) sum[0][v] =
          dot(sum[0][v], value, load(w + 64 * v));
    }
  }
  EW_UNROLL for (int v = 0; v < Vectors; ++v) {
    EW_UNROLL for (int j = 1; j < kParts; ++j) sum[0][v] = _mm512_add_epi32(sum[0][v], sum[j][v]);
    acc[0][v] = sum[0][v];
  }
}

EW_INLINE void store_16(uint8_t* out, __m128i bytes, int64_t channels) {
  if (channels == 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), bytes);
  } else {
    _mm_mask_storeu_epi8(out, static_cast<__mmask16>(first_bytes(channels)), bytes);
  }
}

constexpr int kMostVectors = 8;

__attribute__((noinline)) void store_exact(const Requant& r, const __m512i* acc, int vectors,
                                           int64_t first, uint8_t* out) {
  int32_t sums[kLanes * kMostVectors];
  int32_t bytes[kLanes * kMostVectors];
  for (int v = 0; v < vectors; ++v) _mm512_storeu_si512(sums + kLanes * v, acc[v]);
  exact_bytes(r, sums, 0, kLanes * vectors, bytes);
  for (int l = 0; l < kLanes * vectors; ++l) {
    if (r.channel[l] >= 0) out[r.channel[l] - first] = static_cast<uint8_t>(bytes[l]);
  }
}

// The rounding constants of a block: in registers as far as there are any.
template <int Vectors, Rounding R>
struct BlockConstants {
  LaneConstants<R> lanes[Vectors];
  // `step`: lanes from one vector's constants to the next's.
  EW_INLINE explicit BlockConstants(const Requant& r, int64_t step = kLanes)
      : BlockConstants(r, step, std::make_index_sequence<Vectors>()) {}
  template <size_t... I>
  EW_INLINE BlockConstants(const Requant& r, int64_t step, std::index_sequence<I...>)
      : lanes{LaneConstants<R>(r, step * static_cast<int64_t>(I))...} {}
};

template <int Vectors, int Pixels, Rounding R>
EW_INLINE void store(const ConvShape& s, const ConvBlock& b,
                     const BlockConstants<Vectors, R>& constants,
                     const __m512i (&acc)[Pixels][Vectors], uint8_t* out) {
  const Requant& r = b.requant;
  const int64_t step = s.out_pixel;
  const auto finish = [&](int p, int v) __attribute__((always_inline)) {
    return constants.lanes[v].finish(acc[p][v]);
  };
  if (R == Rounding::kFloat && r.rounding == Rounding::kExact) {
    // Sums that start as those of kFloat.
    for (int p = 0; p < Pixels; ++p) {
      store_exact(r, &acc[p][0], Vectors, b.first, out + p * step);
    }
    return;
  }
  if constexpr (Vectors == 8) {
    // More than 64 channels, else the block would be narrower.
    EW_UNROLL for (int p = 0; p < Pixels; ++p) {
      uint8_t* to = out + p * step;
      _mm512_storeu_si512(to,
                          pack_64<R>(finish(p, 0), finish(p, 1), finish(p, 2), finish(p, 3), r));
      _mm512_mask_storeu_epi8(
          to + 64, first_bytes(b.channels - 64),
          pack_64<R>(finish(p, 4), finish(p, 5), finish(p, 6), finish(p, 7), r));
    }
  } else if constexpr (Vectors == 4) {
    const __mmask64 mask = first_bytes(b.channels);
    EW_UNROLL for (int p = 0; p < Pixels; ++p) {
      const __m512i y = pack_64<R>(finish(p, 0), finish(p, 1), finish(p, 2), finish(p, 3), r);
      if (b.channels == 64) {
        _mm512_storeu_si512(out + p * step, y);
      } else {
        _mm512_mask_storeu_epi8(out + p * step, mask, y);
      }
    }
  } else if constexpr (Vectors == 2) {
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    const auto mask = static_cast<__mmask32>(first_bytes(b.channels));
    EW_UNROLL for (int p = 0; p < Pixels; p += 2) {
      const int q = std::min(p + 1, Pixels - 1);
      const __m512i y = _mm512_permutexvar_epi64(
          order, pack_64<R>(finish(p, 0), finish(p, 1), finish(q, 0), finish(q, 1), r));
      const __m256i low = _mm512_castsi512_si256(y);
      const __m256i high = _mm512_extracti64x4_epi64(y, 1);
      if (b.channels == 32) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + p * step), low);
        if (q > p) _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + q * step), high);
      } else {
        _mm256_mask_storeu_epi8(out + p * step, mask, low);
        if (q > p) _mm256_mask_storeu_epi8(out + q * step, mask, high);
      }
    }
  } else {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    EW_UNROLL for (int p = 0; p < Pixels; p += 4) {
      constexpr int kLast = Pixels - 1;
      const int p1 = std::min(p + 1, kLast);
      const int p2 = std::min(p + 2, kLast);
      const int p3 = std::min(p + 3, kLast);
      const __m512i y = _mm512_permutexvar_epi32(
          order, pack_64<R>(finish(p, 0), finish(p1, 0), finish(p2, 0), finish(p3, 0), r));
      if (p + 3 <= kLast && step == kLanes && b.channels == kLanes) {
        _mm512_storeu_si512(out + p * step, y);
        continue;
      }
      store_16(out + p * step, _mm512_castsi512_si128(y), b.channels);
      if (p1 > p) store_16(out + p1 * step, _mm512_extracti32x4_epi32(y, 1), b.channels);
      if (p2 > p1) store_16(out + p2 * step, _mm512_extracti32x4_epi32(y, 2), b.channels);
      if (p3 > p2) store_16(out + p3 * step, _mm512_extracti32x4_epi32(y, 3), b.channels);
    }
  }
}

// In a function of its own: what a layer of one pixel costs beside its products counts.
template <int Vectors, Rounding R>
__attribute__((noinline)) void run_pixel(const ConvShape& s, const ConvBlock& b, const uint8_t* in,
                                         uint8_t* out) {
  __m512i acc[1][Vectors];
  EW_UNROLL for (int v = 0; v < Vectors; ++v) acc[0][v] = load(b.requant.bias + 16 * v);
  multiply_one<Vectors>(s, in, static_cast<const int8_t*>(b.weights), acc);
  const int64_t step = b.requant.repeats ? 0 : kLanes;
  store<Vectors, 1, R>(s, b, BlockConstants<Vectors, R>(b.requant, step), acc, out);
}

template <int Vectors, int Pixels, Rounding R>
EW_INLINE void run_row(const ConvShape& s, const ConvBlock& b,
                       const BlockConstants<Vectors, R>& constants, const uint8_t* row,
                       uint8_t* out) {
  const auto* w = static_cast<const int8_t*>(b.weights);
  for (int64_t ox = 0; ox < s.out_w; ox += Pixels) {
    // The last tile of a row overlaps the one before it.
    const int64_t at = std::min<int64_t>(ox, s.out_w - Pixels);
    __m512i acc[Pixels][Vectors];
    EW_UNROLL for (int v = 0; v < Vectors; ++v) EW_UNROLL for (int p = 0; p < Pixels; ++p)
        acc[p][v] = load(b.requant.bias + 16 * v);
    multiply<Vectors, Pixels>(s, row + at * s.in_pixel, w, acc);
    store<Vectors, Pixels, R>(s, b, constants, acc, out + at * s.out_pixel);
  }
}

template <int Vectors, int Pixels, Rounding R>
void run_block(const ConvShape& shape, const ConvBlock& block, const uint8_t* x, uint8_t* y) {
  if constexpr (Pixels == 1) {
    if (shape.images == 1 && shape.out_h == 1 && shape.out_w == 1) {
      return run_pixel<Vectors, R>(shape, block, x, y + block.first);
    }
    for (int64_t n = 0; n < shape.images; ++n) {
      for (int64_t oy = 0; oy < shape.out_h; ++oy) {
        for (int64_t ox = 0; ox < shape.out_w; ++ox) {
          run_pixel<Vectors, R>(
              shape, block, x + n * shape.in_image + oy * shape.in_row + ox * shape.in_pixel,
              y + n * shape.out_image + oy * shape.out_row + ox * shape.out_pixel + block.first);
        }
      }
    }
  } else {
    const ConvShape s = shape;  // copies: stores of bytes could change the originals
    const ConvBlock b = block;
    const BlockConstants<Vectors, R> constants(b.requant);
    for (int64_t n = 0; n < s.images; ++n) {
      for (int64_t oy = 0; oy < s.out_h; ++oy) {
        run_row<Vectors, Pixels, R>(s, b, constants, x + n * s.in_image + oy * s.in_row,
                                    y + n * s.out_image + oy * s.out_row + b.first);
      }
    }
  }
}

using RunFn = void (*)(const ConvShape&, const ConvBlock&, const uint8_t*, uint8_t*);
struct Tile {
  int vectors;
  int pixels;
  RunFn run_bits;
  RunFn run_fine;
  RunFn run_float;  // and exactly
};
template <int Vectors, int Pixels>
constexpr Tile tile() {
  return {Vectors,
          Pixels,
          run_block<Vectors, Pixels, Rounding::kBits>,
          run_block < Vectors,
          Pixels,
          kHasFine ? Rounding::kFine : Rounding::kFloat >,
          run_block<Vectors, Pixels, Rounding::kFloat>};
}

constexpr Tile kTiles[] = {
    tile<1, 1>(), tile<1, 2>(), tile<1, 4>(),  tile<1, 8>(),  tile<1, 12>(), tile<1, 16>(),
    tile<2, 1>(), tile<2, 2>(), tile<2, 3>(),  tile<2, 4>(),  tile<2, 5>(),  tile<2, 6>(),
    tile<2, 8>(), tile<2, 9>(), tile<2, 10>(), tile<2, 12>(), tile<4, 1>(),  tile<4, 2>(),
    tile<4, 3>(), tile<4, 4>(), tile<4, 5>(),  tile<4, 6>(),  tile<8, 1>(),
};

// Where a tile stands in kTiles; a small layer is over before a search would be.
constexpr int kMostPixels = 16;
constexpr auto kTileIndex = [] {
  std::array<std::array<int8_t, kMostPixels + 1>, kMostVectors + 1> index = {};
  for (size_t i = 0; i < std::size(kTiles); ++i) {
    index[static_cast<size_t>(kTiles[i].vectors)][static_cast<size_t>(kTiles[i].pixels)] =
        static_cast<int8_t>(i);
  }
  return index;
}();

// Cycles of a row of tiles, roughly: two products, two loads or (a chain of products) one fifth of
// a sum a cycle; the way back to bytes on the same ports.
double row_cycles(const Tile& t, const ConvShape& s) {
  const int products = t.vectors * t.pixels;
  const double k = static_cast<double>(s.segments * ((s.segment_bytes + 3) / 4));
  const double step = t.pixels == 1
                          ? std::max(1.0 * t.vectors, 3.0)
                          : std::max({products / 2.0, (t.vectors + t.pixels) / 2.0, 4.0}) + 0.5;
  const double finish = (products * 4.0 + 4) / 2 + 6;
  const auto tiles = static_cast<double>((s.out_w + t.pixels - 1) / t.pixels);
  // A block's weights should stay in the first-level cache beside the rows they meet.
  const double weights = k * 64 * t.vectors;
  const double misses = weights > 28 * 1024 && t.pixels > 1 ? 1.1 : 1.0;
  return tiles * (k * step * misses + finish);
}

const Tile& best_tile(const ConvShape& s, int vectors) {
  const Tile* best = nullptr;
  for (const Tile& t : kTiles) {
    if (t.vectors != vectors || t.pixels > s.out_w) continue;
    if (best == nullptr || row_cycles(t, s) < row_cycles(*best, s)) best = &t;
  }
  return *best;
}

}  // namespace

int64_t plan_conv(const ConvShape& s, int64_t channels, ConvBlock* blocks, int64_t limit) {
  // One width for all but the rest, which takes the narrowest that holds it.
  int width = 1;
  double best = 1e300;
  for (const int vectors : {1, 2, 4, 8}) {
    if (vectors == kMostVectors && s.out_w > 1) continue;  // has no tile of several pixels
    const auto count = static_cast<double>((channels + 16 * vectors - 1) / (16 * vectors));
    const double cycles = count * row_cycles(best_tile(s, vectors), s);
    if (cycles < best) {
      best = cycles;
      width = vectors;
    }
  }
  int64_t count = 0;
  for (int64_t first = 0; first < channels; ++count) {
    int vectors = width;
    while (vectors > 1 && 16 * vectors / 2 >= channels - first) vectors /= 2;
    const int64_t here = std::min<int64_t>(16 * vectors, channels - first);
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

int conv_channel(int vectors, int vector, int lane) { return channel_of(vectors, vector, lane); }

size_t conv_weight_bytes(const ConvShape& s, const ConvBlock& b) {
  return static_cast<size_t>(s.segments * ((s.segment_bytes + 3) / 4) * 64 * b.vectors);
}

// [segment][dword][vector][lane][4], a segment padded with zeros to dwords.
void pack_conv(const ConvShape& s, const ConvBlock& b, const int8_t* w, int64_t all_channels,
               void* packed) {
  auto* out = static_cast<int8_t*>(packed);
  for (int64_t i = 0; i < s.segments; ++i) {
    for (int64_t k = 0; k < s.segment_bytes; k += 4) {
      for (int v = 0; v < b.vectors; ++v) {
        for (int l = 0; l < kLanes; ++l) {
          const int64_t channel = channel_of(b.vectors, v, l);
          for (int64_t j = k; j < k + 4; ++j) {
            *out++ = channel < b.channels && j < s.segment_bytes
                         ? w[(i * s.segment_bytes + j) * all_channels + b.first + channel]
                         : int8_t{0};
          }
        }
      }
    }
  }
}

void conv(const ConvShape& s, const ConvBlock& b, const uint8_t* x, uint8_t* y) {
  const int8_t index = kTileIndex[static_cast<size_t>(b.vectors)][static_cast<size_t>(b.pixels)];
  const Tile& t = kTiles[static_cast<size_t>(index)];
  if (b.requant.rounding == Rounding::kBits) return t.run_bits(s, b, x, y);
  (b.requant.rounding == Rounding::kFine ? t.run_fine : t.run_float)(s, b, x, y);
}

}  // namespace ew::kernels::int8::vnni
