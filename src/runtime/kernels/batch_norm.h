#pragma once
// Batch normalisation over the last dimension of x [rows, channels] (NHWC: rows = N * H * W).

#include "runtime/kernels/common.h"

namespace ew::kernels {

/// Training: mean[c] and variance[c] (biased) over all rows, inv_std = 1 / sqrt(variance +
/// epsilon), y = clamp(x * scale + shift), scale = gamma * inv_std, shift = beta - mean * scale.
struct BatchNormForward {
  int64_t rows = 0, channels = 0;
  const float* x = nullptr;
  const float* gamma = nullptr;  // [channels], null means 1
  const float* beta = nullptr;   // [channels], null means 0
  float epsilon = 1e-3f;
  Clamp clamp{};
  float* y = nullptr;         // [rows, channels], may be x (in place)
  float* mean = nullptr;      // [channels] out, kept for backward
  float* inv_std = nullptr;   // [channels] out, kept for backward
  float* variance = nullptr;  // [channels] out, for the moving variance; may be null
};

/// Gradient of the training forward. `dy` is the gradient after the fused clamp: where the clamp
/// was active nothing flows, which is found again from x, so y need not be kept.
struct BatchNormBackward {
  int64_t rows = 0, channels = 0;
  const float* x = nullptr;
  const float* gamma = nullptr;    // as in forward
  const float* beta = nullptr;     // as in forward; read only if there is a clamp
  const float* mean = nullptr;     // from forward
  const float* inv_std = nullptr;  // from forward
  Clamp clamp{};                   // as in forward
  const float* dy = nullptr;
  float* dx = nullptr;      // [rows, channels], may be dy (in place)
  float* dgamma = nullptr;  // [channels]
  float* dbeta = nullptr;   // [channels]
};

/// Inference: y = clamp(x * scale + shift); scale and shift are precomputed by the caller.
struct ScaleShift {
  int64_t rows = 0, channels = 0;
  const float* x = nullptr;
  const float* scale = nullptr;  // [channels]
  const float* shift = nullptr;  // [channels]
  Clamp clamp{};
  float* y = nullptr;  // may be x (in place)
};

}  // namespace ew::kernels
