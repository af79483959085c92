#pragma once
// Depthwise convolutions on NEON: blocks of 16 channels of one pixel; or, with fewer channels that
// divide 16, of neighbouring pixels.
//
// In general taps are multiplied in pairs (smull, smlal) and widened into the sums. 3x3 at stride 1
// with sdot: four rows of bytes are interleaved, so that a dword holds four vertical taps of a
// channel; two outputs above each other and three beside each other share the interleaved columns.
//
// Packed weights: int32 [lane], what to add to the bias; 16 bytes of which the first says whether a
// weight is -128; then [block][tap][16], or for sdot [block][upper, lower output][column][lane][4].

#include "runtime/kernels/int8/int8_neon_common_impl.h"

namespace ew::kernels::int8::EW_INT8_TARGET {

inline constexpr int64_t kBlock = 16;

inline bool is_flat(const DepthwiseShape& s) {
  return s.channels < kBlock && kBlock % s.channels == 0 && s.in_pixel == s.channels &&
         s.out_pixel == s.channels;
}
inline bool uses_dot(const DepthwiseShape& s) {
  return kHasDot && s.kernel_h == 3 && s.kernel_w == 3 && s.tap_row == s.in_row &&
         s.tap_column == s.channels && s.in_pixel == s.channels && s.out_pixel == s.channels;
}
inline int64_t blocks_of(const DepthwiseShape& s) {
  return is_flat(s) ? 1 : (s.channels + kBlock - 1) / kBlock;
}
inline int64_t depthwise_lanes(const DepthwiseShape& s) { return blocks_of(s) * kBlock; }
inline int64_t depthwise_channel(const DepthwiseShape& s, int64_t lane) {
  if (is_flat(s)) return lane % s.channels;
  return lane < s.channels ? lane : -1;
}
inline size_t depthwise_header(const DepthwiseShape& s) {
  return static_cast<size_t>(depthwise_lanes(s)) * sizeof(int32_t) + 16;
}
inline size_t depthwise_weight_bytes(const DepthwiseShape& s) {
  const int64_t block = uses_dot(s) ? 2 * 3 * 4 * kBlock : s.kernel_h * s.kernel_w * kBlock;
  return depthwise_header(s) + static_cast<size_t>(blocks_of(s) * block);
}

inline void pack_depthwise(const DepthwiseShape& s, const int8_t* w, void* packed) {
  auto* header = static_cast<int8_t*>(packed);
  int8_t* out = header + depthwise_header(s);
  const int64_t taps = s.kernel_h * s.kernel_w;
  const bool is_signed = kSigned || !uses_dot(s);
  int8_t lowest = 0;
  for (int64_t lane = 0; lane < depthwise_lanes(s); ++lane) {
    const int64_t c = depthwise_channel(s, lane);
    int32_t sum = 0;
    for (int64_t t = 0; c >= 0 && t < taps; ++t) {
      sum += w[t * s.channels + c];
      lowest = std::min(lowest, w[t * s.channels + c]);
    }
    const int32_t correction = is_signed ? 128 * sum : 0;
    std::memcpy(header + 4 * lane, &correction, sizeof(correction));
  }
  std::memset(header + 4 * depthwise_lanes(s), 0, 16);
  header[4 * depthwise_lanes(s)] = lowest == -128 ? 1 : 0;
  const auto weight = [&](int64_t ky, int64_t kx, int64_t lane) {
    const int64_t c = depthwise_channel(s, lane);
    const bool is_tap = c >= 0 && ky >= 0 && ky < s.kernel_h;
    return is_tap ? w[(ky * s.kernel_w + kx) * s.channels + c] : int8_t{0};
  };
  for (int64_t first = 0; first < depthwise_lanes(s); first += kBlock) {
    if (!uses_dot(s)) {
      for (int64_t t = 0; t < taps; ++t) {
        for (int64_t l = 0; l < kBlock; ++l) {
          *out++ = weight(t / s.kernel_w, t % s.kernel_w, first + l);
        }
      }
      continue;
    }
    for (int64_t down = 0; down < 2; ++down) {
      for (int64_t kx = 0; kx < 3; ++kx) {
        for (int64_t l = 0; l < kBlock; ++l) {
          for (int64_t row = 0; row < 4; ++row) *out++ = weight(row - down, kx, first + l);
        }
      }
    }
  }
}

template <Rounding R>
EW_INLINE void finish(const Requant& r, int64_t lane, int32x4_t (&acc)[1][4], int64_t n,
                      uint8_t* out) {
  requantize_lanes<R>(r, lane, acc);
  store_lanes<R>(r, acc[0], n, out);
}

// One 16 lanes' outputs of a row.
struct DepthwiseRow {
  const int8_t* weights;
  const int32_t* start;  // of the block
  int64_t lane;
  const uint8_t* in;
  int64_t in_step;
  uint8_t* out;
  uint8_t* lower;  // the row below, or null
  int64_t out_step;
  int64_t count;
  int64_t bytes;  // stored of each output
  int64_t last_bytes;
};

EW_INLINE void add_products(int16x8_t low, int16x8_t high, int32x4_t (&acc)[4]) {
  acc[0] = vaddw_s16(acc[0], vget_low_s16(low));
  acc[1] = vaddw_high_s16(acc[1], low);
  acc[2] = vaddw_s16(acc[2], vget_low_s16(high));
  acc[3] = vaddw_high_s16(acc[3], high);
}

// Two taps; without `second` one.
template <bool HasLowest>
EW_INLINE void multiply_taps(const uint8_t* first, const uint8_t* second, const int8_t* w,
                             int32x4_t (&acc)[4]) {
  const auto bytes = [](const uint8_t* p) __attribute__((always_inline)) {
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(128)));
  };
  const int8x16_t a = bytes(first);
  const int8x16_t wa = vld1q_s8(w);
  int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(wa));
  int16x8_t high = vmull_high_s8(a, wa);
  if (second != nullptr) {
    const int8x16_t b = bytes(second);
    const int8x16_t wb = vld1q_s8(w + kBlock);
    if (HasLowest) {
      add_products(low, high, acc);
      low = vmull_s8(vget_low_s8(b), vget_low_s8(wb));
      high = vmull_high_s8(b, wb);
    } else {
      low = vmlal_s8(low, vget_low_s8(b), vget_low_s8(wb));
      high = vmlal_high_s8(high, b, wb);
    }
  }
  add_products(low, high, acc);
}

