#pragma once
// Conversions of 16-bit floats.

#include "base/dtype.h"
#include "runtime/kernels/half_vec.h"
#include "runtime/kernels/halves.h"
#include "runtime/kernels/io.h"
#include "runtime/kernels/parallel.h"

namespace ew::kernels::EW_TARGET {

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

}  // namespace ew::kernels::EW_TARGET
