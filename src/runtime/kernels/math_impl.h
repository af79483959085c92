#pragma once
// exp, sigmoid and tanh on vectors. Polynomials: Cephes (S. Moshier, expf.c and tanhf.c).

#include "runtime/kernels/vec.h"

namespace ew::kernels::EW_TARGET {

/// e^x. Below -87.33 (where the result would be subnormal) 0; above 88.72 infinity.
EW_INLINE Vec exp(Vec x) {
  const Vec bounded = clamp(x, set1(-88.F), set1(89.F));
  const Vec k = round(bounded * set1(1.44269504F));
  // ln 2 in two parts: the first has few bits, so k times it is exact.
  Vec r = fma(k, set1(-0.693359375F), bounded);
  r = fma(k, set1(2.12194440e-4F), r);
  Vec p = set1(1.9875691500e-4F);
  p = fma(p, r, set1(1.3981999507e-3F));
  p = fma(p, r, set1(8.3334519073e-3F));
  p = fma(p, r, set1(4.1665795894e-2F));
  p = fma(p, r, set1(1.6666665459e-1F));
  p = fma(p, r, set1(5.0000001201e-1F));
  p = fma(p, r * r, r) + set1(1.F);
  // Two factors, because 2^128 alone is infinite while p * 2^128 need not be.
  const Vec half = round(k * set1(0.5F));
  const Vec y = p * exp2i(half) * exp2i(k - half);
  return if_greater(set1(-87.336544F), x, zero(), y);
}

EW_INLINE Vec sigmoid(Vec x) {
  const Vec one = set1(1.F);
  return one / (one + exp(zero() - x));
}

EW_INLINE Vec tanh(Vec x) {
  const Vec magnitude = max(x, zero() - x);
  const Vec z = x * x;
  Vec p = set1(-5.70498872745e-3F);
  p = fma(p, z, set1(2.06390887954e-2F));
  p = fma(p, z, set1(-5.37397155531e-2F));
  p = fma(p, z, set1(1.33314422036e-1F));
  p = fma(p, z, set1(-3.33332819422e-1F));
  const Vec small = fma(p * z, x, x);
  const Vec one = set1(1.F);
  const Vec large = one - set1(2.F) / (exp(magnitude + magnitude) + one);
  const Vec signed_large = if_greater(zero(), x, zero() - large, large);
  return if_greater(magnitude, set1(0.625F), signed_large, small);
}

}  // namespace ew::kernels::EW_TARGET
