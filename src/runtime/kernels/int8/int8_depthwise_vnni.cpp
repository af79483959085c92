// Depthwise convolutions: four rows of bytes are interleaved, so that a dword holds four vertical
// taps of one column of one channel, and one vpdpbusd does them for 16 channels.
//
// Lanes: 64 channels; or, under 64 channels that divide 64, 64 / channels neighbouring pixels.
#include "runtime/kernels/int8/int8_vnni_common.h"

namespace ew::kernels::int8::vnni {
namespace {

constexpr int64_t kBlock = 64;    // bytes of four vectors
constexpr int64_t kGroup = 4;     // vertical taps in a dword
constexpr int64_t kColumn = 256;  // weight bytes of one column of taps: [vector][lane][4]

EW_INLINE void interleave(__m512i r0, __m512i r1, __m512i r2, __m512i r3, __m512i* out) {
  const __m512i a = _mm512_unpacklo_epi8(r0, r1);
  const __m512i b = _mm512_unpackhi_epi8(r0, r1);
  const __m512i c = _mm512_unpacklo_epi8(r2, r3);
  const __m512i d = _mm512_unpackhi_epi8(r2, r3);
  out[0] = _mm512_unpacklo_epi16(a, c);
  out[1] = _mm512_unpackhi_epi16(a, c);
  out[2] = _mm512_unpacklo_epi16(b, d);
  out[3] = _mm512_unpackhi_epi16(b, d);
}

// How 64 bytes of output lie in the input.
enum class Spread {
  kContiguous,  // neighbouring bytes
  kEveryOther,  // pixels of 4 to 32 bytes, every second of them
};
Spread spread_of(const DepthwiseShape& s) {
  return s.in_pixel == s.channels ? Spread::kContiguous : Spread::kEveryOther;
}

bool is_flat(const DepthwiseShape& s) {
  const bool divides = s.channels < kBlock && kBlock % s.channels == 0;
  return divides && s.out_pixel == s.channels &&
         (s.in_pixel == s.channels || (s.in_pixel == 2 * s.channels && s.channels >= 4));
}
bool is_3x3_stride1(const DepthwiseShape& s) {
  return s.kernel_h == 3 && s.kernel_w == 3 && s.tap_row == s.in_row &&
         s.tap_column == s.channels && s.in_pixel == s.channels;
}
int64_t blocks_of(const DepthwiseShape& s) {
  return is_flat(s) ? 1 : (s.channels + kBlock - 1) / kBlock;
}

__m512i every_other(int64_t channels) {
  alignas(64) int32_t index[16];
  for (int64_t i = 0; i < 16; ++i) {
    const int64_t byte = 4 * i;
    index[i] = static_cast<int32_t>((byte / channels * 2 * channels + byte % channels) / 4);
  }
  return _mm512_load_si512(index);
}

template <Spread S>
EW_INLINE __m512i load_row(const uint8_t* p, __m512i order) {
  if constexpr (S == Spread::kContiguous) return load(p);
  return _mm512_permutex2var_epi32(load(p), order, load(p + 64));
}

template <Rounding R>
EW_INLINE void store(const Requant& r, const __m512i* acc, int64_t lane0, int64_t bytes,
                     uint8_t* out) {
  if constexpr (R == Rounding::kExact) {
    alignas(64) int32_t lanes[64];
    for (int v = 0; v < 4; ++v) _mm512_store_si512(lanes + 16 * v, acc[v]);
    int32_t exact[64];
    exact_bytes(r, lanes, lane0, 64, exact);
    for (int i = 0; i < 64; ++i) {
      const int64_t at = channel_of(4, i / kLanes, i % kLanes);
      if (at < bytes) out[at] = static_cast<uint8_t>(exact[i]);
    }
  } else {
    const __m512i y = requantize_64<R>(acc[0], acc[1], acc[2], acc[3], r, lane0, lane0 + 16,
                                       lane0 + 32, lane0 + 48);
    if (bytes >= kBlock) {
      _mm512_storeu_si512(out, y);
    } else {
      _mm512_mask_storeu_epi8(out, first_bytes(bytes), y);
    }
  }
}

// One output row: `bytes` bytes from `out`, 64 at a time; consecutive vectors lie in_step apart.
template <Spread S, Rounding R>
EW_INLINE void one_row(const DepthwiseShape& s, const int8_t* w, const Requant& r, int64_t lane0,
                       const uint8_t* in, int64_t in_step, uint8_t* out, int64_t out_step,
                       int64_t count, int64_t last_bytes, __m512i order) {
  const int64_t groups = (s.kernel_h + kGroup - 1) / kGroup;
  for (int64_t i = 0; i < count; ++i, in += in_step, out += out_step) {
    __m512i acc[4];
    EW_UNROLL for (int v = 0; v < 4; ++v) acc[v] = load(r.bias + lane0 + 16 * v);
    const int8_t* weight = w;
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t rows = std::min(kGroup, s.kernel_h - g * kGroup);
      const uint8_t* p = in + g * kGroup * s.tap_row;
      for (int64_t kx = 0; kx < s.kernel_w; ++kx, p += s.tap_column, weight += kColumn) {
        const __m512i zero = _mm512_setzero_si512();
        const __m512i r0 = load_row<S>(p, order);
        const __m512i r1 = rows > 1 ? load_row<S>(p + s.tap_row, order) : zero;
        const __m512i r2 = rows > 2 ? load_row<S>(p + 2 * s.tap_row, order) : zero;
        const __m512i r3 = rows > 3 ? load_row<S>(p + 3 * s.tap_row, order) : zero;
        __m512i t[4];
        interleave(r0, r1, r2, r3, t);
        EW_UNROLL for (int v = 0; v < 4; ++v) acc[v] = dot(acc[v], t[v], load(weight + 64 * v));
      }
    }
    store<R>(r, acc, lane0, i + 1 < count ? kBlock : last_bytes, out);
  }
}

// 3x3, stride 1: outputs above each other share the interleaved rows (`lower` has the weights moved
// down by one). Columns that are whole vectors are interleaved once.
template <bool Roll, Rounding R>
EW_INLINE void two_rows(const DepthwiseShape& s, const int8_t* upper, const Requant& r,
                        int64_t lane0, const uint8_t* in, int64_t step, uint8_t* out0,
                        uint8_t* out1, int64_t count, int64_t last_bytes) {
  const int8_t* lower = upper + 3 * kColumn;
  const int64_t row = s.in_row;
  const int64_t column = s.channels;
  const auto read = [&](const uint8_t* p, __m512i* t) __attribute__((always_inline)) {
    interleave(load(p), load(p + row), load(p + 2 * row), load(p + 3 * row), t);
  };
  __m512i t[3][4];
  if constexpr (Roll) {
    read(in, t[0]);
    read(in + column, t[1]);
  }
  const auto one = [&](int64_t i, __m512i* t0, __m512i* t1, __m512i* t2)
                       __attribute__((always_inline)) {
                         if constexpr (!Roll) {
                           read(in, t0);
                           read(in + column, t1);
                         }
                         read(in + 2 * column, t2);
                         __m512i a[4];
                         __m512i c[4];
                         EW_UNROLL for (int v = 0; v < 4; ++v) {
                           a[v] = c[v] = load(r.bias + lane0 + 16 * v);
                           a[v] = dot(a[v], t0[v], load(upper + 64 * v));
                           c[v] = dot(c[v], t0[v], load(lower + 64 * v));
                           a[v] = dot(a[v], t1[v], load(upper + kColumn + 64 * v));
                           c[v] = dot(c[v], t1[v], load(lower + kColumn + 64 * v));
                           a[v] = dot(a[v], t2[v], load(upper + 2 * kColumn + 64 * v));
                           c[v] = dot(c[v], t2[v], load(lower + 2 * kColumn + 64 * v));
                         }
                         const int64_t bytes = i + 1 < count ? kBlock : last_bytes;
                         store<R>(r, a, lane0, bytes, out0);
                         if (out1 != nullptr) {
                           store<R>(r, c, lane0, bytes, out1);
                           out1 += step;
                         }
                         in += step;
                         out0 += step;
                       };
  int64_t i = 0;
  if constexpr (Roll) {
    for (; i + 2 < count; i += 3) {
      one(i, t[0], t[1], t[2]);
      one(i + 1, t[1], t[2], t[0]);
      one(i + 2, t[2], t[0], t[1]);
    }
    if (i < count) one(i, t[0], t[1], t[2]);
    if (i + 1 < count) one(i + 1, t[1], t[2], t[0]);
  } else {
    for (; i < count; ++i) one(i, t[0], t[1], t[2]);
  }
}

template <Rounding R>
void run_3x3(const DepthwiseShape& shape, const int8_t* weights, const Requant& requant,
             const uint8_t* x, uint8_t* y) {
  const DepthwiseShape s = shape;
  const Requant r = requant;
  const bool flat = is_flat(s);
  const int64_t bytes = s.out_w * s.channels;
  for (int64_t n = 0; n < s.images; ++n) {
    for (int64_t b = 0; b < blocks_of(s); ++b) {
      const int8_t* w = weights + b * 6 * kColumn;
      for (int64_t oy = 0; oy < s.out_h; oy += 2) {
        const uint8_t* in = x + n * s.in_image + oy * s.in_row + b * kBlock;
        uint8_t* out0 = y + n * s.out_image + oy * s.out_row + b * kBlock;
        uint8_t* out1 = oy + 1 < s.out_h ? out0 + s.out_row : nullptr;
        if (flat) {
          const int64_t count = (bytes + kBlock - 1) / kBlock;
          two_rows<false, R>(s, w, r, 0, in, kBlock, out0, out1, count,
                             bytes - (count - 1) * kBlock);
        } else {
          const int64_t here = std::min(kBlock, s.channels - b * kBlock);
          if (here == kBlock) {
            two_rows<true, R>(s, w, r, b * kBlock, in, s.channels, out0, out1, s.out_w, kBlock);
          } else {
            // Every pixel is a partial vector: one by one, so that each store is masked.
            for (int64_t ox = 0; ox < s.out_w; ++ox) {
              const int64_t at = ox * s.channels;
              two_rows<false, R>(s, w, r, b * kBlock, in + at, s.channels, out0 + at,
                                 out1 == nullptr ? nullptr : out1 + at, 1, here);
            }
          }
        }
      }
    }
  }
}

template <Spread S, Rounding R>
void run_any(const DepthwiseShape& shape, const int8_t* weights, const Requant& requant,
             const uint8_t* x, uint8_t* y) {
  const DepthwiseShape s = shape;
  const Requant r = requant;
  const bool flat = is_flat(s);
  const int64_t groups = (s.kernel_h + kGroup - 1) / kGroup;
  const __m512i order =
      S == Spread::kEveryOther && flat ? every_other(s.channels) : _mm512_setzero_si512();
  const int64_t bytes = s.out_w * s.channels;
  for (int64_t n = 0; n < s.images; ++n) {
    for (int64_t b = 0; b < blocks_of(s); ++b) {
      const int8_t* w = weights + b * groups * s.kernel_w * kColumn;
      for (int64_t oy = 0; oy < s.out_h; ++oy) {
        const uint8_t* in = x + n * s.in_image + oy * s.in_row + b * kBlock;
        uint8_t* out = y + n * s.out_image + oy * s.out_row + b * kBlock;
        if (flat) {
          const int64_t count = (bytes + kBlock - 1) / kBlock;
          one_row<S, R>(s, w, r, 0, in, S == Spread::kContiguous ? kBlock : 2 * kBlock, out, kBlock,
                        count, bytes - (count - 1) * kBlock, order);
        } else {
          const int64_t here = std::min(kBlock, s.channels - b * kBlock);
          for (int64_t ox = 0; ox < s.out_w; ++ox) {
            one_row<Spread::kContiguous, R>(s, w, r, b * kBlock, in + ox * s.in_pixel, 0,
                                            out + ox * s.out_pixel, 0, 1, here, order);
          }
        }
      }
    }
  }
}

template <Rounding R>
void run(const DepthwiseShape& s, const int8_t* w, const Requant& r, const uint8_t* x, uint8_t* y) {
  if (is_3x3_stride1(s) && s.out_pixel == s.channels) {
    run_3x3<R>(s, w, r, x, y);
  } else if (spread_of(s) == Spread::kContiguous) {
    run_any<Spread::kContiguous, R>(s, w, r, x, y);
  } else {
    run_any<Spread::kEveryOther, R>(s, w, r, x, y);
  }
}

}  // namespace

