#include "runtime/kernels/kernel_testing.h"

namespace ew::kernels {
namespace {

struct Case {
  int64_t m, n, k;
  bool ta = false, tb = false, bias = false, accumulate = false;
  Clamp clamp{};
  int64_t extra = 0;  // added to the row strides
};

void check(const Case& s, ThreadPool& pool) {
  CAPTURE(s.m);
  CAPTURE(s.n);
  CAPTURE(s.k);
  CAPTURE(s.ta);
  CAPTURE(s.tb);
  const int64_t lda = (s.ta ? s.m : s.k) + s.extra;
  const int64_t ldb = (s.tb ? s.k : s.n) + s.extra;
  const int64_t ldc = s.n + s.extra;
  const auto a = random_floats((s.ta ? s.k : s.m) * lda, 1);
  const auto b = random_floats((s.tb ? s.n : s.k) * ldb, 2);
  const auto bias = random_floats(s.n, 3);
  const auto before = random_floats(s.m * ldc, 4);
  std::vector<Sum> want(before.size());
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < ldc; ++j) {
      const auto at = static_cast<size_t>(i * ldc + j);
      want[at].value = before[at];
      if (j >= s.n) continue;  // between the rows: must stay
      Sum sum;
      if (s.accumulate) sum.add(before[at]);
      if (s.bias) sum.add(bias[static_cast<size_t>(j)]);
      for (int64_t k = 0; k < s.k; ++k) {
        sum.add(static_cast<double>(a[static_cast<size_t>(s.ta ? k * lda + i : i * lda + k)]) *
                static_cast<double>(b[static_cast<size_t>(s.tb ? j * ldb + k : k * ldb + j)]));
      }
      want[at] = clamped(sum, s.clamp);
    }
  }
  for (const CpuTarget target : targets()) {
    INFO(std::string(to_string(target)));
    const KernelTable& table = kernels(target);
    auto c = before;
    GemmArgs g{.m = s.m,
               .n = s.n,
               .k = s.k,
               .a = a.data(),
               .lda = lda,
               .transpose_a = s.ta,
               .b = b.data(),
               .ldb = ldb,
               .transpose_b = s.tb,
               .c = c.data(),
               .ldc = ldc,
               .bias = s.bias ? bias.data() : nullptr,
               .accumulate = s.accumulate,
               .clamp = s.clamp};
    Workspace workspace(table.gemm_workspace_bytes(g, kThreads));
    table.gemm(g, workspace.get(), nullptr);
    CHECK(worst_error(c, want) < kTolerance);
    auto threaded = before;
    g.c = threaded.data();
    table.gemm(g, workspace.get(), &pool);
    CHECK(same_bits(c, threaded));
    std::vector<float> packed(table.gemm_packed_bytes(g) / sizeof(float));
    table.gemm_pack(g, packed.data());
    auto again = before;
    GemmArgs p = g;
    p.b = packed.data();
    p.is_packed = true;
    p.c = again.data();
    table.gemm(p, nullptr, &pool);
    CHECK(same_bits(c, again));
  }
}

TEST_CASE("gemm: every transposition agrees with plain loops for all small sizes") {
  ThreadPool pool(kThreads);
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      for (int64_t n = 1; n <= 70; n += n < 34 ? 1 : 9) {
        check({.m = 7, .n = n, .k = 5, .ta = ta, .tb = tb}, pool);
      }
      for (int64_t m = 1; m <= 40; ++m) check({.m = m, .n = 17, .k = 9, .ta = ta, .tb = tb}, pool);
      for (int64_t k = 0; k <= 20; ++k) check({.m = 6, .n = 20, .k = k, .ta = ta, .tb = tb}, pool);
    }
  }
}

TEST_CASE("gemm: blocks of long reductions and wide matrices agree with plain loops") {
  ThreadPool pool(kThreads);
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      check({.m = 33, .n = 65, .k = 777, .ta = ta, .tb = tb, .bias = true}, pool);
      check({.m = 200, .n = 300, .k = 40, .ta = ta, .tb = tb, .accumulate = true}, pool);
      check({.m = 1, .n = 130, .k = 600, .ta = ta, .tb = tb, .bias = true}, pool);
    }
  }
}

TEST_CASE("gemm: bias, accumulation, clamp and row strides combine") {
  ThreadPool pool(kThreads);
  for (const bool bias : {false, true}) {
    for (const bool accumulate : {false, true}) {
      for (const Clamp clamp : {Clamp{}, Clamp{0}, Clamp{-0.25F, 0.5F}}) {
        for (const int64_t n : {3, 16, 37}) {
          check({.m = 19,
                 .n = n,
                 .k = 300,
                 .bias = bias,
                 .accumulate = accumulate,
                 .clamp = clamp,
                 .extra = 3},
                pool);
        }
      }
    }
  }
}

TEST_CASE("gemm: halves give the bits of the floats they stand for, for every tail") {
  ThreadPool pool(kThreads);
  for (const CpuTarget target : targets()) {
    INFO(std::string(to_string(target)));
    const KernelTable& k = kernels(target);
    for (const HalfType type : {HalfType::kF16, HalfType::kBF16}) {
      for (int64_t n = 1; n <= 70; n += 3) {
        const int64_t m = n % 2 == 0 ? 1 + n % 4 : 5 + n;
        const int64_t depth = 5 * n;
        const auto a = random_floats(m * depth, 1);
        const auto bias = random_floats(n, 2);
        auto b = random_floats(depth * n, 3, -100, 100);
        // Seven bits fit both types; a value outside the half type's range tells them apart.
        for (float& v : b) v = std::round(v);
        if (type == HalfType::kBF16) b[0] = 0x1p100F;
        auto want = unwritten(m * n);
        auto got = want;
        GemmArgs g{.m = m,
                   .n = n,
                   .k = depth,
                   .a = a.data(),
                   .lda = depth,
                   .b = b.data(),
                   .ldb = n,
                   .c = want.data(),
                   .ldc = n,
                   .bias = bias.data()};
        const auto count = static_cast<int64_t>(k.gemm_packed_bytes(g) / sizeof(float));
        std::vector<float> packed(static_cast<size_t>(count));
        k.gemm_pack(g, packed.data());
        HalfType found = HalfType::kF16;
        REQUIRE(k.halves.find_exact(count, packed.data(), found));
        REQUIRE(found == type);
        std::vector<uint16_t> halves(packed.size());
        k.halves.narrow(count, packed.data(), type, halves.data());
        auto wide = unwritten(count);
        k.halves.widen(count, halves.data(), type, wide.data(), &pool);
        CHECK(same_bits(wide, packed));
        g.b = packed.data();
        g.is_packed = true;
        k.gemm(g, nullptr, nullptr);
        g.c = got.data();
        g.b = nullptr;
        g.halves = halves.data();
        g.half_type = type;
        k.gemm(g, nullptr, &pool);
        CHECK(same_bits(got, want));
      }
    }
    HalfType type{};
    const float third = 1.F / 3;
    CHECK_FALSE(k.halves.find_exact(1, &third, type));
  }
}

TEST_CASE("gemm: the clamp lets NaN pass") {
  for (const CpuTarget target : targets()) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float one = 1;
    float c = 0;
    kernels(target).gemm({.m = 1,
                          .n = 1,
                          .k = 1,
                          .a = &nan,
                          .lda = 1,
                          .b = &one,
                          .ldb = 1,
                          .c = &c,
                          .ldc = 1,
                          .clamp = {0, 6}},
                         Workspace(64).get(), nullptr);
    CHECK(std::isnan(c));
  }
}

}  // namespace
}  // namespace ew::kernels
