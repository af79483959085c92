#pragma once
// What the tables of 256-bit vectors share (AVX2, AVX-VNNI): the rounding mode, additions and
// quantisation. Compiled once per target, in a namespace named after it.

#include <immintrin.h>

#include "runtime/kernels/int8/int8_portable_impl.h"

namespace ew::kernels::int8::EW_INT8_TARGET {
namespace {

#define EW_INLINE inline __attribute__((always_inline))
#define EW_UNROLL _Pragma("GCC unroll 16")

// AVX2 has no rounding of its own in an instruction: the thread's mode rounds downwards meanwhile,
// except where exact functions are called, which round as they say.
class RoundDown {
 public:
  explicit RoundDown(Rounding rounding) : before_(_mm_getcsr()) {
    if (rounding == Rounding::kExact) return;
    _mm_setcsr((before_ & ~static_cast<unsigned>(_MM_ROUND_MASK)) | _MM_ROUND_DOWN);
  }
  ~RoundDown() { _mm_setcsr(before_); }
  RoundDown(const RoundDown&) = delete;
  RoundDown& operator=(const RoundDown&) = delete;

 private:
  unsigned before_;
};

EW_INLINE __m256i load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

// Four bytes of the sum. In double the product and, near every step, the sum are exact, as in
// plain_add().
EW_INLINE __m128i add_four(__m128i a, __m128 inner, __m256d scale_a) {
  const __m256d sum =
      _mm256_add_pd(_mm256_mul_pd(_mm256_cvtepi32_pd(a), scale_a), _mm256_cvtps_pd(inner));
  const __m256d bounded =
      _mm256_min_pd(_mm256_max_pd(sum, _mm256_setzero_pd()), _mm256_set1_pd(255.5));
  return _mm256_cvttpd_epi32(bounded);
}

void add(const Rows& s, int64_t b_row, const AddForm& f, const uint8_t* a, const uint8_t* b,
         uint8_t* y) {
  const __m256d scale_a = _mm256_set1_pd(double{f.scale_a});
  const __m256 scale_b = _mm256_set1_ps(f.scale_b);
  const __m256 offset = _mm256_set1_ps(f.offset);
  const __m128i min = _mm_set1_epi8(static_cast<char>(f.min));
  const __m128i max = _mm_set1_epi8(static_cast<char>(f.max));
  const auto eight = [](const uint8_t* p) __attribute__((always_inline)) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  };
  for (int64_t r = 0; r < s.rows; ++r) {
    const uint8_t* left = a + r * s.in_row;
    const uint8_t* right = b + r * b_row;
    uint8_t* out = y + r * s.out_row;
    int64_t i = 0;
    for (; i + 16 <= s.bytes; i += 16) {
      __m128i words[2];
      EW_UNROLL for (int j = 0; j < 2; ++j) {
        const __m256i u = eight(left + i + 8 * j);
        const __m256 inner =
            _mm256_fmadd_ps(_mm256_cvtepi32_ps(eight(right + i + 8 * j)), scale_b, offset);
        words[j] = _mm_packs_epi32(
            add_four(_mm256_castsi256_si128(u), _mm256_castps256_ps128(inner), scale_a),
            add_four(_mm256_extracti128_si256(u, 1), _mm256_extractf128_ps(inner, 1), scale_a));
      }
      const __m128i bytes = _mm_packus_epi16(words[0], words[1]);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                       _mm_min_epu8(_mm_max_epu8(bytes, min), max));
    }
    plain_add({.rows = 1, .bytes = s.bytes - i}, 0, f, left + i, right + i, out + i);
  }
}

void quantize(int64_t n, const float* x, float scale, int32_t zero, uint8_t* y) {
  const __m256 step = _mm256_set1_ps(scale);
  const __m256 limit = _mm256_set1_ps(512);
  const __m256 half = _mm256_set1_ps(0.5F);
  const __m256 sign = _mm256_set1_ps(-0.0F);
  const __m256i shift = _mm256_set1_epi32(zero + 128);
  const auto bytes_of = [&](const float* p) __attribute__((always_inline)) {
    __m256 v = _mm256_div_ps(_mm256_loadu_ps(p), step);
    v = _mm256_and_ps(v, _mm256_cmp_ps(v, v, _CMP_ORD_Q));
    v = _mm256_max_ps(_mm256_min_ps(v, limit), _mm256_xor_ps(limit, sign));
    const __m256i whole = _mm256_cvttps_epi32(v);
    const __m256 rest = _mm256_sub_ps(v, _mm256_cvtepi32_ps(whole));
    // Masks are -1: subtracting one adds a step.
    const __m256i up = _mm256_castps_si256(_mm256_cmp_ps(rest, half, _CMP_GE_OQ));
    const __m256i down =
        _mm256_castps_si256(_mm256_cmp_ps(rest, _mm256_xor_ps(half, sign), _CMP_LE_OQ));
    return _mm256_add_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, up), down), shift);
  };
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m256i words =
        _mm256_permute4x64_epi64(_mm256_packs_epi32(bytes_of(x + i), bytes_of(x + i + 8)), 0xD8);
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(y + i),
        _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
  }
  plain_quantize(n - i, x + i, scale, zero, y + i);
}

}  // namespace
}  // namespace ew::kernels::int8::EW_INT8_TARGET
