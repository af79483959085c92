#pragma once
// The vector of floats that the kernels are written in: 16 lanes (AVX-512), 8 (AVX2 with FMA) or 4
// (portable, GCC vector extensions; on 64-bit ARM they are NEON). Include it only in sources
// compiled once per target. Everything lives in a namespace named after the target, so that no
// linker can mix code of two targets.

#include <cstdint>
#include <cstring>

#if defined(__AVX512VNNI__)
#include <immintrin.h>
#define EW_TARGET vnni
#elif defined(__AVX512F__)
#include <immintrin.h>
#define EW_TARGET avx512
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define EW_TARGET avx2
#else
#include <cmath>
#if defined(__aarch64__)
#include <arm_neon.h>
#endif
#define EW_TARGET portable
#endif

#define EW_INLINE inline __attribute__((always_inline))

namespace ew::kernels::EW_TARGET {

// Shared contract: load_n and store_n touch n lanes (0 <= n <= kLanes), the rest reads as 0.
// max(a, b) is a > b ? a : b and min alike, so a NaN in b is kept. fma rounds once where the target
// has it, else twice. exp2i(k) is 2^k for integral k in [-126, 127].

#if defined(__AVX512F__)

inline constexpr int kLanes = 16;
inline constexpr int kRegisters = 32;

struct Vec {
  __m512 v;
};

EW_INLINE __mmask16 mask_of(int64_t n) { return static_cast<__mmask16>((1U << n) - 1U); }
EW_INLINE Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
EW_INLINE void store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
EW_INLINE Vec load_n(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(mask_of(n), p)}; }
EW_INLINE void store_n(float* p, Vec a, int64_t n) { _mm512_mask_storeu_ps(p, mask_of(n), a.v); }
EW_INLINE Vec set1(float x) { return {_mm512_set1_ps(x)}; }
EW_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
EW_INLINE Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
EW_INLINE Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
EW_INLINE Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
EW_INLINE Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
EW_INLINE Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
EW_INLINE Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
EW_INLINE Vec sqrt(Vec a) { return {_mm512_sqrt_ps(a.v)}; }
EW_INLINE Vec round(Vec a) { return {_mm512_roundscale_ps(a.v, 8)}; }
EW_INLINE Vec exp2i(Vec k) {
  const __m512i i = _mm512_add_epi32(_mm512_cvtps_epi32(k.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(i, 23))};
}
/// a > b ? x : y; false if either is NaN.
EW_INLINE Vec if_greater(Vec a, Vec b, Vec x, Vec y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ), y.v, x.v)};
}
EW_INLINE float sum(Vec a) { return _mm512_reduce_add_ps(a.v); }
EW_INLINE float max_lane(Vec a) { return _mm512_reduce_max_ps(a.v); }

#elif defined(__AVX2__) && defined(__FMA__)

inline constexpr int kLanes = 8;
inline constexpr int kRegisters = 16;

struct Vec {
  __m256 v;
};

EW_INLINE __m256i mask_of(int64_t n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
}
EW_INLINE Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
EW_INLINE void store(float* p, Vec a) { _mm256_storeu_ps(p, a.v); }
EW_INLINE Vec load_n(const float* p, int64_t n) { return {_mm256_maskload_ps(p, mask_of(n))}; }
EW_INLINE void store_n(float* p, Vec a, int64_t n) { _mm256_maskstore_ps(p, mask_of(n), a.v); }
EW_INLINE Vec set1(float x) { return {_mm256_set1_ps(x)}; }
EW_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
EW_INLINE Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
EW_INLINE Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
EW_INLINE Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
EW_INLINE Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
EW_INLINE Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
EW_INLINE Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
EW_INLINE Vec sqrt(Vec a) { return {_mm256_sqrt_ps(a.v)}; }
EW_INLINE Vec round(Vec a) { return {_mm256_round_ps(a.v, 8)}; }
EW_INLINE Vec exp2i(Vec k) {
  const __m256i i = _mm256_add_epi32(_mm256_cvtps_epi32(k.v), _mm256_set1_epi32(127));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(i, 23))};
}
EW_INLINE Vec if_greater(Vec a, Vec b, Vec x, Vec y) {
  return {_mm256_blendv_ps(y.v, x.v, _mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ))};
}
EW_INLINE float sum(Vec a) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
EW_INLINE float max_lane(Vec a) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

#else

inline constexpr int kLanes = 4;
#if defined(__aarch64__)
inline constexpr int kRegisters = 32;
#else
inline constexpr int kRegisters = 16;
#endif

using Native = float __attribute__((vector_size(16)));
using NativeInt = int32_t __attribute__((vector_size(16)));

struct Vec {
  Native v;
};

EW_INLINE Vec load(const float* p) {
  Vec a;
  std::memcpy(&a.v, p, sizeof(a.v));
  return a;
}
EW_INLINE void store(float* p, Vec a) { std::memcpy(p, &a.v, sizeof(a.v)); }
EW_INLINE Vec load_n(const float* p, int64_t n) {
  Vec a{};
  for (int64_t i = 0; i < n; ++i) a.v[i] = p[i];
  return a;
}
EW_INLINE void store_n(float* p, Vec a, int64_t n) {
  for (int64_t i = 0; i < n; ++i) p[i] = a.v[i];
}
EW_INLINE Vec set1(float x) { return {Native{x, x, x, x}}; }
#if defined(__aarch64__)
EW_INLINE Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
EW_INLINE Vec sqrt(Vec a) { return {vsqrtq_f32(a.v)}; }
#else
EW_INLINE Vec fma(Vec a, Vec b, Vec c) { return {a.v * b.v + c.v}; }
EW_INLINE Vec sqrt(Vec a) {
  for (int i = 0; i < kLanes; ++i) a.v[i] = std::sqrt(a.v[i]);
  return a;
}
#endif
EW_INLINE Vec operator+(Vec a, Vec b) { return {a.v + b.v}; }
EW_INLINE Vec operator-(Vec a, Vec b) { return {a.v - b.v}; }
EW_INLINE Vec operator*(Vec a, Vec b) { return {a.v * b.v}; }
EW_INLINE Vec operator/(Vec a, Vec b) { return {a.v / b.v}; }
EW_INLINE Vec if_greater(Vec a, Vec b, Vec x, Vec y) { return {a.v > b.v ? x.v : y.v}; }
EW_INLINE Vec min(Vec a, Vec b) { return if_greater(b, a, a, b); }
EW_INLINE Vec max(Vec a, Vec b) { return if_greater(a, b, a, b); }
/// For |a| < 2^22: adding and subtracting 1.5 * 2^23 leaves the nearest integer.
EW_INLINE Vec round(Vec a) {
  const Vec magic = set1(12582912.F);
  return (a + magic) - magic;
}
EW_INLINE Vec exp2i(Vec k) {
  const NativeInt i = (__builtin_convertvector(k.v, NativeInt) + 127) << 23;
  Vec a;
  std::memcpy(&a.v, &i, sizeof(a.v));
  return a;
}
EW_INLINE float sum(Vec a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
EW_INLINE float max_lane(Vec a) {
  const float x = a.v[0] > a.v[2] ? a.v[0] : a.v[2];
  const float y = a.v[1] > a.v[3] ? a.v[1] : a.v[3];
  return x > y ? x : y;
}

#endif

EW_INLINE Vec zero() { return set1(0.F); }
EW_INLINE Vec clamp(Vec x, Vec lo, Vec hi) { return min(hi, max(lo, x)); }

}  // namespace ew::kernels::EW_TARGET
