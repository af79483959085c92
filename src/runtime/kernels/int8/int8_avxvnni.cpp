// The int8 kernels for AVX-VNNI, the dot product of bytes on 256-bit vectors (processors without
// AVX-512): convolutions as in int8_conv_vnni.cpp and depthwise ones as in int8_depthwise_vnni.cpp,
// with tiles for 16 registers.
#define EW_INT8_TARGET avxvnni
#include <array>
#include <utility>

#include "runtime/kernels/int8/int8_256_impl.h"

namespace ew::kernels::int8::avxvnni {
namespace {

constexpr int kLanes = 8;
constexpr int64_t kVectorBytes = 32;

EW_INLINE __m256i dot(__m256i sum, __m256i u8s, __m256i s8s) {
#if defined(__clang__)
  return _mm256_dpbusd_avx_epi32(sum, u8s, s8s);
#else
  // As for AVX-512, GCC 12 moves the operands of the intrinsic about.
  asm("%{vex%} vpdpbusd %2,%1,%0" : "+x"(sum) : "x"(u8s), "xm"(s8s));
  return sum;
#endif
}

EW_INLINE __m256i broadcast_four(const uint8_t* p) {
  int32_t four;
  std::memcpy(&four, p, 4);
  return _mm256_set1_epi32(four);
}

// Lane l of vector v of a block: what packing vectors of int32 to bytes needs no permutation for.
constexpr int channel_of(int vectors, int v, int l) {
  return 4 * vectors * (l / 4) + 4 * v + l % 4;
}

template <Rounding R>
EW_INLINE __m256i finish(__m256i acc, const Requant& r, int64_t lane) {
  const __m256 scale = _mm256_loadu_ps(r.scale + lane);
  const __m256 offset = _mm256_loadu_ps(r.offset + lane);
  if constexpr (R == Rounding::kBits) {
    return _mm256_cvtps_epi32(_mm256_fmadd_ps(_mm256_castsi256_ps(acc), scale, offset));
  }
  const __m256 by_sign =
      _mm256_blendv_ps(offset, _mm256_loadu_ps(r.offset_negative + lane), _mm256_castsi256_ps(acc));
  return _mm256_cvtps_epi32(_mm256_fmadd_ps(_mm256_cvtepi32_ps(acc), scale, by_sign));
}

/// 32 bytes: in each 128-bit lane four of a, of b, of c, of d.
template <Rounding R>
EW_INLINE __m256i pack_32(__m256i a, __m256i b, __m256i c, __m256i d, const Requant& r) {
  const __m256i x = _mm256_packs_epi32(a, b);
  const __m256i y = _mm256_packs_epi32(c, d);
  if constexpr (R == Rounding::kBits) return _mm256_packus_epi16(x, y);
  const __m256i zero = _mm256_set1_epi16(static_cast<int16_t>(r.zero + 128));
  const __m256i bytes = _mm256_packus_epi16(_mm256_adds_epi16(x, zero), _mm256_adds_epi16(y, zero));
  return _mm256_min_epu8(_mm256_max_epu8(bytes, _mm256_set1_epi8(static_cast<char>(r.min))),
                         _mm256_set1_epi8(static_cast<char>(r.max)));
}

/// The first n of `Bytes` bytes.
template <int Bytes>
EW_INLINE void store_bytes(uint8_t* out, __m256i bytes, int64_t n) {
  if (n == Bytes) {
    if constexpr (Bytes == 32) _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), bytes);
    const __m128i low = _mm256_castsi256_si128(bytes);
    if constexpr (Bytes == 16) _mm_storeu_si128(reinterpret_cast<__m128i*>(out), low);
    if constexpr (Bytes == 8) _mm_storel_epi64(reinterpret_cast<__m128i*>(out), low);
    return;
  }
  alignas(32) uint8_t part[32];
  _mm256_store_si256(reinterpret_cast<__m256i*>(part), bytes);
  std::memcpy(out, part, static_cast<size_t>(n));
}

// ---- convolution: tiles of `Vectors` vectors of channels of `Pixels` neighbours

