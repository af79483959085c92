#pragma once
// What the AVX-512 VNNI kernels share: the dot product and the way back to bytes.

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "runtime/kernels/int8/int8_kernels.h"

namespace ew::kernels::int8::vnni {

#define EW_INLINE inline __attribute__((always_inline))
#define EW_UNROLL _Pragma("GCC unroll 64")

inline constexpr int kLanes = 16;
/// Whether there are kernels for Rounding::kFine: 96 KB, which a small build does without.
#ifdef EW_SMALL
inline constexpr bool kHasFine = false;
#else
inline constexpr bool kHasFine = true;
#endif
inline constexpr int kDown = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;

EW_INLINE __m512i load(const void* p) { return _mm512_loadu_si512(p); }

// GCC 12 surrounds the intrinsic's tied operand with register moves and spills (27 % slower on a
// whole net); the instruction itself does not.
EW_INLINE __m512i dot(__m512i sum, __m512i u8s, __m512i s8s) {
#if defined(__clang__)
  return _mm512_dpbusd_epi32(sum, u8s, s8s);
#else
  asm("vpdpbusd %2,%1,%0" : "+v"(sum) : "v"(u8s), "vm"(s8s));
  return sum;
#endif
}

// Lane l of vector v in a block of 16 * vectors channels: the order that packing four vectors of
// int32 and unpacking four rows of bytes agree on, so that neither needs a permutation.
// Eight vectors are two blocks of four.
inline constexpr int channel_of(int vectors, int v, int l) {
  if (vectors == 8) return 64 * (v / 4) + channel_of(4, v % 4, l);
  return 4 * vectors * (l / 4) + 4 * v + l % 4;
}

/// Four rows of bytes as dwords that hold one byte of each; lane l of vector v is that of byte
/// channel_of(4, v, l).
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

/// The rounding constants of 16 lanes, held in registers.
template <Rounding R>
struct LaneConstants {
  __m512 scale;
  __m512 offset;
  __m512 negative;
  __m512 fine;
  EW_INLINE LaneConstants(const Requant& r, int64_t lane)
      : scale(_mm512_loadu_ps(r.scale + lane)),
        offset(_mm512_loadu_ps(r.offset + lane)),
        negative(R != Rounding::kBits ? _mm512_loadu_ps(r.offset_negative + lane) : offset),
        fine(R == Rounding::kFine ? _mm512_loadu_ps(r.fine + lane) : offset) {}

  EW_INLINE __m512i finish(__m512i acc) const {
    // Rounding down cannot carry a value below an integer up to it.
    if constexpr (R != Rounding::kBits) {
      const __m512 x = _mm512_cvtepi32_ps(acc);
      __m512 start = _mm512_mask_blend_ps(_mm512_movepi32_mask(acc), offset, negative);
      if constexpr (R == Rounding::kFine) start = _mm512_fmadd_ps(x, fine, start);
      return _mm512_cvt_roundps_epi32(_mm512_fmadd_round_ps(x, scale, start, kDown), kDown);
    }
    return _mm512_cvt_roundps_epi32(
        _mm512_fmadd_round_ps(_mm512_castsi512_ps(acc), scale, offset, kDown), kDown);
  }
};

template <Rounding R>
EW_INLINE __m512i requantize_lanes(__m512i acc, const Requant& r, int64_t i) {
  return LaneConstants<R>(r, i).finish(acc);
}

// Four vectors of requantised sums to 64 bytes: in each 128-bit lane 4 bytes of a, of b, of c, of
// d.
template <Rounding R>
EW_INLINE __m512i pack_64(__m512i a, __m512i b, __m512i c, __m512i d, const Requant& r) {
  const __m512i x = _mm512_packs_epi32(a, b);
  const __m512i y = _mm512_packs_epi32(c, d);
  if constexpr (R == Rounding::kBits) return _mm512_packus_epi16(x, y);
  const __m512i zero = _mm512_set1_epi16(static_cast<int16_t>(r.zero + 128));
  const __m512i bytes = _mm512_packus_epi16(_mm512_adds_epi16(x, zero), _mm512_adds_epi16(y, zero));
  return _mm512_min_epu8(_mm512_max_epu8(bytes, _mm512_set1_epi8(static_cast<char>(r.min))),
                         _mm512_set1_epi8(static_cast<char>(r.max)));
}

template <Rounding R>
EW_INLINE __m512i requantize_64(__m512i a, __m512i b, __m512i c, __m512i d, const Requant& r,
                                int64_t ia, int64_t ib, int64_t ic, int64_t id) {
  return pack_64<R>(requantize_lanes<R>(a, r, ia), requantize_lanes<R>(b, r, ib),
                    requantize_lanes<R>(c, r, ic), requantize_lanes<R>(d, r, id), r);
}

/// The slow way, for channels without a proved form: bytes[l] of `lanes` (16, 32, ..) lanes by the
/// definition. Lanes without a channel get any value.
__attribute__((noinline)) void exact_bytes(const Requant& r, const int32_t* acc, int64_t lane0,
                                           int64_t lanes, int32_t* bytes);

/// The first n of 64 bytes.
EW_INLINE __mmask64 first_bytes(int64_t n) {
  return n >= 64 ? ~__mmask64{0} : (__mmask64{1} << n) - 1;
}

}  // namespace ew::kernels::int8::vnni