int64_t depthwise_lanes(const DepthwiseShape& s) { return blocks_of(s) * kBlock; }

int64_t depthwise_channel(const DepthwiseShape& s, int64_t lane) {
  const int64_t within = lane % kBlock;
  const int64_t at = channel_of(4, static_cast<int>(within / 16), static_cast<int>(within % 16));
  if (is_flat(s)) return at % s.channels;
  const int64_t channel = lane / kBlock * kBlock + at;
  return channel < s.channels ? channel : -1;
}

size_t depthwise_weight_bytes(const DepthwiseShape& s) {
  const int64_t groups = (s.kernel_h + kGroup - 1) / kGroup;
  const int64_t columns = is_3x3_stride1(s) && s.out_pixel == s.channels ? 6 : groups * s.kernel_w;
  return static_cast<size_t>(blocks_of(s) * columns * kColumn);
}

// [block][group of four rows][column][vector][lane][4]; for 3x3 at stride 1 the columns once more
// with the taps one row lower.
void pack_depthwise(const DepthwiseShape& s, const int8_t* w, void* packed) {
  auto* out = static_cast<int8_t*>(packed);
  const bool twice = is_3x3_stride1(s) && s.out_pixel == s.channels;
  const int64_t groups = (s.kernel_h + kGroup - 1) / kGroup;
  for (int64_t b = 0; b < blocks_of(s); ++b) {
    for (int64_t copy = 0; copy < (twice ? 2 : 1); ++copy) {
      for (int64_t g = 0; g < groups; ++g) {
        for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
          for (int64_t lane = b * kBlock; lane < (b + 1) * kBlock; ++lane) {
            const int64_t channel = depthwise_channel(s, lane);
            for (int64_t j = 0; j < kGroup; ++j) {
              const int64_t ky = g * kGroup + j - copy;
              const bool is_tap = channel >= 0 && ky >= 0 && ky < s.kernel_h;
              *out++ = is_tap ? w[(ky * s.kernel_w + kx) * s.channels + channel] : int8_t{0};
            }
          }
        }
      }
    }
  }
}

void depthwise(const DepthwiseShape& s, const void* weights, const Requant& r, const uint8_t* x,
               uint8_t* y) {
  const auto* w = static_cast<const int8_t*>(weights);
  switch (r.rounding) {
    case Rounding::kBits:
      return run<Rounding::kBits>(s, w, r, x, y);
    case Rounding::kFloat:
      return run<Rounding::kFloat>(s, w, r, x, y);
    case Rounding::kExact:
      return run<Rounding::kExact>(s, w, r, x, y);
  }
}

}  // namespace ew::kernels::int8::vnni