// Pixel p lies at at[p / 3] + (p % 3) * step: x86 adds once or twice an index for free.
template <int Pixels>
struct Bases {
  static constexpr int kCount = (Pixels + 2) / 3;
  const uint8_t* at[kCount];
  EW_INLINE Bases(const uint8_t* first, int64_t step) {
    EW_UNROLL for (int i = 0; i < kCount; ++i) at[i] = first + 3 * i * step;
  }
  EW_INLINE void advance() { EW_UNROLL for (int i = 0; i < kCount; ++i) at[i] += 4; }
  EW_INLINE __m256i four(int p, int64_t step) const {
    return broadcast_four(at[p / 3] + (p % 3) * step);
  }
};

template <int Vectors, int Pixels>
EW_INLINE void multiply(const ConvShape& s, const uint8_t* in, const int8_t* w,
                        __m256i (&acc)[Pixels][Vectors]) {
  const int64_t step = s.in_pixel;
  const int64_t dwords = (s.segment_bytes + 3) / 4;
  for (int64_t i = 0; i < s.segments; ++i) {
    Bases<Pixels> x(in + s.segment_offsets[i], step);
    for (int64_t k = dwords; k > 0; --k, w += kVectorBytes * Vectors) {
      // The fewer operands wait in registers.
      if constexpr (Vectors > Pixels) {
        __m256i four[Pixels];
        EW_UNROLL for (int p = 0; p < Pixels; ++p) four[p] = x.four(p, step);
        EW_UNROLL for (int v = 0; v < Vectors; ++v) {
          const __m256i weight = load(w + kVectorBytes * v);
          EW_UNROLL for (int p = 0; p < Pixels; ++p) acc[p][v] = dot(acc[p][v], four[p], weight);
        }
      } else {
        __m256i weight[Vectors];
        EW_UNROLL for (int v = 0; v < Vectors; ++v) weight[v] = load(w + kVectorBytes * v);
        EW_UNROLL for (int p = 0; p < Pixels; ++p) {
          const __m256i four = x.four(p, step);
          EW_UNROLL for (int v = 0; v < Vectors; ++v) acc[p][v] = dot(acc[p][v], four, weight[v]);
        }
      }
      x.advance();
    }
  }
}

// A single pixel would wait for its own sums: K is split over more accumulators.
template <int Vectors>
EW_INLINE void multiply_one(const ConvShape& s, const uint8_t* in, const int8_t* w,
                            __m256i (&acc)[1][Vectors]) {
  constexpr int kParts = Vectors == 4 ? 3 : Vectors == 2 ? 4 : 8;
  constexpr int kAhead = 1024;  // bytes of weights: what is on its way at once
  const int64_t dwords = (s.segment_bytes + 3) / 4;
  __m256i sum[kParts][Vectors];
  EW_UNROLL for (int j = 0; j < kParts; ++j) EW_UNROLL for (int v = 0; v < Vectors; ++v) sum[j][v] =
      j == 0 ? acc[0][v] : _mm256_setzero_si256();
  for (int64_t i = 0; i < s.segments; ++i) {
    const uint8_t* x = in + s.segment_offsets[i];
    int64_t k = dwords;
    for (; k >= kParts; k -= kParts, x += 4 * kParts, w += kVectorBytes * Vectors * kParts) {
      EW_UNROLL for (int j = 0; j < kParts; ++j) {
        const __m256i value = broadcast_four(x + 4 * j);
        EW_UNROLL for (int v = 0; v < Vectors; ++v) {
          const int8_t* weight = w + kVectorBytes * (Vectors * j + v);
          __builtin_prefetch(weight + kAhead);
          sum[j][v] = dot(sum[j][v], value, load(weight));
        }
      }
    }
    for (; k > 0; --k, x += 4, w += kVectorBytes * Vectors) {
      const __m256i value = broadcast_four(x);
      EW_UNROLL for (int v = 0; v < Vectors; ++v) sum[0][v] =
          dot(sum[0][v], value, load(w + kVectorBytes * v));
    }
  }
  EW_UNROLL for (int v = 0; v < Vectors; ++v) {
    EW_UNROLL for (int j = 1; j < kParts; ++j) sum[0][v] = _mm256_add_epi32(sum[0][v], sum[j][v]);
    acc[0][v] = sum[0][v];
  }
}

