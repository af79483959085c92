#pragma once
// Optimiser updates. No fma() here: every operation rounds as Keras's does.

#include "runtime/kernels/io.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/optimizer.h"

namespace ew::kernels::EW_TARGET {

inline void adam(const AdamArgs& a, ThreadPool* pool) {
  const Vec alpha = set1(a.alpha);
  const Vec rate1 = set1(a.one_minus_beta1);
  const Vec rate2 = set1(a.one_minus_beta2);
  const Vec epsilon = set1(a.epsilon);
  parallel_vectors(pool, a.n, [&](int64_t i, const auto& io) {
    const Vec g = io.load(a.gradients + i);
    Vec m = io.load(a.m + i);
    m = m + (g - m) * rate1;
    io.store(a.m + i, m);
    Vec v = io.load(a.v + i);
    v = v + (g * g - v) * rate2;
    io.store(a.v + i, v);
    if (a.v_max != nullptr) {
      v = max(io.load(a.v_max + i), v);
      io.store(a.v_max + i, v);
    }
    io.store(a.parameters + i, io.load(a.parameters + i) - m * alpha / (sqrt(v) + epsilon));
  });
}

inline void sgd(const SgdArgs& a, ThreadPool* pool) {
  const Vec rate = set1(a.rate);
  const Vec momentum = set1(a.momentum);
  parallel_vectors(pool, a.n, [&](int64_t i, const auto& io) {
    const Vec step = io.load(a.gradients + i) * rate;
    const Vec p = io.load(a.parameters + i);
    if (a.velocity == nullptr) {
      io.store(a.parameters + i, p - step);
      return;
    }
    const Vec velocity = io.load(a.velocity + i) * momentum - step;
    io.store(a.velocity + i, velocity);
    io.store(a.parameters + i, p + (a.nesterov ? velocity * momentum - step : velocity));
  });
}

inline void rmsprop(const RmspropArgs& a, ThreadPool* pool) {
  const Vec rate = set1(a.rate);
  const Vec rho = set1(a.rho);
  const Vec one_minus_rho = set1(a.one_minus_rho);
  const Vec epsilon = set1(a.epsilon);
  const Vec momentum = set1(a.momentum);
  parallel_vectors(pool, a.n, [&](int64_t i, const auto& io) {
    const Vec g = io.load(a.gradients + i);
    const Vec v = rho * io.load(a.v + i) + one_minus_rho * (g * g);
    io.store(a.v + i, v);
    Vec denominator = v;
    if (a.mean != nullptr) {
      const Vec mean = rho * io.load(a.mean + i) + one_minus_rho * g;
      io.store(a.mean + i, mean);
      denominator = v - mean * mean;
    }
    Vec step = rate * g / sqrt(denominator + epsilon);
    if (a.velocity != nullptr) {
      step = momentum * io.load(a.velocity + i) + step;
      io.store(a.velocity + i, step);
    }
    io.store(a.parameters + i, io.load(a.parameters + i) - step);
  });
}

}  // namespace ew::kernels::EW_TARGET
