#pragma once
// The integer dot product of a hybrid kernel: one step multiplies kPack neighbouring inputs with
// their weights for a vector of channels. With VNNI inputs are bytes u = q + 128 and sums get a
// correction; elsewhere they are words q - zero, so that nothing can saturate.

#include "runtime/kernels/vec.h"

namespace ew::kernels::EW_TARGET {

#if defined(__AVX512VNNI__)

inline constexpr bool kIsBytes = true;
using HybridInput = uint8_t;
using HybridWeight = int8_t;
inline constexpr const char* kHybridName = "vnni";
struct Sums {
  __m512i v;
};
EW_INLINE Sums load_sums(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
EW_INLINE Sums set_sums(int32_t x) { return {_mm512_set1_epi32(x)}; }
EW_INLINE Sums scaled_sums(const int32_t* p, int32_t factor) {
  return {_mm512_mullo_epi32(_mm512_loadu_si512(p), _mm512_set1_epi32(factor))};
}
/// GCC 12 spills around the intrinsic's tied operand; the instruction itself does not.
EW_INLINE Sums dot(Sums sum, Sums inputs, Sums weights) {
#if defined(__clang__)
  return {_mm512_dpbusd_epi32(sum.v, inputs.v, weights.v)};
#else
  asm("vpdpbusd %2,%1,%0" : "+v"(sum.v) : "v"(inputs.v), "vm"(weights.v));
  return sum;
#endif
}
EW_INLINE Vec to_real(Sums a) { return {_mm512_cvtepi32_ps(a.v)}; }
EW_INLINE void store_inputs(uint8_t* p, Vec q, int32_t zero, int64_t n) {
  static_cast<void>(zero);
  const __m512i u = _mm512_add_epi32(_mm512_cvtps_epi32(q.v), _mm512_set1_epi32(128));
  if (n == kLanes) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(u));
  } else {
    _mm512_mask_cvtepi32_storeu_epi8(p, mask_of(n), u);
  }
}

EW_INLINE void load_nibbles(const uint8_t* p, Sums& even, Sums& odd) {
  const __m512i pairs = _mm512_loadu_si512(p);
  const __m512i mask = _mm512_set1_epi8(15);
  const __m512i eight = _mm512_set1_epi8(8);
  even.v = _mm512_sub_epi8(_mm512_and_si512(pairs, mask), eight);
  odd.v = _mm512_sub_epi8(_mm512_and_si512(_mm512_srli_epi16(pairs, 4), mask), eight);
}

#else

inline constexpr bool kIsBytes = false;
using HybridInput = int16_t;
using HybridWeight = int16_t;
inline constexpr const char* kHybridName = "words";

#if defined(__AVX512F__)

struct Sums {
  __m512i v;
};
EW_INLINE Sums load_sums(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
EW_INLINE Sums set_sums(int32_t x) { return {_mm512_set1_epi32(x)}; }
EW_INLINE Sums dot(Sums sum, Sums inputs, Sums weights) {
  return {_mm512_add_epi32(sum.v, _mm512_madd_epi16(inputs.v, weights.v))};
}
EW_INLINE Vec to_real(Sums a) { return {_mm512_cvtepi32_ps(a.v)}; }
EW_INLINE void store_inputs(int16_t* p, Vec q, int32_t zero, int64_t n) {
  const __m512i d = _mm512_sub_epi32(_mm512_cvtps_epi32(q.v), _mm512_set1_epi32(zero));
  if (n == kLanes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(d));
  } else {
    _mm512_mask_cvtepi32_storeu_epi16(p, mask_of(n), d);
  }
}

EW_INLINE void load_nibbles(const uint8_t* p, Sums& even, Sums& odd) {
  const __m512i pairs =
      _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  const __m512i eight = _mm512_set1_epi16(8);
  even.v = _mm512_sub_epi16(_mm512_and_si512(pairs, _mm512_set1_epi16(15)), eight);
  odd.v = _mm512_sub_epi16(_mm512_srli_epi16(pairs, 4), eight);
}