template <Rounding R, bool HasLowest, bool Is3x3>
__attribute__((noinline)) void any_row(const DepthwiseShape& s, const Requant& r,
                                       const DepthwiseRow& row) {
  const uint8_t* in = row.in;
  uint8_t* out = row.out;
  for (int64_t i = 0; i < row.count; ++i, in += row.in_step, out += row.out_step) {
    int32x4_t acc[1][4];
    EW_UNROLL for (int v = 0; v < 4; ++v) acc[0][v] = vld1q_s32(row.start + 4 * v);
    if constexpr (Is3x3) {
      const auto tap = [&](int64_t t) __attribute__((always_inline)) {
        return in + t / 3 * s.tap_row + t % 3 * s.tap_column;
      };
      EW_UNROLL for (int t = 0; t < 8; t += 2) {
        multiply_taps<HasLowest>(tap(t), tap(t + 1), row.weights + t * kBlock, acc[0]);
      }
      multiply_taps<HasLowest>(tap(8), nullptr, row.weights + 8 * kBlock, acc[0]);
    } else {
      const int8_t* w = row.weights;
      for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
        const uint8_t* tap = in + ky * s.tap_row;
        int64_t kx = 0;
        for (; kx + 2 <= s.kernel_w; kx += 2, tap += 2 * s.tap_column, w += 2 * kBlock) {
          multiply_taps<HasLowest>(tap, tap + s.tap_column, w, acc[0]);
        }
        if (kx < s.kernel_w) {
          multiply_taps<HasLowest>(tap, nullptr, w, acc[0]);
          w += kBlock;
        }
      }
    }
    finish<R>(r, row.lane, acc, i + 1 < row.count ? row.bytes : row.last_bytes, out);
  }
}

