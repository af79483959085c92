#include <algorithm>

#include "runtime/kernels/kernel_testing.h"

namespace ew::kernels {
namespace {

double relative_error(float got, double want) {
  return std::fabs(static_cast<double>(got) - want) / std::max(std::fabs(want), 1e-37);
}

/// Every float's neighbourhood in [-range, range], about `count` of them, in random order of lanes.
std::vector<float> sweep(float range, int64_t count) {
  auto x = random_floats(count, 5, -range, range);
  const auto small = random_floats(count, 6, -1, 1);
  x.insert(x.end(), small.begin(), small.end());
  for (float tiny = 1e-30F; tiny < 1; tiny *= 3) x.push_back(-tiny);
  return x;
}

TEST_CASE("exp, sigmoid and tanh: relative error below 2e-7 over the whole range") {
  for (const CpuTarget target : targets()) {
    INFO(std::string(to_string(target)));
    const KernelTable& k = kernels(target);
    const auto x = sweep(87.F, 200'000);
    const auto n = static_cast<int64_t>(x.size());
    double exp_error = 0;
    double sigmoid_error = 0;
    double tanh_error = 0;
    auto y = unwritten(n);
    k.exp(n, x.data(), y.data(), nullptr);
    for (size_t i = 0; i < x.size(); ++i) {
      exp_error = std::max(exp_error, relative_error(y[i], std::exp(static_cast<double>(x[i]))));
    }
    k.sigmoid(n, x.data(), y.data(), nullptr);
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = 1 / (1 + std::exp(-static_cast<double>(x[i])));
      sigmoid_error = std::max(sigmoid_error, relative_error(y[i], want));
    }
    const auto narrow = sweep(9.F, 200'000);
    k.tanh(n, narrow.data(), y.data(), nullptr);
    for (size_t i = 0; i < x.size(); ++i) {
      tanh_error =
          std::max(tanh_error, relative_error(y[i], std::tanh(static_cast<double>(narrow[i]))));
    }
    CAPTURE(exp_error);
    CAPTURE(sigmoid_error);
    CAPTURE(tanh_error);
    CHECK(exp_error < 2e-7);
    CHECK(sigmoid_error < 2e-7);
    CHECK(tanh_error < 2e-7);
  }
}

TEST_CASE("named functions: plain formulas for every tail") {
  struct Row {
    Unary f;
    double (*want)(double x);
    double tolerance;  // relative to 1 + |x|
  };
  // alpha 0.25, beta 0.5; one rounding or two where nothing transcendental happens.
  const std::vector<Row> rows{
      {Unary::kAbs, [](double x) { return std::fabs(x); }, 0},
      {Unary::kClip, [](double x) { return std::min(std::max(x, 0.25), 0.5); }, 0},
      {Unary::kHardSigmoid, [](double x) { return std::min(std::max(0.25 * x + 0.5, 0.), 1.); },
       1e-7},
      {Unary::kHardSilu, [](double x) { return x * std::min(std::max(x + 3, 0.), 6.) / 6; }, 2e-7},
      {Unary::kLeakyRelu, [](double x) { return x > 0 ? x : 0.25 * x; }, 0},
      {Unary::kNeg, [](double x) { return -x; }, 0},
      {Unary::kSilu, [](double x) { return x / (1 + std::exp(-x)); }, 3e-7},
      {Unary::kSqrt, [](double x) { return std::sqrt(x); }, 1e-7},
      {Unary::kSquare, [](double x) { return x * x; }, 1e-6},
      {Unary::kGeluTanh,
       [](double x) {
         return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
       },
       4e-7}};
  for (const CpuTarget target : targets()) {
    INFO(std::string(to_string(target)));
    const KernelTable& k = kernels(target);
    for (const Row& row : rows) {
      CAPTURE(static_cast<int>(row.f));
      for (int64_t n = 1; n <= 40; ++n) {
        const auto x = random_floats(n, 7, row.f == Unary::kSqrt ? 0.F : -9.F, 9.F);
        auto y = unwritten(n);
        k.unary(row.f, n, x.data(), 0.25F, 0.5F, y.data(), nullptr);
        for (size_t i = 0; i < x.size(); ++i) {
          const double v = x[i];
          CHECK(std::fabs(static_cast<double>(y[i]) - row.want(v)) <=
                row.tolerance * (1 + std::fabs(v)));
        }
      }
    }
  }
}

TEST_CASE("binary functions: whole, row and scalar operands on either side, for every tail") {
  ThreadPool pool(kThreads);
  const auto want = [](Binary f, float a, float b) {
    switch (f) {
      case Binary::kDiv:
        return a / b;
      case Binary::kMaximum:
        return a > b ? a : b;
      case Binary::kMinimum:
        return a < b ? a : b;
      case Binary::kSub:
        break;
    }
    return a - b;
  };
  const auto at = [](Spread spread, int64_t i, int64_t n) {
    return static_cast<size_t>(spread == Spread::kSame ? i : spread == Spread::kRow ? i % n : 0);
  };
  for (const CpuTarget target : targets()) {
    for (const Binary f : {Binary::kDiv, Binary::kMaximum, Binary::kMinimum, Binary::kSub}) {
      for (const Spread left : {Spread::kSame, Spread::kRow, Spread::kScalar}) {
        for (const Spread right : {Spread::kSame, Spread::kRow, Spread::kScalar}) {
          for (const int64_t rows : {1, 3, 700}) {
            for (const int64_t n : {1, 5, 16, 37}) {
              const auto a = random_floats(rows * n, 1, 1, 2);
              const auto b = random_floats(rows * n, 2, 1, 2);
              auto y = unwritten(rows * n);
              kernels(target).binary(f, rows, n, {a.data(), left}, {b.data(), right}, y.data(),
                                     &pool);
              bool is_same = true;
              for (int64_t i = 0; i < rows * n; ++i) {
                is_same &=
                    y[static_cast<size_t>(i)] == want(f, a[at(left, i, n)], b[at(right, i, n)]);
              }
              CHECK(is_same);
            }
          }
        }
      }
    }
  }
}

TEST_CASE("exp, sigmoid and tanh: limits and NaN") {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x{0, -inf, inf, -1000, 1000, 88.7F, -88, nan};
  for (const CpuTarget target : targets()) {
    INFO(std::string(to_string(target)));
    const KernelTable& k = kernels(target);
    std::vector<float> y(x.size());
    const auto n = static_cast<int64_t>(x.size());
    k.exp(n, x.data(), y.data(), nullptr);
    CHECK(y[0] == 1);
    CHECK(y[1] == 0);
    CHECK(y[2] == inf);
    CHECK(y[3] == 0);
    CHECK(y[4] == inf);
    CHECK(relative_error(y[5], std::exp(static_cast<double>(x[5]))) < 2e-7);
    CHECK(y[6] == 0);
    CHECK(std::isnan(y[7]));
    k.sigmoid(n, x.data(), y.data(), nullptr);
    CHECK(y[0] == 0.5F);
    CHECK(y[1] == 0);
    CHECK(y[2] == 1);
    CHECK(y[3] == 0);
    CHECK(std::isnan(y[7]));
    k.tanh(n, x.data(), y.data(), nullptr);
    CHECK(y[0] == 0);
    CHECK(y[1] == -1);
    CHECK(y[2] == 1);
    CHECK(y[3] == -1);
    CHECK(std::isnan(y[7]));
  }
}

TEST_CASE("elementwise: arithmetic rounds as plain f32 does, for every tail and in place") {
  ThreadPool pool(kThreads);
  for (const CpuTarget target : targets()) {
    INFO(std::string(to_string(target)));
    const KernelTable& k = kernels(target);
    for (const int64_t n : {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 40'000}) {
      const auto a = random_floats(n, 1);
      const auto b = random_floats(n, 2);
      const auto expect = [&](const std::vector<float>& got, const auto& f) {
        std::vector<float> want(a.size());
        for (size_t i = 0; i < a.size(); ++i) want[i] = f(a[i], b[i]);
        CHECK(same_bits(got, want));
      };
      auto y = a;
      k.add(n, y.data(), b.data(), {0, 0.5F}, y.data(), &pool);
      expect(y, [](float u, float v) { return std::min(std::max(u + v, 0.F), 0.5F); });
      y = a;
      k.binary(Binary::kSub, 1, n, {y.data()}, {b.data()}, y.data(), nullptr);
      expect(y, [](float u, float v) { return u - v; });
      k.mul(n, a.data(), b.data(), y.data(), &pool);
      expect(y, [](float u, float v) { return u * v; });
      k.affine(n, a.data(), 1.1F, 0.3F, y.data(), nullptr);
      expect(y, [](float u, float) {
        const volatile float product = u * 1.1F;
        return product + 0.3F;
      });
      y = a;
      k.add_scaled(n, b.data(), 0.7F, y.data(), nullptr);
      expect(y, [](float u, float v) {
        const volatile float product = v * 0.7F;
        return u + product;
      });
      k.clamp(n, a.data(), {0}, y.data(), nullptr);
      expect(y, [](float u, float) { return std::max(u, 0.F); });
      k.clamp_grad(n, a.data(), b.data(), {0, 0.5F}, y.data(), nullptr);
      expect(y, [](float u, float v) { return u > 0 && u < 0.5F ? v : 0.F; });
      k.tanh_grad(n, a.data(), b.data(), y.data(), nullptr);
      expect(y, [](float u, float v) {
        const volatile float square = u * u;
        return v * (1 - square);
      });
      k.sigmoid_grad(n, a.data(), b.data(), y.data(), nullptr);
      expect(y, [](float u, float v) { return v * u * (1 - u); });
    }
  }
}

TEST_CASE("softmax, log_softmax, their gradient and add_row agree with plain loops") {
  ThreadPool pool(kThreads);
  for (const CpuTarget target : targets()) {
    INFO(std::string(to_string(target)));
    const KernelTable& k = kernels(target);
    for (int64_t n = 1; n <= 1000; n = n < 36 ? n + 1 : n * 3) {
      CAPTURE(n);
      const int64_t rows = 5;
      const auto x = random_floats(rows * n, 1, -20, 20);
      const auto dy = random_floats(rows * n, 2);
      auto y = unwritten(rows * n);
      auto log_y = unwritten(rows * n);
      auto dx = unwritten(rows * n);
      auto shifted = unwritten(rows * n);
      k.softmax(rows, n, x.data(), y.data(), &pool);
      k.log_softmax(rows, n, x.data(), log_y.data(), &pool);
      k.softmax_grad(rows, n, y.data(), dy.data(), dx.data(), &pool);
      k.add_row(rows, n, x.data(), dy.data(), {-3, 3}, shifted.data(), &pool);
      for (int64_t r = 0; r < rows; ++r) {
        const auto at = [&](int64_t i) { return static_cast<size_t>(r * n + i); };
        float top = -1e30F;
        double total = 0;
        double dot = 0;
        for (int64_t i = 0; i < n; ++i) top = std::max(top, x[at(i)]);
        for (int64_t i = 0; i < n; ++i) total += std::exp(static_cast<double>(x[at(i)] - top));
        for (int64_t i = 0; i < n; ++i) {
          dot += static_cast<double>(y[at(i)]) * static_cast<double>(dy[at(i)]);
        }
        double worst = 0;
        for (int64_t i = 0; i < n; ++i) {
          // The subtraction is meant to round to f32, here as there.
          const double z = static_cast<double>(x[at(i)] - top);
          worst = std::max(worst, relative_error(y[at(i)], std::exp(z) / total));
          worst =
              std::max(worst, std::fabs(static_cast<double>(log_y[at(i)]) - z + std::log(total)) /
                                  (1 + std::fabs(z)));
          const double want =
              static_cast<double>(y[at(i)]) * (static_cast<double>(dy[at(i)]) - dot);
          worst = std::max(worst, std::fabs(static_cast<double>(dx[at(i)]) - want));
          CHECK(shifted[at(i)] ==
                std::min(std::max(x[at(i)] + dy[static_cast<size_t>(i)], -3.F), 3.F));
        }
        CHECK(worst < 1e-6);
      }
    }
  }
}

TEST_CASE("softmax: large inputs neither overflow nor lose the sum") {
  for (const CpuTarget target : targets()) {
    std::vector<float> y(3);
    const std::vector<float> x{1e30F, 1e30F, -1e30F};
    kernels(target).softmax(1, 3, x.data(), y.data(), nullptr);
    CHECK(y == std::vector<float>{0.5F, 0.5F, 0});
  }
}

TEST_CASE("sum and sum_of_squares: agree with double") {
  for (const CpuTarget target : targets()) {
    for (const int64_t n : {0, 1, 5, 17, 4096, 100'001}) {
      const auto x = random_floats(n, 1);
      Sum sum;
      Sum squares;
      for (const float v : x) {
        sum.add(static_cast<double>(v));
        squares.add(static_cast<double>(v) * static_cast<double>(v));
      }
      CHECK(std::fabs(kernels(target).sum(n, x.data()) - sum.value) <= kTolerance * sum.magnitude);
      CHECK(std::fabs(kernels(target).sum_of_squares(n, x.data()) - squares.value) <=
            kTolerance * squares.magnitude);
    }
  }
}

}  // namespace
}  // namespace ew::kernels
