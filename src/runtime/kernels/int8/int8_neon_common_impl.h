#pragma once
// What the NEON kernels share: products of four bytes, rounding downwards and the way back to
// bytes. Compiled once per target (EW_INT8_TARGET), for
//   neon          ARMv8.0: signed bytes multiplied in pairs (smull, smlal), summed by sadalp
//   neon_dotprod  sdot, 16 products an instruction
//   neon_i8mm     usmmla, 32 products an instruction; sudot for single pixels
// The first two take signed bytes: u ^ 128 = u - 128, and 128 times the sum of a channel's weights,
// kept beside the packed weights, is added to the bias.

#include <arm_neon.h>

#include <algorithm>
#include <cstring>

#include "runtime/kernels/int8/int8_portable_impl.h"

namespace ew::kernels::int8::EW_INT8_TARGET {

#define EW_INLINE inline __attribute__((always_inline))
#define EW_UNROLL _Pragma("GCC unroll 32")

#if defined(__ARM_FEATURE_MATMUL_INT8)
inline constexpr bool kSigned = false;
inline constexpr bool kHasMatrix = true;
inline constexpr bool kHasDot = true;
#elif defined(__ARM_FEATURE_DOTPROD)
inline constexpr bool kSigned = true;
inline constexpr bool kHasMatrix = false;
inline constexpr bool kHasDot = true;
#else
inline constexpr bool kSigned = true;
inline constexpr bool kHasMatrix = false;
inline constexpr bool kHasDot = false;
#endif

inline constexpr int kLanes = 4;

/// 16 activations as the products take them.
EW_INLINE uint8x16_t load_bytes(const uint8_t* p) {
  const uint8x16_t u = vld1q_u8(p);
  return kSigned ? veorq_u8(u, vdupq_n_u8(128)) : u;
}

/// Dword L of 16 activations, against 16 bytes of weights of four channels. Without sdot weights
/// lie as two pairs of bytes of each channel ([pair][lane][2]), else as dwords ([lane][4]).
template <int L>
struct Four {
#if defined(__ARM_FEATURE_DOTPROD)
  uint8x16_t bytes;
  EW_INLINE explicit Four(uint8x16_t b) : bytes(b) {}
  EW_INLINE int32x4_t mac(int32x4_t acc, int8x16_t w, bool) const {
#if defined(__ARM_FEATURE_MATMUL_INT8)
    return vsudotq_laneq_s32(acc, w, bytes, L);
#else
    return vdotq_laneq_s32(acc, w, vreinterpretq_s8_u8(bytes), L);
#endif
  }
#else
  int8x16_t first;
  int8x16_t second;
  EW_INLINE explicit Four(uint8x16_t b)
      : first(vreinterpretq_s8_s16(vdupq_laneq_s16(vreinterpretq_s16_u8(b), 2 * L))),
        second(vreinterpretq_s8_s16(vdupq_laneq_s16(vreinterpretq_s16_u8(b), 2 * L + 1))) {}
  // Two products fit 16 bits unless both are (-128) * (-128).
  EW_INLINE int32x4_t mac(int32x4_t acc, int8x16_t w, bool has_lowest) const {
    int16x8_t sum = vmull_s8(vget_low_s8(w), vget_low_s8(first));
    if (has_lowest) {
      acc = vpadalq_s16(acc, sum);
      return vpadalq_s16(acc, vmull_high_s8(w, second));
    }
    return vpadalq_s16(acc, vmlal_high_s8(sum, w, second));
  }
#endif
};

/// Vector arithmetic of this thread rounds downwards while it lives. What it is meant for must be
/// in functions that are not inlined, since compilers move arithmetic over changes of the mode.
class RoundDown {
 public:
  explicit RoundDown(Rounding rounding) : before_(float_mode()) {
    constexpr uint64_t kTowardsMinus = uint64_t{2} << 22;
    constexpr uint64_t kAllModes = uint64_t{3} << 22;
    if (rounding != Rounding::kExact) set_float_mode((before_ & ~kAllModes) | kTowardsMinus);
  }
  ~RoundDown() { set_float_mode(before_); }
  RoundDown(const RoundDown&) = delete;
  RoundDown& operator=(const RoundDown&) = delete;

