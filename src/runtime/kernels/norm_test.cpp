#include "runtime/kernels/kernel_testing.h"

namespace ew::kernels {
namespace {

struct Case {
  int64_t rows, channels;
  Clamp clamp{};
  float offset = 0;  // added to x: a large mean must not spoil the variance
  bool affine = true;
};

struct Reference {
  std::vector<double> mean, variance, inv_std, y, dx, dgamma, dbeta;
};

Reference reference(const Case& s, const std::vector<float>& x, const std::vector<float>& gamma,
                    const std::vector<float>& beta, const std::vector<float>& dy, double epsilon) {
  const auto rows = static_cast<size_t>(s.rows);
  const auto c = static_cast<size_t>(s.channels);
  Reference r{std::vector<double>(c),        std::vector<double>(c),        std::vector<double>(c),
              std::vector<double>(x.size()), std::vector<double>(x.size()), std::vector<double>(c),
              std::vector<double>(c)};
  const auto n = static_cast<double>(rows);
  for (size_t j = 0; j < c; ++j) {
    for (size_t i = 0; i < rows; ++i) r.mean[j] += static_cast<double>(x[i * c + j]) / n;
    for (size_t i = 0; i < rows; ++i) {
      const double d = static_cast<double>(x[i * c + j]) - r.mean[j];
      r.variance[j] += d * d / n;
    }
    r.inv_std[j] = 1 / std::sqrt(r.variance[j] + epsilon);
    const double g = s.affine ? static_cast<double>(gamma[j]) : 1;
    const double b = s.affine ? static_cast<double>(beta[j]) : 0;
    std::vector<double> passed(rows);
    for (size_t i = 0; i < rows; ++i) {
      const double normal = (static_cast<double>(x[i * c + j]) - r.mean[j]) * r.inv_std[j];
      const double y = normal * g + b;
      r.y[i * c + j] =
          std::min(std::max(y, static_cast<double>(s.clamp.lo)), static_cast<double>(s.clamp.hi));
      const bool flows = y > static_cast<double>(s.clamp.lo) && y < static_cast<double>(s.clamp.hi);
      passed[i] = flows ? static_cast<double>(dy[i * c + j]) : 0;
      r.dbeta[j] += passed[i];
      r.dgamma[j] += passed[i] * normal;
    }
    for (size_t i = 0; i < rows; ++i) {
      const double normal = (static_cast<double>(x[i * c + j]) - r.mean[j]) * r.inv_std[j];
      r.dx[i * c + j] = g * r.inv_std[j] * (passed[i] - r.dbeta[j] / n - normal * r.dgamma[j] / n);
    }
  }
  return r;
}

double worst(const std::vector<float>& got, const std::vector<double>& want, double scale) {
  std::vector<Sum> sums(want.size());
  for (size_t i = 0; i < want.size(); ++i) sums[i] = {want[i], std::fabs(want[i]) + scale};
  return worst_error(got, sums);
}

void check(const Case& s, ThreadPool& pool) {
  CAPTURE(s.rows);
  CAPTURE(s.channels);
  CAPTURE(s.offset);
  const int64_t size = s.rows * s.channels;
  const auto x = random_floats(size, 1, s.offset - 1, s.offset + 1);
  const auto dy = random_floats(size, 2);
  const auto gamma = random_floats(s.channels, 3, 0.5F, 1.5F);
  const auto beta = random_floats(s.channels, 4);
  const float epsilon = 1e-3F;
  const Reference want = reference(s, x, gamma, beta, dy, static_cast<double>(epsilon));
  // y loses what x lost by being far from 0: one rounding of x * scale.
  const double tolerance = 2e-6 * (1 + std::fabs(static_cast<double>(s.offset)));
  for (const CpuTarget target : targets()) {
    INFO(std::string(to_string(target)));
    const KernelTable& k = kernels(target);
    Workspace workspace(k.batch_norm_workspace_bytes(s.rows, s.channels));
    std::vector<std::vector<float>> single;
    for (ThreadPool* p : {static_cast<ThreadPool*>(nullptr), &pool}) {
      auto y = unwritten(size);
      auto mean = unwritten(s.channels);
      auto inv_std = unwritten(s.channels);
      auto variance = unwritten(s.channels);
      auto dx = dy;
      auto dgamma = unwritten(s.channels);
      auto dbeta = unwritten(s.channels);
      k.batch_norm({.rows = s.rows,
                    .channels = s.channels,
                    .x = x.data(),
                    .gamma = s.affine ? gamma.data() : nullptr,
                    .beta = s.affine ? beta.data() : nullptr,
                    .epsilon = epsilon,
                    .clamp = s.clamp,
                    .y = y.data(),
                    .mean = mean.data(),
                    .inv_std = inv_std.data(),
                    .variance = variance.data()},
                   workspace.get(), p);
      k.batch_norm_grad({.rows = s.rows,
                         .channels = s.channels,
                         .x = x.data(),
                         .gamma = s.affine ? gamma.data() : nullptr,
                         .beta = s.affine ? beta.data() : nullptr,
                         .mean = mean.data(),
                         .inv_std = inv_std.data(),
                         .clamp = s.clamp,
                         .dy = dx.data(),
                         .dx = dx.data(),
                         .dgamma = dgamma.data(),
                         .dbeta = dbeta.data()},
                        workspace.get(), p);
      if (p == nullptr) {
        const auto n = static_cast<double>(s.rows);
        CHECK(worst(mean, want.mean, 1) < 1e-6);
        CHECK(worst(variance, want.variance, 0) < 2e-6);
        CHECK(worst(inv_std, want.inv_std, 0) < 2e-6);
        CHECK(worst(y, want.y, 1) < tolerance);
        CHECK(worst(dgamma, want.dgamma, std::sqrt(n)) < tolerance);
        CHECK(worst(dbeta, want.dbeta, std::sqrt(n)) < tolerance);
        CHECK(worst(dx, want.dx, 1) < tolerance);
        single = {y, mean, inv_std, variance, dx, dgamma, dbeta};
      } else {
        CHECK(same_bits(y, single[0]));
        CHECK(same_bits(dx, single[4]));
        CHECK(same_bits(dgamma, single[5]));
        CHECK(same_bits(dbeta, single[6]));
      }
    }
  }
}

TEST_CASE("batch_norm: forward and backward agree with double for every channel tail") {
  ThreadPool pool(kThreads);
  for (int64_t c = 1; c <= 33; ++c) check({.rows = 29, .channels = c}, pool);
  for (const int64_t c : {64, 65, 100, 200}) check({.rows = 500, .channels = c}, pool);
  check({.rows = 8000, .channels = 16}, pool);
  check({.rows = 1000, .channels = 7, .affine = false}, pool);
}

TEST_CASE("batch_norm: a fused clamp stops the gradient where it was active") {
  ThreadPool pool(kThreads);
  for (const Clamp clamp : {Clamp{0}, Clamp{0, 0.75F}}) {
    check({.rows = 77, .channels = 19, .clamp = clamp}, pool);
    check({.rows = 4000, .channels = 64, .clamp = clamp}, pool);
  }
}

TEST_CASE("batch_norm: a mean a thousand times the deviation keeps the variance exact") {
  ThreadPool pool(kThreads);
  check({.rows = 5000, .channels = 20, .offset = 1000}, pool);
}

TEST_CASE("scale_shift: agrees with plain loops in place") {
  for (const CpuTarget target : targets()) {
    for (int64_t c = 1; c <= 70; ++c) {
      const auto scale = random_floats(c, 1);
      const auto shift = random_floats(c, 2);
      auto x = random_floats(13 * c, 3);
      std::vector<Sum> want(x.size());
      for (size_t i = 0; i < x.size(); ++i) {
        const size_t j = i % static_cast<size_t>(c);
        want[i].add(static_cast<double>(x[i]) * static_cast<double>(scale[j]));
        want[i].add(static_cast<double>(shift[j]));
        want[i] = clamped(want[i], {0, 1});
      }
      kernels(target).scale_shift({.rows = 13,
                                   .channels = c,
                                   .x = x.data(),
                                   .scale = scale.data(),
                                   .shift = shift.data(),
                                   .clamp = {0, 1},
                                   .y = x.data()},
                                  nullptr);
      CHECK(worst_error(x, want) < kTolerance);
    }
  }
}

TEST_CASE("column_sums: agrees with plain loops and accumulates") {
  ThreadPool pool(kThreads);
  for (const CpuTarget target : targets()) {
    const KernelTable& k = kernels(target);
    for (const int64_t rows : {0, 1, 3, 32, 5000}) {
      for (int64_t n = 1; n <= 70; n += n < 20 ? 1 : 7) {
        for (const bool accumulate : {false, true}) {
          const auto x = random_floats(rows * n, 1);
          const auto before = random_floats(n, 2);
          std::vector<Sum> want(before.size());
          for (size_t j = 0; j < want.size(); ++j) {
            if (accumulate) want[j].add(static_cast<double>(before[j]));
          }
          for (size_t i = 0; i < x.size(); ++i) {
            want[i % want.size()].add(static_cast<double>(x[i]));
          }
          auto out = before;
          auto threaded = before;
          Workspace workspace(k.column_sums_workspace_bytes(rows, n));
          k.column_sums(rows, n, x.data(), accumulate, out.data(), workspace.get(), nullptr);
          k.column_sums(rows, n, x.data(), accumulate, threaded.data(), workspace.get(), &pool);
          CHECK(worst_error(out, want) < kTolerance);
          CHECK(same_bits(out, threaded));
        }
      }
    }
  }
}

}  // namespace
}  // namespace ew::kernels
