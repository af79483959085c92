#pragma once
// How gather and scatter_add read row numbers of any dtype.

#include "ops/ops.h"

namespace ew::ops {

/// Calls f(i, id) for every element of `ids`, whatever its dtype; -1 stands for NaN and for a
/// number that no int64 can hold.
template <typename F>
void for_each_id(const ConstTensorView& ids, F&& f) {
  const int64_t n = ids.size();
  dispatch_dtype(ids.dtype(), [&]<typename T>() {
    if constexpr (std::is_floating_point_v<T>) {
      const T* p = ids.as<T>();
      for (int64_t i = 0; i < n; ++i) {
        f(i, p[i] > T(-1) && p[i] < T(9e18) ? static_cast<int64_t>(p[i]) : int64_t{-1});
      }
    } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      const T* p = ids.as<T>();
      for (int64_t i = 0; i < n; ++i) f(i, static_cast<int64_t>(p[i]));
    }
  });
}

}  // namespace ew::ops