 private:
  uint64_t before_;
};

/// The constants of four lanes.
template <Rounding R>
struct Scaling {
  float32x4_t scale;
  float32x4_t offset;
  float32x4_t negative;
  EW_INLINE Scaling(const Requant& r, int64_t lane)
      : scale(vld1q_f32(r.scale + lane)),
        offset(vld1q_f32(r.offset + lane)),
        negative(vld1q_f32(r.offset_negative + lane)) {}
  EW_INLINE int32x4_t operator()(int32x4_t acc) const {
    if constexpr (R == Rounding::kBits) {
      return vcvtmq_s32_f32(vfmaq_f32(offset, vreinterpretq_f32_s32(acc), scale));
    }
    return vcvtmq_s32_f32(
        vfmaq_f32(vbslq_f32(vcltzq_s32(acc), negative, offset), vcvtq_f32_s32(acc), scale));
  }
};

// The exact function of four lanes: stored value + 128, not clamped where it rounds twice.
inline int32x4_t exact_lanes(const Requant& r, int32x4_t acc, int64_t lane) {
  if (r.multiplier == nullptr) {
    int32_t values[kLanes];
    vst1q_s32(values, acc);
    for (int64_t l = 0; l < kLanes; ++l) {
      const int32_t channel = r.channel[lane + l];
      values[l] = channel < 0 ? 0 : r.exact(r.context, values[l], channel);
    }
    return vld1q_s32(values);
  }
  const int32x4_t shift = vnegq_s32(vld1q_s32(r.shift + lane));
  int32x4_t x = vqrdmulhq_s32(acc, vld1q_s32(r.multiplier + lane));
  // The rounding shift takes ties upwards; a step down makes them go away from zero.
  x = vqaddq_s32(x, vshrq_n_s32(vandq_s32(x, shift), 31));
  return vqaddq_s32(vrshlq_s32(x, shift), vdupq_n_s32(r.zero + 128));
}

/// What requantised lanes become bytes by: 8 values of 32 bits to 8 bytes.
template <Rounding R>
EW_INLINE uint8x8_t narrow(const Requant& r, int32x4_t a, int32x4_t b) {
  int16x8_t words = vqmovn_high_s32(vqmovn_s32(a), b);
  if constexpr (R == Rounding::kBits) return vqmovun_s16(words);
  if constexpr (R == Rounding::kFloat) {
    words = vqaddq_s16(words, vdupq_n_s16(static_cast<int16_t>(r.zero + 128)));
  }
  return vmin_u8(vmax_u8(vqmovun_s16(words), vdup_n_u8(r.min)), vdup_n_u8(r.max));
}

/// Requantises acc[p][v], lanes from `lane`.
template <Rounding R, int Vectors, int Pixels>
EW_INLINE void requantize_lanes(const Requant& r, int64_t lane, int32x4_t (&acc)[Pixels][Vectors]) {
  EW_UNROLL for (int v = 0; v < Vectors; ++v) {
    if constexpr (R == Rounding::kExact) {
      for (int p = 0; p < Pixels; ++p) acc[p][v] = exact_lanes(r, acc[p][v], lane + 4 * v);
    } else {
      const Scaling<R> scaling(r, lane + 4 * v);
      EW_UNROLL for (int p = 0; p < Pixels; ++p) acc[p][v] = scaling(acc[p][v]);
    }
  }
}

/// Stores the first n of 4 * Vectors requantised lanes.
template <Rounding R, int Vectors>
EW_INLINE void store_lanes(const Requant& r, const int32x4_t (&values)[Vectors], int64_t n,
                           uint8_t* out) {
  if (n >= 4 * Vectors) {
    EW_UNROLL for (int v = 0; v < Vectors; v += 4) {
      const uint8x8_t low = narrow<R>(r, values[v], values[v + 1]);
      if constexpr (Vectors % 4 == 0) {
        vst1q_u8(out + 4 * v, vcombine_u8(low, narrow<R>(r, values[v + 2], values[v + 3])));
      } else {
        vst1_u8(out + 4 * v, low);
      }
    }
    return;
  }
  uint8_t part[4 * Vectors];
  EW_UNROLL for (int v = 0; v < Vectors; v += 2) {
    vst1_u8(part + 4 * v, narrow<R>(r, values[v], values[v + 1]));
  }
  std::memcpy(out, part, static_cast<size_t>(n));
}

}  // namespace ew::kernels::int8::EW_INT8_TARGET
