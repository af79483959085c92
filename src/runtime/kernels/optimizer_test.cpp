#include "runtime/kernels/kernel_testing.h"

namespace ew::kernels {
namespace {

// The references below store every intermediate result as f32, so no compiler may fuse or widen it.
float times(float a, float b) {
  const volatile float product = a * b;
  return product;
}

struct State {
  std::vector<float> p, a, b, c;
};

State start(int64_t n) {
  return {random_floats(n, 1), random_floats(n, 2), random_floats(n, 3, 0, 1),
          random_floats(n, 4, 0, 1)};
}

constexpr int64_t kSizes[] = {0, 1, 3, 7, 8, 15, 16, 17, 33, 20'000};

TEST_CASE("adam: the same bits as the formula in f32, with and without AMSGrad") {
  ThreadPool pool(kThreads);
  for (const CpuTarget target : targets()) {
    for (const int64_t n : kSizes) {
      for (const bool amsgrad : {false, true}) {
        const auto g = random_floats(n, 9);
        State want = start(n);
        State got = want;
        AdamArgs args{.n = n,
                      .parameters = got.p.data(),
                      .gradients = g.data(),
                      .m = got.a.data(),
                      .v = got.b.data(),
                      .v_max = amsgrad ? got.c.data() : nullptr,
                      .alpha = 0.003F,
                      .one_minus_beta1 = 0.1F,
                      .one_minus_beta2 = 0.001F,
                      .epsilon = 1e-7F};
        kernels(target).adam(args, &pool);
        for (size_t i = 0; i < g.size(); ++i) {
          want.a[i] += times(g[i] - want.a[i], args.one_minus_beta1);
          want.b[i] += times(times(g[i], g[i]) - want.b[i], args.one_minus_beta2);
          float v = want.b[i];
          if (amsgrad) v = want.c[i] = std::max(want.c[i], v);
          want.p[i] -= times(want.a[i], args.alpha) / (std::sqrt(v) + args.epsilon);
        }
        CHECK(same_bits(got.p, want.p));
        CHECK(same_bits(got.a, want.a));
        CHECK(same_bits(got.b, want.b));
        CHECK(same_bits(got.c, want.c));
      }
    }
  }
}

TEST_CASE("sgd: the same bits as the formula in f32, plain, with momentum and Nesterov") {
  for (const CpuTarget target : targets()) {
    for (const int64_t n : kSizes) {
      for (const int kind : {0, 1, 2}) {
        const auto g = random_floats(n, 9);
        State want = start(n);
        State got = want;
        const SgdArgs args{.n = n,
                           .parameters = got.p.data(),
                           .gradients = g.data(),
                           .velocity = kind == 0 ? nullptr : got.a.data(),
                           .rate = 0.01F,
                           .momentum = 0.9F,
                           .nesterov = kind == 2};
        kernels(target).sgd(args, nullptr);
        for (size_t i = 0; i < g.size(); ++i) {
          const float step = times(g[i], args.rate);
          if (kind == 0) {
            want.p[i] -= step;
            continue;
          }
          want.a[i] = times(want.a[i], args.momentum) - step;
          want.p[i] += kind == 2 ? times(want.a[i], args.momentum) - step : want.a[i];
        }
        CHECK(same_bits(got.p, want.p));
        CHECK(same_bits(got.a, want.a));
      }
    }
  }
}

TEST_CASE("rmsprop: the same bits as the formula in f32, centred and with momentum") {
  for (const CpuTarget target : targets()) {
    for (const int64_t n : kSizes) {
      for (const bool centred : {false, true}) {
        for (const bool momentum : {false, true}) {
          const auto g = random_floats(n, 9);
          State want = start(n);
          for (float& mean : want.a) mean = times(mean, 0.01F);  // keeps v - mean^2 positive
          for (float& v : want.b) v += 1;
          State got = want;
          const RmspropArgs args{.n = n,
                                 .parameters = got.p.data(),
                                 .gradients = g.data(),
                                 .v = got.b.data(),
                                 .mean = centred ? got.a.data() : nullptr,
                                 .velocity = momentum ? got.c.data() : nullptr,
                                 .rate = 0.01F,
                                 .rho = 0.9F,
                                 .one_minus_rho = 0.1F,
                                 .epsilon = 1e-7F,
                                 .momentum = 0.5F};
          kernels(target).rmsprop(args, nullptr);
          for (size_t i = 0; i < g.size(); ++i) {
            want.b[i] = times(args.rho, want.b[i]) + times(args.one_minus_rho, times(g[i], g[i]));
            float d = want.b[i];
            if (centred) {
              want.a[i] = times(args.rho, want.a[i]) + times(args.one_minus_rho, g[i]);
              d -= times(want.a[i], want.a[i]);
            }
            float step = times(args.rate, g[i]) / std::sqrt(d + args.epsilon);
            if (momentum) step = want.c[i] = times(args.momentum, want.c[i]) + step;
            want.p[i] -= step;
          }
          CHECK(same_bits(got.p, want.p));
          CHECK(same_bits(got.a, want.a));
          CHECK(same_bits(got.b, want.b));
          CHECK(same_bits(got.c, want.c));
        }
      }
    }
  }
}

}  // namespace
}  // namespace ew::kernels
