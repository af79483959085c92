#pragma once
// Vectors of floats from 16-bit ones.

#include "base/dtype.h"
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/vec.h"

namespace ew::kernels::EW_TARGET {

#if defined(__AVX512F__)
template <HalfType kType>
EW_INLINE Vec load_halves(const uint16_t* p) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  if constexpr (kType == HalfType::kF16) {
    return {_mm512_cvtph_ps(bits)};
  } else {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
  }
}
#elif defined(__AVX2__) && defined(__FMA__)
template <HalfType kType>
EW_INLINE Vec load_halves(const uint16_t* p) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  if constexpr (kType == HalfType::kF16) {
    return {_mm256_cvtph_ps(bits)};
  } else {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16))};
  }
}
#else
template <HalfType kType>
EW_INLINE Vec load_halves(const uint16_t* p) {
#if defined(__aarch64__)
  if constexpr (kType == HalfType::kF16) {
    return {vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)))};
  }
#endif
  Vec a;
  for (int i = 0; i < kLanes; ++i) {
    a.v[i] = kType == HalfType::kF16 ? to_float(Half{p[i]}) : to_float(BFloat16{p[i]});
  }
  return a;
}
#endif

}  // namespace ew::kernels::EW_TARGET
