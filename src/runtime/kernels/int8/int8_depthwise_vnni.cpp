// Depthwise convolutions: four rows of bytes are interleaved, so that a dword holds four vertical
// taps of one column of one channel, and one vpdpbusd does them for 16 channels.
//
// Lanes: 64 channels; or, under 64 channels that divide 64, 64 / channels neighbouring pixels.
#include "runtime/kernels/int8/int8_depthwise_vnni.h"

#include <utility>

#include "runtime/kernels/int8/int8_vnni_common.h"

namespace ew::kernels::int8::vnni {
namespace {

constexpr int64_t kBlock = 64;    // bytes of four vectors
constexpr int64_t kGroup = 4;     // vertical taps in a dword
constexpr int64_t kColumn = 256;  // weight bytes of one column of taps: [vector][lane][4]

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

// `count` vectors of outputs, of `bytes` bytes but for the last one.
template <Spread S, Rounding R>
EW_INLINE void one_row(const DepthwiseShape& s, const int8_t* w, const Requant& r, int64_t lane0,
                       const uint8_t* in, int64_t in_step, uint8_t* out, int64_t out_step,
                       int64_t count, int64_t bytes, int64_t last_bytes, __m512i order) {
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
    store<R>(r, acc, lane0, i + 1 < count ? bytes : last_bytes, out);
  }
}

template <Spread S, Rounding R>
void run_any(const DepthwiseShape& shape, const int8_t* weights, const Requant& requant,
             const uint8_t* x, uint8_t* y) {
  DepthwiseShape s = shape;
  const Requant r = requant;
  const bool flat = is_flat(s);
  if (s.out_w == 1 && !flat) {
    // A column of pixels is worked through like a row.
    std::swap(s.out_w, s.out_h);
    std::swap(s.in_pixel, s.in_row);
    std::swap(s.out_pixel, s.out_row);
  }
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
                        count, kBlock, bytes - (count - 1) * kBlock, order);
        } else {
          const int64_t here = std::min(kBlock, s.channels - b * kBlock);
          one_row<Spread::kContiguous, R>(s, w, r, b * kBlock, in, s.in_pixel, out, s.out_pixel,
                                          s.out_w, here, here, order);
        }
      }
    }
  }
}

template <Rounding R>
void run(const DepthwiseShape& s, const int8_t* w, const Requant& r, const uint8_t* x, uint8_t* y) {
  if (spread_of(s) == Spread::kContiguous) {
    run_any<Spread::kContiguous, R>(s, w, r, x, y);
  } else {
    run_any<Spread::kEveryOther, R>(s, w, r, x, y);
  }
}

}  // namespace

int64_t depthwise_lanes(const DepthwiseShape& s) {
  return runs_by_columns(s) ? column_lanes(s) : blocks_of(s) * kBlock;
}

int64_t depthwise_channel(const DepthwiseShape& s, int64_t lane) {
  if (runs_by_columns(s)) return column_channel(s, lane);
  const int64_t within = lane % kBlock;
  const int64_t at = channel_of(4, static_cast<int>(within / 16), static_cast<int>(within % 16));
  if (is_flat(s)) return at % s.channels;
  const int64_t channel = lane / kBlock * kBlock + at;
  return channel < s.channels ? channel : -1;
}

size_t depthwise_weight_bytes(const DepthwiseShape& s) {
  if (runs_by_columns(s)) return column_weight_bytes(s);
  const int64_t groups = (s.kernel_h + kGroup - 1) / kGroup;
  return static_cast<size_t>(blocks_of(s) * groups * s.kernel_w * kColumn);
}

// [block][group of four rows][column][vector][lane][4]
void pack_depthwise(const DepthwiseShape& s, const int8_t* w, void* packed) {
  auto* out = static_cast<int8_t*>(packed);
  if (runs_by_columns(s)) return pack_columns(s, w, out);
  const int64_t groups = (s.kernel_h + kGroup - 1) / kGroup;
  for (int64_t b = 0; b < blocks_of(s); ++b) {
    for (int64_t g = 0; g < groups; ++g) {
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

void depthwise(const DepthwiseShape& s, const void* weights, const Requant& r, const uint8_t* x,
               uint8_t* y) {
  const auto* w = static_cast<const int8_t*>(weights);
  if (runs_by_columns(s)) return run_columns(s, w, r, x, y);
  switch (r.rounding) {
    case Rounding::kBits:
      return run<Rounding::kBits>(s, w, r, x, y);
    case Rounding::kFloat:
      return run<Rounding::kFloat>(s, w, r, x, y);
    case Rounding::kFine:
      if constexpr (kHasFine) run<Rounding::kFine>(s, w, r, x, y);
      return;
    case Rounding::kExact:
      return run<Rounding::kExact>(s, w, r, x, y);
  }
}

}  // namespace ew::kernels::int8::vnni