__attribute__((noinline)) void store_exact(const Requant& r, const __m256i* acc, int vectors,
                                           int64_t first, uint8_t* out) {
  for (int v = 0; v < vectors; ++v) {
    alignas(32) int32_t sums[kLanes];
    _mm256_store_si256(reinterpret_cast<__m256i*>(sums), acc[v]);
    for (int l = 0; l < kLanes; ++l) {
      const int32_t channel = r.channel[kLanes * v + l];
      if (channel >= 0) out[channel - first] = r.exact(r.context, sums[l], channel);
    }
  }
}

template <int Vectors, int Pixels, Rounding R>
EW_INLINE void store(const ConvShape& s, const ConvBlock& b, const __m256i (&acc)[Pixels][Vectors],
                     uint8_t* out) {
  const Requant& r = b.requant;
  const int64_t step = s.out_pixel;
  constexpr int kLast = Pixels - 1;
  if (R == Rounding::kFloat && r.rounding == Rounding::kExact) {
    // Sums that start as those of kFloat.
    for (int p = 0; p < Pixels; ++p) {
      store_exact(r, &acc[p][0], Vectors, b.first, out + p * step);
    }
    return;
  }
  const auto done = [&](int p, int v) __attribute__((always_inline)) {
    return finish<R>(acc[std::min(p, kLast)][v], r, kLanes * v);
  };
  if constexpr (Vectors == 4) {
    EW_UNROLL for (int p = 0; p < Pixels; ++p) {
      store_bytes<32>(out + p * step, pack_32<R>(done(p, 0), done(p, 1), done(p, 2), done(p, 3), r),
                      b.channels);
    }
  } else if constexpr (Vectors == 2) {
    EW_UNROLL for (int p = 0; p < Pixels; p += 2) {
      // Eight bytes of each pixel in turn.
      const __m256i y = _mm256_permute4x64_epi64(
          pack_32<R>(done(p, 0), done(p, 1), done(p + 1, 0), done(p + 1, 1), r), 0xD8);
      store_bytes<16>(out + p * step, y, b.channels);
      if (p < kLast) {
        store_bytes<16>(out + (p + 1) * step,
                        _mm256_castsi128_si256(_mm256_extracti128_si256(y, 1)), b.channels);
      }
    }
  } else {
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    EW_UNROLL for (int p = 0; p < Pixels; p += 4) {
      const __m256i y = _mm256_permutevar8x32_epi32(
          pack_32<R>(done(p, 0), done(p + 1, 0), done(p + 2, 0), done(p + 3, 0), r), order);
      const __m256i high = _mm256_castsi128_si256(_mm256_extracti128_si256(y, 1));
      store_bytes<8>(out + p * step, y, b.channels);
      if (p + 1 <= kLast) {
        store_bytes<8>(out + (p + 1) * step, _mm256_srli_si256(y, 8), b.channels);
      }
      if (p + 2 <= kLast) store_bytes<8>(out + (p + 2) * step, high, b.channels);
      if (p + 3 <= kLast) {
        store_bytes<8>(out + (p + 3) * step, _mm256_srli_si256(high, 8), b.channels);
      }
    }
  }
}

template <int Vectors, int Pixels, Rounding R>
void run_block(const ConvShape& shape, const ConvBlock& block, const uint8_t* x, uint8_t* y) {
  const ConvShape s = shape;  // copies: stores of bytes could change the originals
  const ConvBlock b = block;
  const auto* w = static_cast<const int8_t*>(b.weights);
  for (int64_t n = 0; n < s.images; ++n) {
    for (int64_t oy = 0; oy < s.out_h; ++oy) {
      const uint8_t* row = x + n * s.in_image + oy * s.in_row;
      uint8_t* out = y + n * s.out_image + oy * s.out_row + b.first;
      for (int64_t ox = 0; ox < s.out_w; ox += Pixels) {
        // The last tile of a row overlaps the one before it.
        const int64_t at = std::min<int64_t>(ox, s.out_w - Pixels);
        __m256i acc[Pixels][Vectors];
        EW_UNROLL for (int v = 0; v < Vectors; ++v) EW_UNROLL for (int p = 0; p < Pixels; ++p)
            acc[p][v] = load(b.requant.bias + kLanes * v);
        const uint8_t* in = row + at * s.in_pixel;
        if constexpr (Pixels == 1) {
          multiply_one<Vectors>(s, in, w, acc);
        } else {
          multiply<Vectors, Pixels>(s, in, w, acc);
        }
        store<Vectors, Pixels, R>(s, b, acc, out + at * s.out_pixel);
      }
    }
  }
}