#elif defined(__AVX2__) && defined(__FMA__)

struct Sums {
  __m256i v;
};
EW_INLINE Sums load_sums(const int32_t* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
}
EW_INLINE Sums set_sums(int32_t x) { return {_mm256_set1_epi32(x)}; }
EW_INLINE Sums dot(Sums sum, Sums inputs, Sums weights) {
  return {_mm256_add_epi32(sum.v, _mm256_madd_epi16(inputs.v, weights.v))};
}
EW_INLINE Vec to_real(Sums a) { return {_mm256_cvtepi32_ps(a.v)}; }
EW_INLINE void store_inputs(int16_t* p, Vec q, int32_t zero, int64_t n) {
  const __m256i d = _mm256_sub_epi32(_mm256_cvtps_epi32(q.v), _mm256_set1_epi32(zero));
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(d), _mm256_extracti128_si256(d, 1));
  if (n == kLanes) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), words);
  } else {
    alignas(16) int16_t lanes[kLanes];
    _mm_store_si128(reinterpret_cast<__m128i*>(lanes), words);
    std::memcpy(p, lanes, static_cast<size_t>(n) * sizeof(int16_t));
  }
}

EW_INLINE void load_nibbles(const uint8_t* p, Sums& even, Sums& odd) {
  const __m256i pairs = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m256i eight = _mm256_set1_epi16(8);
  even.v = _mm256_sub_epi16(_mm256_and_si256(pairs, _mm256_set1_epi16(15)), eight);
  odd.v = _mm256_sub_epi16(_mm256_srli_epi16(pairs, 4), eight);
}

#else

struct Sums {
  NativeInt v;
};
EW_INLINE Sums load_sums(const int32_t* p) {
  Sums a;
  std::memcpy(&a.v, p, sizeof(a.v));
  return a;
}
EW_INLINE Sums set_sums(int32_t x) { return {NativeInt{x, x, x, x}}; }
/// Both hold pairs of words in the halves of their lanes.
EW_INLINE Sums dot(Sums sum, Sums inputs, Sums weights) {
  const NativeInt low = ((inputs.v << 16) >> 16) * ((weights.v << 16) >> 16);
  const NativeInt high = (inputs.v >> 16) * (weights.v >> 16);
  return {sum.v + low + high};
}
EW_INLINE Vec to_real(Sums a) { return {__builtin_convertvector(a.v, Native)}; }
EW_INLINE void store_inputs(int16_t* p, Vec q, int32_t zero, int64_t n) {
  for (int64_t i = 0; i < n; ++i) p[i] = static_cast<int16_t>(static_cast<int32_t>(q.v[i]) - zero);
}

EW_INLINE void load_nibbles(const uint8_t* p, Sums& even, Sums& odd) {
  int16_t words[2][2 * kLanes];
  for (int i = 0; i < 2 * kLanes; ++i) {
    words[0][i] = static_cast<int16_t>((p[i] & 15) - 8);
    words[1][i] = static_cast<int16_t>((p[i] >> 4) - 8);
  }
  std::memcpy(&even.v, words[0], sizeof(even.v));
  std::memcpy(&odd.v, words[1], sizeof(odd.v));
}

#endif
#endif

/// Inputs of one step; it is 4 bytes wide in both forms.
inline constexpr int64_t kPack = 4 / static_cast<int64_t>(sizeof(HybridInput));

/// Four bytes of inputs in every lane.
EW_INLINE Sums broadcast_inputs(const HybridInput* p) {
  int32_t bits;
  std::memcpy(&bits, p, sizeof(bits));
  return set_sums(bits);
}
EW_INLINE Sums load_weights(const uint8_t* p) {
  return load_sums(reinterpret_cast<const int32_t*>(p));
}

}  // namespace ew::kernels::EW_TARGET
