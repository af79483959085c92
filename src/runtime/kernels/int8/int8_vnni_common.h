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
inline constexpr int channel_of(int vectors, int v, int l) {
  return 4 * vectors * (l / 4) + 4 * v + l % 4;
}

template <Rounding R>
EW_INLINE __m512i requantize_lanes(__m512i acc, const Requant& r, int64_t i) {
  const __m512 scale = _mm512_loadu_ps(r.scale + i);
  __m512 offset = _mm512_loadu_ps(r.offset + i);
  __m512 x = _mm512_castsi512_ps(acc);
  if constexpr (R == Rounding::kFloat) {
    offset = _mm512_mask_loadu_ps(offset, _mm512_movepi32_mask(acc), r.offset_negative + i);
    x = _mm512_cvtepi32_ps(acc);
  }
  // Rounding down cannot carry a value below an integer up to it.
  return _mm512_cvt_roundps_epi32(_mm512_fmadd_round_ps(x, scale, offset, kDown), kDown);
}

// Four accumulators to 64 bytes: in each 128-bit lane 4 bytes of a, of b, of c, of d.
template <Rounding R>
EW_INLINE __m512i requantize_64(__m512i a, __m512i b, __m512i c, __m512i d, const Requant& r,
                                int64_t ia, int64_t ib, int64_t ic, int64_t id) {
  const __m512i x =
      _mm512_packs_epi32(requantize_lanes<R>(a, r, ia), requantize_lanes<R>(b, r, ib));
  const __m512i y =
      _mm512_packs_epi32(requantize_lanes<R>(c, r, ic), requantize_lanes<R>(d, r, id));
  if constexpr (R == Rounding::kBits) return _mm512_packus_epi16(x, y);
  const __m512i bytes =
      _mm512_xor_si512(_mm512_packs_epi16(x, y), _mm512_set1_epi8(static_cast<char>(0x80)));
  return _mm512_min_epu8(_mm512_max_epu8(bytes, _mm512_set1_epi8(static_cast<char>(r.min))),
                         _mm512_set1_epi8(static_cast<char>(r.max)));
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