using RunFn = void (*)(const ConvShape&, const ConvBlock&, const uint8_t*, uint8_t*);
struct Tile {
  int vectors;
  int pixels;
  RunFn run_bits;
  RunFn run_float;  // and exactly
};
template <int Vectors, int Pixels>
constexpr Tile tile() {
  return {Vectors, Pixels, run_block<Vectors, Pixels, Rounding::kBits>,
          run_block<Vectors, Pixels, Rounding::kFloat>};
}
constexpr Tile kTiles[] = {
    tile<1, 1>(), tile<1, 2>(), tile<1, 4>(), tile<1, 8>(), tile<1, 12>(),
    tile<2, 1>(), tile<2, 2>(), tile<2, 3>(), tile<2, 4>(), tile<2, 5>(),
    tile<2, 6>(), tile<4, 1>(), tile<4, 2>(), tile<4, 3>(),
};

// Cycles of a row of tiles, roughly: two products a cycle, each of which waits five for the one
// before it on the same sum; two loads or a little more; the way back to bytes on the same ports.
double row_cycles(const Tile& t, const ConvShape& s) {
  const int products = t.vectors * t.pixels;
  const double k = static_cast<double>(s.segments * ((s.segment_bytes + 3) / 4));
  const double loads = (t.vectors + t.pixels) / 2.5;
  const double step =
      t.pixels == 1 ? 0.8 * t.vectors + 0.5 : std::max({products / 2.0, loads, 5.0}) + 0.3;
  const auto tiles = static_cast<double>((s.out_w + t.pixels - 1) / t.pixels);
  return tiles * (k * step + 3.0 * products + 8);
}

const Tile& best_tile(const ConvShape& s, int vectors) {
  const Tile* best = nullptr;
  for (const Tile& t : kTiles) {
    if (t.vectors != vectors || t.pixels > s.out_w) continue;
    if (best == nullptr || row_cycles(t, s) < row_cycles(*best, s)) best = &t;
  }
  return *best;
}

