#pragma once
// Elementwise int8 kernels on NEON, and sums over pixels.

#include "runtime/kernels/int8/int8_neon_common_impl.h"

namespace ew::kernels::int8::EW_INT8_TARGET {

// 16 bytes to four vectors of floats.
EW_INLINE void to_floats(uint8x16_t bytes, float32x4_t (&out)[4]) {
  const uint16x8_t low = vmovl_u8(vget_low_u8(bytes));
  const uint16x8_t high = vmovl_high_u8(bytes);
  out[0] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(low)));
  out[1] = vcvtq_f32_u32(vmovl_high_u16(low));
  out[2] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(high)));
  out[3] = vcvtq_f32_u32(vmovl_high_u16(high));
}

EW_INLINE uint8x16_t load_part(const uint8_t* p, int64_t n) {
  if (n >= 16) return vld1q_u8(p);
  uint8_t part[16] = {};
  std::memcpy(part, p, static_cast<size_t>(n));
  return vld1q_u8(part);
}
EW_INLINE void store_part(uint8_t* p, uint8x16_t bytes, int64_t n) {
  if (n >= 16) return vst1q_u8(p, bytes);
  uint8_t part[16];
  vst1q_u8(part, bytes);
  std::memcpy(p, part, static_cast<size_t>(n));
}

inline constexpr int64_t kAddChunk = 1024;  // bytes between changes of the rounding mode

// The inner multiply-add, rounded to the nearest.
__attribute__((noinline)) inline void add_inner(const AddForm& f, const uint8_t* b, int64_t n,
                                                float* out) {
  for (int64_t i = 0; i < n; i += 16) {
    float32x4_t v[4];
    to_floats(load_part(b + i, n - i), v);
    EW_UNROLL for (int j = 0; j < 4; ++j) {
      vst1q_f32(out + i + 4 * j, vfmaq_f32(vdupq_n_f32(f.offset), v[j], vdupq_n_f32(f.scale_b)));
    }
  }
}

// The outer one, under a mode that rounds downwards.
__attribute__((noinline)) inline void add_outer(const AddForm& f, const uint8_t* a, int64_t n,
                                                const float* inner, uint8_t* y) {
  for (int64_t i = 0; i < n; i += 16) {
    float32x4_t u[4];
    int32x4_t whole[4];
    to_floats(load_part(a + i, n - i), u);
    EW_UNROLL for (int j = 0; j < 4; ++j) {
      whole[j] =
          vcvtmq_s32_f32(vfmaq_f32(vld1q_f32(inner + i + 4 * j), u[j], vdupq_n_f32(f.scale_a)));
    }
    const int16x8_t low = vqmovn_high_s32(vqmovn_s32(whole[0]), whole[1]);
    const int16x8_t high = vqmovn_high_s32(vqmovn_s32(whole[2]), whole[3]);
    const uint8x16_t bytes = vqmovun_high_s16(vqmovun_s16(low), high);
    store_part(y + i, vminq_u8(vmaxq_u8(bytes, vdupq_n_u8(f.min)), vdupq_n_u8(f.max)), n - i);
  }
}

inline void add(const Rows& s, int64_t b_row, const AddForm& f, const uint8_t* a, const uint8_t* b,
                uint8_t* y) {
  float inner[kAddChunk];
  for (int64_t r = 0; r < s.rows; ++r) {
    for (int64_t i = 0; i < s.bytes; i += kAddChunk) {
      const int64_t n = std::min(kAddChunk, s.bytes - i);
      add_inner(f, b + r * b_row + i, n, inner);
      const RoundDown mode(Rounding::kFloat);
      add_outer(f, a + r * s.in_row + i, n, inner, y + r * s.out_row + i);
    }
  }
}

inline void flip(const Rows& s, const uint8_t* x, uint8_t* y) {
  for (int64_t r = 0; r < s.rows; ++r) {
    const uint8_t* in = x + r * s.in_row;
    uint8_t* out = y + r * s.out_row;
    for (int64_t i = 0; i < s.bytes; i += 16) {
      const int64_t n = s.bytes - i;
      store_part(out + i, veorq_u8(load_part(in + i, n), vdupq_n_u8(128)), n);
    }
  }
}