#if defined(__ARM_FEATURE_DOTPROD)

EW_INLINE int32x4_t dot(int32x4_t acc, uint8x16_t x, int8x16_t w) {
#if defined(__ARM_FEATURE_MATMUL_INT8)
  return vusdotq_s32(acc, x, w);
#else
  return vdotq_s32(acc, vreinterpretq_s8_u8(x), w);
#endif
}

// Four rows of 16 bytes as 16 dwords.
EW_INLINE void interleave(const uint8_t* p, int64_t row, uint8x16_t (&out)[4]) {
  const uint8x16_t r0 = load_bytes(p);
  const uint8x16_t r1 = load_bytes(p + row);
  const uint8x16_t r2 = load_bytes(p + 2 * row);
  const uint8x16_t r3 = load_bytes(p + 3 * row);
  const uint16x8_t a = vreinterpretq_u16_u8(vzip1q_u8(r0, r1));
  const uint16x8_t b = vreinterpretq_u16_u8(vzip2q_u8(r0, r1));
  const uint16x8_t c = vreinterpretq_u16_u8(vzip1q_u8(r2, r3));
  const uint16x8_t d = vreinterpretq_u16_u8(vzip2q_u8(r2, r3));
  out[0] = vreinterpretq_u8_u16(vzip1q_u16(a, c));
  out[1] = vreinterpretq_u8_u16(vzip2q_u16(a, c));
  out[2] = vreinterpretq_u8_u16(vzip1q_u16(b, d));
  out[3] = vreinterpretq_u8_u16(vzip2q_u16(b, d));
}

// Rows of outputs above each other. Rolls: columns are interleaved once (a step is a column).
template <Rounding R, bool Rolls>
__attribute__((noinline)) void two_rows(const DepthwiseShape& s, const Requant& r,
                                        const DepthwiseRow& given) {
  const DepthwiseRow row = given;
  const int64_t column = s.channels;
  const int64_t in_row = s.in_row;
  constexpr int64_t kColumn = 4 * kBlock;
  const uint8_t* in = row.in;
  uint8_t* out = row.out;
  uint8_t* lower = row.lower;
  uint8x16_t t[3][4];
  if constexpr (Rolls) {
    interleave(in, in_row, t[0]);
    interleave(in + column, in_row, t[1]);
  }
  const auto one = [&](int64_t i, const uint8x16_t(&t0)[4], const uint8x16_t(&t1)[4],
                       const uint8x16_t(&t2)[4]) __attribute__((always_inline)) {
    const int64_t bytes = i + 1 < row.count ? row.bytes : row.last_bytes;
    const auto output = [&](const int8_t* w, uint8_t* to) __attribute__((always_inline)) {
      int32x4_t acc[1][4];
      EW_UNROLL for (int v = 0; v < 4; ++v) {
        acc[0][v] = dot(vld1q_s32(row.start + 4 * v), t0[v], vld1q_s8(w + 16 * v));
        acc[0][v] = dot(acc[0][v], t1[v], vld1q_s8(w + kColumn + 16 * v));
        acc[0][v] = dot(acc[0][v], t2[v], vld1q_s8(w + 2 * kColumn + 16 * v));
      }
      finish<R>(r, row.lane, acc, bytes, to);
    };
    output(row.weights, out);
    out += row.out_step;
    if (lower == nullptr) return;
    output(row.weights + 3 * kColumn, lower);
    lower += row.out_step;
  };
  for (int64_t i = 0; i < row.count; ++i, in += row.in_step) {
    if constexpr (!Rolls) {
      EW_UNROLL for (int k = 0; k < 3; ++k) interleave(in + k * column, in_row, t[k]);
      one(i, t[0], t[1], t[2]);
    } else {
      interleave(in + 2 * column, in_row, t[2]);
      one(i, t[0], t[1], t[2]);
      if (++i == row.count) break;
      in += row.in_step;
      interleave(in + 2 * column, in_row, t[0]);
      one(i, t[1], t[2], t[0]);
      if (++i == row.count) break;
      in += row.in_step;
      interleave(in + 2 * column, in_row, t[1]);
      one(i, t[2], t[0], t[1]);
    }
  }
}

