#pragma once
// 16-bit floats: conversions, and products of few rows, which wait for their weights and so gain
// from half the bytes.

#include "base/dtype.h"
#include "runtime/kernels/gemm_impl.h"
#include "runtime/kernels/halves.h"
#include "runtime/kernels/io.h"

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

inline bool find_exact(int64_t n, const float* x, HalfType& type) {
  bool is_half = true;
  bool is_bfloat = true;
  for (int64_t i = 0; i < n && (is_half || is_bfloat); ++i) {
    // Comparing bits keeps NaNs and the sign of zero.
    uint32_t want;
    std::memcpy(&want, x + i, sizeof(want));
    const auto keeps = [want](float value) {
      uint32_t got;
      std::memcpy(&got, &value, sizeof(got));
      return got == want;
    };
    is_half = is_half && keeps(to_float(to_half(x[i])));
    is_bfloat = is_bfloat && (want & 0xFFFF) == 0;
  }
  type = is_half ? HalfType::kF16 : HalfType::kBF16;
  return is_half || is_bfloat;
}

inline void narrow(int64_t n, const float* x, HalfType type, uint16_t* y) {
  for (int64_t i = 0; i < n; ++i) {
    y[i] = type == HalfType::kF16 ? to_half(x[i]).bits : to_bfloat16(x[i]).bits;
  }
}

template <HalfType kType>
void widen_type(int64_t n, const uint16_t* x, float* y, ThreadPool* pool) {
  parallel_for(pool, ceil_div(n, kElementBlock), [&](int64_t block) {
    const int64_t end = min_of(n, (block + 1) * kElementBlock);
    int64_t i = block * kElementBlock;
    for (; i + kLanes <= end; i += kLanes) store(y + i, load_halves<kType>(x + i));
    for (; i < end; ++i) {
      y[i] = kType == HalfType::kF16 ? to_float(Half{x[i]}) : to_float(BFloat16{x[i]});
    }
  });
}

inline void widen(int64_t n, const uint16_t* x, HalfType type, float* y, ThreadPool* pool) {
  if (type == HalfType::kF16) return widen_type<HalfType::kF16>(n, x, y, pool);
  widen_type<HalfType::kBF16>(n, x, y, pool);
}

template <HalfType kType>
struct HalfElements {
  using Element = uint16_t;
  static EW_INLINE Vec load(const uint16_t* p) { return load_halves<kType>(p); }
};

inline void gemm_halves(const GemmArgs& g, const uint16_t* packed, HalfType type,
                        ThreadPool* pool) {
  if (type == HalfType::kF16) return gemm_streamed<HalfElements<HalfType::kF16>>(g, packed, pool);
  gemm_streamed<HalfElements<HalfType::kBF16>>(g, packed, pool);
}

}  // namespace ew::kernels::EW_TARGET
