// Plain loops, compiled so that the compiler vectorises them for the baseline CPU.
#include <algorithm>
#include <cmath>

#include "train/optimizer_kernels.h"

namespace ew::train::kernels {

void sgd_plain(int64_t n, float* __restrict p, const float* __restrict g, float rate) {
  for (int64_t i = 0; i < n; ++i) p[i] -= g[i] * rate;
}

void sgd_momentum(int64_t n, float* __restrict p, const float* __restrict g, float* __restrict m,
                  float rate, float momentum) {
  for (int64_t i = 0; i < n; ++i) {
    m[i] = m[i] * momentum - g[i] * rate;
    p[i] += m[i];
  }
}

void sgd_nesterov(int64_t n, float* __restrict p, const float* __restrict g, float* __restrict m,
                  float rate, float momentum) {
  for (int64_t i = 0; i < n; ++i) {
    const float step = g[i] * rate;
    m[i] = m[i] * momentum - step;
    p[i] += m[i] * momentum - step;
  }
}

void rmsprop_plain(int64_t n, float* __restrict p, const float* __restrict g, float* __restrict v,
                   const RmspropScalars& s) {
  for (int64_t i = 0; i < n; ++i) {
    v[i] = s.rho * v[i] + s.one_minus_rho * (g[i] * g[i]);
    p[i] -= s.rate * g[i] / std::sqrt(v[i] + s.epsilon);
  }
}

/// `m` and `average` may be null.
void rmsprop_full(int64_t n, float* __restrict p, const float* __restrict g, float* __restrict v,
                  float* __restrict m, float* __restrict average, const RmspropScalars& s) {
  for (int64_t i = 0; i < n; ++i) {
    v[i] = s.rho * v[i] + s.one_minus_rho * (g[i] * g[i]);
    float denominator = v[i] + s.epsilon;
    if (average) {
      average[i] = s.rho * average[i] + s.one_minus_rho * g[i];
      denominator = v[i] - average[i] * average[i] + s.epsilon;
    }
    float step = s.rate * g[i] / std::sqrt(denominator);
    if (m) step = m[i] = s.momentum * m[i] + step;
    p[i] -= step;
  }
}

void adagrad(int64_t n, float* __restrict p, const float* __restrict g, float* __restrict a,
             float rate, float epsilon) {
  for (int64_t i = 0; i < n; ++i) {
    a[i] += g[i] * g[i];
    p[i] -= rate * g[i] / std::sqrt(a[i] + epsilon);
  }
}

void adadelta(int64_t n, float* __restrict p, const float* __restrict g, float* __restrict grads,
              float* __restrict deltas, float rate, float rho, float one_minus_rho, float epsilon) {
  for (int64_t i = 0; i < n; ++i) {
    grads[i] = rho * grads[i] + one_minus_rho * (g[i] * g[i]);
    const float delta = -(std::sqrt(deltas[i] + epsilon) * g[i] / std::sqrt(grads[i] + epsilon));
    deltas[i] = rho * deltas[i] + one_minus_rho * (delta * delta);
    p[i] += rate * delta;
  }
}

void ftrl(int64_t n, float* __restrict p, const float* __restrict g, float* __restrict accumulator,
          float* __restrict linear, const FtrlScalars& s) {
  for (int64_t i = 0; i < n; ++i) {
    const float shrunk = g[i] + s.two_shrinkage * p[i];
    const float next = accumulator[i] + g[i] * g[i];
    const float next_power = std::pow(next, s.power);
    linear[i] += shrunk - (next_power - std::pow(accumulator[i], s.power)) / s.rate * p[i];
    const float quadratic = next_power / s.rate + s.two_l2;
    const float clipped = std::fmin(std::fmax(linear[i], -s.l1), s.l1);
    p[i] = (clipped - linear[i]) / quadratic;
    accumulator[i] = next;
  }
}

void lion(int64_t n, float* __restrict p, const float* __restrict g, float* __restrict m,
          float rate, float beta_1, float beta_2) {
  const float one_minus_1 = 1.0f - beta_1;
  const float one_minus_2 = 1.0f - beta_2;
  for (int64_t i = 0; i < n; ++i) {
    const float direction = m[i] * beta_1 + g[i] * one_minus_1;
    p[i] -= rate * static_cast<float>((direction > 0) - (direction < 0));
    m[i] = m[i] * beta_2 + g[i] * one_minus_2;
  }
}

void adam(int64_t n, float* __restrict p, const float* __restrict g, float* __restrict m,
          float* __restrict v, const AdamScalars& s) {
  for (int64_t i = 0; i < n; ++i) {
    m[i] += (g[i] - m[i]) * s.one_minus_beta_1;
    v[i] += (g[i] * g[i] - v[i]) * s.one_minus_beta_2;
    p[i] -= m[i] * s.rate / (std::sqrt(v[i]) + s.epsilon);
  }
}

void adam_amsgrad(int64_t n, float* __restrict p, const float* __restrict g, float* __restrict m,
                  float* __restrict v, float* __restrict v_hat, const AdamScalars& s) {
  for (int64_t i = 0; i < n; ++i) {
    m[i] += (g[i] - m[i]) * s.one_minus_beta_1;
    v[i] += (g[i] * g[i] - v[i]) * s.one_minus_beta_2;
    v_hat[i] = std::max(v_hat[i], v[i]);
    p[i] -= m[i] * s.rate / (std::sqrt(v_hat[i]) + s.epsilon);
  }
}

void adamax(int64_t n, float* __restrict p, const float* __restrict g, float* __restrict m,
            float* __restrict u, float rate, float one_minus_beta_1, float beta_2, float epsilon,
            float correction) {
  for (int64_t i = 0; i < n; ++i) {
    m[i] += (g[i] - m[i]) * one_minus_beta_1;
    u[i] = std::max(beta_2 * u[i], std::abs(g[i]));
    p[i] -= rate * m[i] / (correction * (u[i] + epsilon));
  }
}

void nadam(int64_t n, float* __restrict p, const float* __restrict g, float* __restrict m,
           float* __restrict v, const NadamScalars& s) {
  for (int64_t i = 0; i < n; ++i) {
    m[i] += (g[i] - m[i]) * s.one_minus_beta_1;
    v[i] += (g[i] * g[i] - v[i]) * s.one_minus_beta_2;
    const float m_hat = s.momentum_weight * m[i] / s.momentum_correction +
                        s.gradient_weight * g[i] / s.gradient_correction;
    const float v_hat = v[i] / s.velocity_correction;
    p[i] -= m_hat * s.rate / (std::sqrt(v_hat) + s.epsilon);
  }
}

}  // namespace ew::train::kernels