#endif

template <Rounding R>
void run_row(const DepthwiseShape& s, const Requant& r, const DepthwiseRow& row, bool has_lowest,
             bool rolls) {
  static_cast<void>(rolls);
#if defined(__ARM_FEATURE_DOTPROD)
  if (uses_dot(s)) return rolls ? two_rows<R, true>(s, r, row) : two_rows<R, false>(s, r, row);
#endif
  const bool is_3x3 = s.kernel_h == 3 && s.kernel_w == 3;
  if (has_lowest) return any_row<R, true, false>(s, r, row);
  return is_3x3 ? any_row<R, false, true>(s, r, row) : any_row<R, false, false>(s, r, row);
}

template <Rounding R>
void run_depthwise(const DepthwiseShape& s, const int8_t* packed, const Requant& r,
                   const uint8_t* x, uint8_t* y) {
  const bool flat = is_flat(s);
  const bool has_lowest = packed[4 * depthwise_lanes(s)] != 0;
  const int64_t blocks = blocks_of(s);
  const int64_t block_bytes =
      static_cast<int64_t>(depthwise_weight_bytes(s) - depthwise_header(s)) / blocks;
  const int64_t rows = uses_dot(s) ? 2 : 1;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t lane = b * kBlock;
    int32_t start[kBlock];
    for (int64_t l = 0; l < kBlock; l += 4) {
      const int32x4_t correction = vreinterpretq_s32_s8(vld1q_s8(packed + 4 * (lane + l)));
      vst1q_s32(start + l, vaddq_s32(vld1q_s32(r.bias + lane + l), correction));
    }
    DepthwiseRow row{};
    row.weights = packed + depthwise_header(s) + b * block_bytes;
    row.start = start;
    row.lane = lane;
    const int64_t all = s.out_w * s.channels;
    row.in_step = flat ? kBlock : s.in_pixel;
    row.out_step = flat ? kBlock : s.out_pixel;
    row.count = flat ? (all + kBlock - 1) / kBlock : s.out_w;
    row.bytes = flat ? kBlock : std::min(kBlock, s.channels - lane);
    row.last_bytes = flat ? all - (row.count - 1) * kBlock : row.bytes;
    for (int64_t n = 0; n < s.images; ++n) {
      for (int64_t oy = 0; oy < s.out_h; oy += rows) {
        row.in = x + n * s.in_image + oy * s.in_row + lane;
        row.out = y + n * s.out_image + oy * s.out_row + lane;
        row.lower = oy + 1 < s.out_h ? row.out + s.out_row : nullptr;
        run_row<R>(s, r, row, has_lowest, !flat);
      }
    }
  }
}

inline void depthwise(const DepthwiseShape& s, const void* weights, const Requant& r,
                      const uint8_t* x, uint8_t* y) {
  const auto* packed = static_cast<const int8_t*>(weights);
  const RoundDown mode(r.rounding);
  switch (r.rounding) {
    case Rounding::kBits:
      return run_depthwise<Rounding::kBits>(s, packed, r, x, y);
    case Rounding::kFloat:
      return run_depthwise<Rounding::kFloat>(s, packed, r, x, y);
    case Rounding::kFine:  // the table does not offer it
    case Rounding::kExact:
      return run_depthwise<Rounding::kExact>(s, packed, r, x, y);
  }
}

}  // namespace ew::kernels::int8::EW_INT8_TARGET
