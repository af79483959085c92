#pragma once
// Parameter updates of the optimisers, one pass over `n` parameters, gradients and slots. The order
// of operations in f32 is Keras 3's, without fused multiply-add, so the bits agree with it.
// Constants like 1 - beta must be computed in double and then rounded, as Python does.

#include "runtime/kernels/common.h"

namespace ew::kernels {

/// m += (g - m) * one_minus_beta1;  v += (g * g - v) * one_minus_beta2;
/// p -= m * alpha / (sqrt(v) + epsilon), where alpha = rate * sqrt(1 - beta2^t) / (1 - beta1^t).
/// With v_max (AMSGrad): v_max = max(v_max, v), and v_max takes the place of v in the last line.
struct AdamArgs {
  int64_t n = 0;
  float* parameters = nullptr;
  const float* gradients = nullptr;
  float* m = nullptr;
  float* v = nullptr;
  float* v_max = nullptr;  // null: plain Adam
  float alpha = 0, one_minus_beta1 = 0, one_minus_beta2 = 0, epsilon = 1e-7f;
};

/// momentum null: p -= g * rate. Otherwise velocity = velocity * momentum - g * rate; then
/// p += velocity, or with nesterov p += velocity * momentum - g * rate.
struct SgdArgs {
  int64_t n = 0;
  float* parameters = nullptr;
  const float* gradients = nullptr;
  float* velocity = nullptr;  // null: no momentum
  float rate = 0, momentum = 0;
  bool nesterov = false;
};

/// v = v * rho + g * g * one_minus_rho. Centred (mean given): mean = mean * rho + g *
/// one_minus_rho, d = v - mean * mean, else d = v. step = rate * g / sqrt(d + epsilon). With
/// velocity: velocity = velocity * momentum + step and p -= velocity, else p -= step.
struct RmspropArgs {
  int64_t n = 0;
  float* parameters = nullptr;
  const float* gradients = nullptr;
  float* v = nullptr;
  float* mean = nullptr;      // null: not centred
  float* velocity = nullptr;  // null: no momentum
  float rate = 0, rho = 0, one_minus_rho = 0, epsilon = 1e-7f, momentum = 0;
};

}  // namespace ew::kernels