inline void sum_pixels(const uint8_t* x, int64_t rows, int64_t in_row, int64_t pixels,
                       int64_t channels, int32_t* sums) {
  int64_t c = 0;
  for (; c + 16 <= channels; c += 16) {
    uint32x4_t acc[4];
    EW_UNROLL for (int j = 0; j < 4; ++j) {
      acc[j] = vreinterpretq_u32_s32(vld1q_s32(sums + c + 4 * j));
    }
    for (int64_t r = 0; r < rows; ++r) {
      const uint8_t* in = x + r * in_row + c;
      for (int64_t left = pixels; left > 0;) {
        // 257 bytes fit 16 bits.
        const int64_t here = std::min<int64_t>(left, 257);
        uint16x8_t low = vdupq_n_u16(0);
        uint16x8_t high = vdupq_n_u16(0);
        for (int64_t p = 0; p < here; ++p, in += channels) {
          const uint8x16_t bytes = vld1q_u8(in);
          low = vaddw_u8(low, vget_low_u8(bytes));
          high = vaddw_high_u8(high, bytes);
        }
        left -= here;
        acc[0] = vaddw_u16(acc[0], vget_low_u16(low));
        acc[1] = vaddw_high_u16(acc[1], low);
        acc[2] = vaddw_u16(acc[2], vget_low_u16(high));
        acc[3] = vaddw_high_u16(acc[3], high);
      }
    }
    EW_UNROLL for (int j = 0; j < 4; ++j) {
      vst1q_s32(sums + c + 4 * j, vreinterpretq_s32_u32(acc[j]));
    }
  }
  for (; c < channels; ++c) {
    for (int64_t r = 0; r < rows; ++r) {
      const uint8_t* in = x + r * in_row + c;
      for (int64_t p = 0; p < pixels; ++p) sums[c] += in[p * channels];
    }
  }
}

inline void max_pixels(const uint8_t* x, int64_t rows, int64_t in_row, int64_t pixels,
                       int64_t channels, uint8_t* y) {
  for (int64_t c = 0; c < channels; c += 16) {
    const int64_t n = channels - c;
    uint8x16_t most = vdupq_n_u8(0);
    for (int64_t r = 0; r < rows; ++r) {
      const uint8_t* in = x + r * in_row + c;
      for (int64_t p = 0; p < pixels; ++p) most = vmaxq_u8(most, vld1q_u8(in + p * channels));
    }
    store_part(y + c, most, n);
  }
}

template <Rounding R>
__attribute__((noinline)) void requantize_sums(const Requant& r, const int32_t* sums,
                                               int64_t channels, uint8_t* y) {
  // The constants have whole vectors, the sums may not.
  for (int64_t c = 0; c < channels; c += 8) {
    const int64_t n = std::min<int64_t>(8, channels - c);
    int32_t part[8] = {};
    std::memcpy(part, sums + c, static_cast<size_t>(n) * sizeof(int32_t));
    int32x4_t acc[1][2] = {{vaddq_s32(vld1q_s32(part), vld1q_s32(r.bias + c)),
                            vaddq_s32(vld1q_s32(part + 4), vld1q_s32(r.bias + c + 4))}};
    requantize_lanes<R>(r, c, acc);
    store_lanes<R>(r, acc[0], n, y + c);
  }
}

inline void requantize(const Requant& r, const int32_t* sums, int64_t channels, uint8_t* y) {
  if (r.rounding != Rounding::kFloat) return plain_requantize(r, sums, channels, y);
  const RoundDown mode(r.rounding);
  requantize_sums<Rounding::kFloat>(r, sums, channels, y);
}

// FCVTAS takes ties away from zero, NaN to 0, and saturates, as every step after it does.
inline void quantize(int64_t n, const float* x, float scale, int32_t zero, uint8_t* y) {
  const float32x4_t divisor = vdupq_n_f32(scale);
  const int32x4_t shift = vdupq_n_s32(zero + 128);
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const int32x4_t a = vcvtaq_s32_f32(vdivq_f32(vld1q_f32(x + i), divisor));
    const int32x4_t b = vcvtaq_s32_f32(vdivq_f32(vld1q_f32(x + i + 4), divisor));
    vst1_u8(y + i,
            vqmovun_s16(vqmovn_high_s32(vqmovn_s32(vqaddq_s32(a, shift)), vqaddq_s32(b, shift))));
  }
  plain_quantize(n - i, x + i, scale, zero, y + i);
}

inline void dequantize(int64_t n, const uint8_t* x, float scale, int32_t zero, float* y) {
  // 16-bit differences of any zero point; they are exact in floats, so each product rounds once.
  const int16x8_t centre = vdupq_n_s16(static_cast<int16_t>(zero));
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const int16x8_t d = vsubq_s16(vreinterpretq_s16_u16(vmovl_u8(vld1_u8(x + i))), centre);
    vst1q_f32(y + i, vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(d))), scale));
    vst1q_f32(y + i + 4, vmulq_n_f32(vcvtq_f32_s32(vmovl_high_s16(d)), scale));
  }
  plain_dequantize(n - i, x + i, scale, zero, y + i);
}

}  // namespace ew::kernels::int8::EW_INT8_TARGET