int64_t plan_conv(const ConvShape& s, int64_t channels, ConvBlock* blocks, int64_t limit) {
  // One width for all but the rest, which takes the narrowest that holds it.
  int width = 1;
  double best = 1e300;
  for (const int vectors : {1, 2, 4}) {
    const int64_t lanes = int64_t{kLanes} * vectors;
    const auto count = static_cast<double>((channels + lanes - 1) / lanes);
    const double cycles = count * row_cycles(best_tile(s, vectors), s);
    if (cycles < best) {
      best = cycles;
      width = vectors;
    }
  }
  int64_t count = 0;
  for (int64_t first = 0; first < channels; ++count) {
    int vectors = width;
    while (vectors > 1 && kLanes * vectors / 2 >= channels - first) vectors /= 2;
    const int64_t here = std::min<int64_t>(kLanes * vectors, channels - first);
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

size_t conv_weight_bytes(const ConvShape& s, const ConvBlock& b) {
  return static_cast<size_t>(s.segments * ((s.segment_bytes + 3) / 4) * kVectorBytes * b.vectors);
}

// [segment][dword][vector][lane][4], a segment padded with zeros to dwords.
void pack_conv(const ConvShape& s, const ConvBlock& b, const int8_t* w, int64_t all_channels,
               void* packed) {
  auto* out = static_cast<int8_t*>(packed);
  for (int64_t i = 0; i < s.segments; ++i) {
    for (int64_t k = 0; k < s.segment_bytes; k += 4) {
      for (int lane = 0; lane < kLanes * b.vectors; ++lane) {
        const int64_t channel = channel_of(b.vectors, lane / kLanes, lane % kLanes);
        for (int64_t j = k; j < k + 4; ++j) {
          *out++ = channel < b.channels && j < s.segment_bytes
                       ? w[(i * s.segment_bytes + j) * all_channels + b.first + channel]
                       : int8_t{0};
        }
      }
    }
  }
}

void conv(const ConvShape& s, const ConvBlock& b, const uint8_t* x, uint8_t* y) {
  const RoundDown mode(b.requant.rounding);
  for (const Tile& t : kTiles) {
    if (t.vectors != b.vectors || t.pixels != b.pixels) continue;
    return (b.requant.rounding == Rounding::kBits ? t.run_bits : t.run_float)(s, b, x, y);
  }
}

// ---- depthwise: 32 channels of one pixel; or, where 8 or 16 channels lie side by side, pixels

constexpr int64_t kGroup = 4;     // vertical taps in a dword
constexpr int64_t kColumn = 128;  // weight bytes of one column of taps: [vector][lane][4]
constexpr int64_t kBlock = kVectorBytes;

bool is_flat(const DepthwiseShape& s) {
  return (s.channels == 8 || s.channels == 16) && s.in_pixel == s.channels &&
         s.out_pixel == s.channels;
}
int64_t blocks_of(const DepthwiseShape& s) {
  return is_flat(s) ? 1 : (s.channels + kBlock - 1) / kBlock;
}
int64_t groups_of(const DepthwiseShape& s) { return (s.kernel_h + kGroup - 1) / kGroup; }

int64_t depthwise_lanes(const DepthwiseShape& s) { return blocks_of(s) * kBlock; }

int64_t depthwise_channel(const DepthwiseShape& s, int64_t lane) {
  const auto within = static_cast<int>(lane % kBlock);
  const int64_t at = channel_of(4, within / kLanes, within % kLanes);
  if (is_flat(s)) return at % s.channels;
  const int64_t channel = lane / kBlock * kBlock + at;
  return channel < s.channels ? channel : -1;
}

size_t depthwise_weight_bytes(const DepthwiseShape& s) {
  return static_cast<size_t>(blocks_of(s) * groups_of(s) * s.kernel_w * kColumn);
}

// [block][group of four rows][column][vector][lane][4]
void pack_depthwise(const DepthwiseShape& s, const int8_t* w, void* packed) {
  auto* out = static_cast<int8_t*>(packed);
  for (int64_t b = 0; b < blocks_of(s); ++b) {
    for (int64_t g = 0; g < groups_of(s); ++g) {
      for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
        for (int64_t lane = b * kBlock; lane < (b + 1) * kBlock; ++lane) {
          const int64_t channel = depthwise_channel(s, lane);
          for (int64_t ky = g * kGroup; ky < (g + 1) * kGroup; ++ky) {
            const bool is_tap = channel >= 0 && ky < s.kernel_h;
            *out++ = is_tap ? w[(ky * s.kernel_w + kx) * s.channels + channel] : int8_t{0};
          }
        }
      }
    }
  }
}

// Four rows of bytes as dwords that hold one byte of each, times the taps of one column.
EW_INLINE void add_column(__m256i r0, __m256i r1, __m256i r2, __m256i r3, const int8_t* w,
                          __m256i (&acc)[4]) {
  const __m256i a = _mm256_unpacklo_epi8(r0, r1);
  const __m256i c = _mm256_unpacklo_epi8(r2, r3);
  acc[0] = dot(acc[0], _mm256_unpacklo_epi16(a, c), load(w));
  acc[1] = dot(acc[1], _mm256_unpackhi_epi16(a, c), load(w + 32));
  const __m256i b = _mm256_unpackhi_epi8(r0, r1);
  const __m256i d = _mm256_unpackhi_epi8(r2, r3);
  acc[2] = dot(acc[2], _mm256_unpacklo_epi16(b, d), load(w + 64));
  acc[3] = dot(acc[3], _mm256_unpackhi_epi16(b, d), load(w + 96));
}

/// What lies in a row of outputs.
struct Row {
  const uint8_t* in;
  int64_t in_step;
  uint8_t* out;
  int64_t out_step;
  int64_t count;  // of vectors of outputs
  int64_t bytes;  // of each, 32 or fewer
  int64_t last;   // of the last one
};

template <Rounding R>
EW_INLINE void depthwise_row(const DepthwiseShape& s, const int8_t* weights, const Requant& r,
                             int64_t lane, const Row& row) {
  const uint8_t* in = row.in;
  uint8_t* out = row.out;
  for (int64_t i = 0; i < row.count; ++i, in += row.in_step, out += row.out_step) {
    __m256i acc[4];
    EW_UNROLL for (int v = 0; v < 4; ++v) acc[v] = load(r.bias + lane + kLanes * v);
    const int8_t* w = weights;
    for (int64_t ky = 0; ky < s.kernel_h; ky += kGroup) {
      const uint8_t* p = in + ky * s.tap_row;
      // Taps beyond the last have no weight: their row may be any.
      const int64_t one = ky + 1 < s.kernel_h ? s.tap_row : 0;
      const int64_t two = ky + 2 < s.kernel_h ? 2 * s.tap_row : 0;
      const int64_t three = ky + 3 < s.kernel_h ? 3 * s.tap_row : 0;
      for (int64_t kx = 0; kx < s.kernel_w; ++kx, p += s.tap_column, w += kColumn) {
        add_column(load(p), load(p + one), load(p + two), load(p + three), w, acc);
      }
    }
    const int64_t bytes = i + 1 < row.count ? row.bytes : row.last;
    if (R == Rounding::kFloat && r.rounding == Rounding::kExact) {
      alignas(32) int32_t sums[kBlock];
      EW_UNROLL for (int v = 0; v < 4; ++v)
          _mm256_store_si256(reinterpret_cast<__m256i*>(sums + kLanes * v), acc[v]);
      for (int l = 0; l < kBlock; ++l) {
        const int64_t at = channel_of(4, l / kLanes, l % kLanes);
        if (at < bytes) out[at] = r.exact(r.context, sums[l], r.channel[lane + l]);
      }
      continue;
    }
    store_bytes<32>(out,
                    pack_32<R>(finish<R>(acc[0], r, lane), finish<R>(acc[1], r, lane + 8),
                               finish<R>(acc[2], r, lane + 16), finish<R>(acc[3], r, lane + 24), r),
                    bytes);
  }
}

template <Rounding R>
void run_depthwise(const DepthwiseShape& shape, const int8_t* weights, const Requant& requant,
                   const uint8_t* x, uint8_t* y) {
  const DepthwiseShape s = shape;
  const Requant r = requant;
  const bool flat = is_flat(s);
  const int64_t row_bytes = s.out_w * s.channels;
  for (int64_t n = 0; n < s.images; ++n) {
    for (int64_t oy = 0; oy < s.out_h; ++oy) {
      for (int64_t b = 0; b < blocks_of(s); ++b) {
        Row row = {.in = x + n * s.in_image + oy * s.in_row + b * kBlock,
                   .in_step = flat ? kBlock : s.in_pixel,
                   .out = y + n * s.out_image + oy * s.out_row + b * kBlock,
                   .out_step = flat ? kBlock : s.out_pixel,
                   .count = flat ? (row_bytes + kBlock - 1) / kBlock : s.out_w,
                   .bytes = flat ? kBlock : std::min(kBlock, s.channels - b * kBlock),
                   .last = 0};
        row.last = flat ? row_bytes - (row.count - 1) * kBlock : row.bytes;
        depthwise_row<R>(s, weights + b * groups_of(s) * s.kernel_w * kColumn, r, b * kBlock, row);
      }
    }
  }
}

void depthwise(const DepthwiseShape& s, const void* weights, const Requant& r, const uint8_t* x,
               uint8_t* y) {
  const RoundDown mode(r.rounding);
  const auto* w = static_cast<const int8_t*>(weights);
  if (r.rounding == Rounding::kBits) return run_depthwise<Rounding::kBits>(s, w, r, x, y);
  run_depthwise<Rounding::kFloat>(s, w, r, x, y);
}

}  // namespace

extern const Int8Table kInt8Table;
const Int8Table kInt8Table{
    .name = "avx-vnni",
    .pack_version = 1,
    .has_bits = true,
    .plan_conv = plan_conv,
    .lanes = kLanes,
    .conv_channel = channel_of,
    .conv_weight_bytes = conv_weight_bytes,
    .pack_conv = pack_conv,
    .conv = conv,
    .depthwise_lanes = depthwise_lanes,
    .depthwise_channel = depthwise_channel,
    .depthwise_weight_bytes = depthwise_weight_bytes,
    .pack_depthwise = pack_depthwise,
    .depthwise = depthwise,
    .add = add,
    .flip = plain_flip,
    .fill = plain_fill,
    .sum_pixels = plain_sum_pixels,
    .requantize = plain_requantize,
    .max_pixels = plain_max_pixels,
    .quantize = quantize,
    .dequantize = plain_dequantize,
};

}  // namespace ew::kernels::int8::avxvnni
