#pragma once
// The inner loops of the optimizers: n parameters p, their gradients g and slots, which must not
// overlap, and the scalars of the step. Float32 in Keras' order of operations. Internal to train.

#include <cstdint>

namespace ew::train::kernels {

struct RmspropScalars {
  float rate, rho, one_minus_rho, momentum, epsilon;
};

struct FtrlScalars {
  float rate, power, l1, two_l2, two_shrinkage;
};

struct AdamScalars {
  float rate;  ///< with both bias corrections
  float one_minus_beta_1, one_minus_beta_2, epsilon;
};

struct NadamScalars {
  float rate;
  float one_minus_beta_1, one_minus_beta_2, epsilon;
  float momentum_weight, momentum_correction;  ///< of the next step
  float gradient_weight, gradient_correction;  ///< of this one
  float velocity_correction;
};

/// p -= rate g
void sgd_plain(int64_t n, float* p, const float* g, float rate);
/// m = momentum m - rate g; p += m
void sgd_momentum(int64_t n, float* p, const float* g, float* m, float rate, float momentum);
/// m as above; p += momentum m - rate g
void sgd_nesterov(int64_t n, float* p, const float* g, float* m, float rate, float momentum);
/// v = rho v + (1 - rho) g^2; p -= rate g / sqrt(v + epsilon)
void rmsprop_plain(int64_t n, float* p, const float* g, float* v, const RmspropScalars& s);
/// With momentum and centred; `m` and `average` may be null.
void rmsprop_full(int64_t n, float* p, const float* g, float* v, float* m, float* average,
                  const RmspropScalars& s);
/// a += g^2; p -= rate g / sqrt(a + epsilon)
void adagrad(int64_t n, float* p, const float* g, float* a, float rate, float epsilon);
/// Steps scaled by the ratio of the running sizes of updates and gradients.
void adadelta(int64_t n, float* p, const float* g, float* grads, float* deltas, float rate,
              float rho, float one_minus_rho, float epsilon);
/// McMahan et al., "Ad Click Prediction", 2013, with Keras' shrinkage.
void ftrl(int64_t n, float* p, const float* g, float* accumulator, float* linear,
          const FtrlScalars& s);
/// p -= rate sign(beta_1 m + (1 - beta_1) g); Chen et al., 2023.
void lion(int64_t n, float* p, const float* g, float* m, float rate, float beta_1, float beta_2);
/// Kingma and Ba, 2014.
void adam(int64_t n, float* p, const float* g, float* m, float* v, const AdamScalars& s);
/// With the highest v so far; Reddi et al., 2018.
void adam_amsgrad(int64_t n, float* p, const float* g, float* m, float* v, float* v_hat,
                  const AdamScalars& s);
/// Adam with the infinity norm.
void adamax(int64_t n, float* p, const float* g, float* m, float* u, float rate,
            float one_minus_beta_1, float beta_2, float epsilon, float correction);
/// Adam with Nesterov momentum; Dozat, 2015.
void nadam(int64_t n, float* p, const float* g, float* m, float* v, const NadamScalars& s);

}  // namespace ew::train::kernels
