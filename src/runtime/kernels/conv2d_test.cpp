#include "runtime/kernels/kernel_testing.h"

namespace ew::kernels {
namespace {

struct Spatial {
  int64_t in_h, in_w, kernel_h, kernel_w;
  int64_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t top = 0, left = 0, bottom = 0, right = 0;
};

Window2d window_of(const Spatial& s) {
  return {
      .in_h = s.in_h,
      .in_w = s.in_w,
      .out_h = window_output_size(s.in_h, s.kernel_h, s.stride_h, s.dilation_h, s.top, s.bottom),
      .out_w = window_output_size(s.in_w, s.kernel_w, s.stride_w, s.dilation_w, s.left, s.right),
      .kernel_h = s.kernel_h,
      .kernel_w = s.kernel_w,
      .stride_h = s.stride_h,
      .stride_w = s.stride_w,
      .dilation_h = s.dilation_h,
      .dilation_w = s.dilation_w,
      .pad_top = s.top,
      .pad_left = s.left};
}

/// Calls visit(x index, w index, y index) for every product of the convolution.
template <typename Visit>
void for_products(const Conv2dShape& s, const Visit& visit) {
  const Window2d& v = s.window;
  const int64_t depth = s.in_c / s.groups;
  const int64_t columns = s.out_c / s.groups;
  for (int64_t n = 0; n < s.batch; ++n)
    for (int64_t oy = 0; oy < v.out_h; ++oy)
      for (int64_t ox = 0; ox < v.out_w; ++ox)
        for (int64_t ky = 0; ky < v.kernel_h; ++ky)
          for (int64_t kx = 0; kx < v.kernel_w; ++kx) {
            const int64_t y = oy * v.stride_h - v.pad_top + ky * v.dilation_h;
            const int64_t x = ox * v.stride_w - v.pad_left + kx * v.dilation_w;
            if (y < 0 || y >= v.in_h || x < 0 || x >= v.in_w) continue;
            for (int64_t o = 0; o < s.out_c; ++o)
              for (int64_t d = 0; d < depth; ++d) {
                const int64_t c = o / columns * depth + d;
                visit(static_cast<size_t>(((n * v.in_h + y) * v.in_w + x) * s.in_c + c),
                      static_cast<size_t>(((ky * v.kernel_w + kx) * depth + d) * s.out_c + o),
                      static_cast<size_t>(((n * v.out_h + oy) * v.out_w + ox) * s.out_c + o));
              }
          }
}

/// Winograd's transforms mix the sums of a block, so errors are relative to the largest of them.
constexpr double kPackedTolerance = 4e-6;

double error_of_largest(const std::vector<float>& got, const std::vector<Sum>& want) {
  double largest = 1e-30;
  double worst = 0;
  for (const Sum& sum : want) largest = std::max(largest, sum.magnitude);
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::fabs(static_cast<double>(got[i]) - want[i].value);
    if (!(error <= worst)) worst = std::isnan(error) ? largest : error;
  }
  return worst / largest;
}

void check(const Conv2dShape& s, ThreadPool& pool, Clamp clamp = {}) {
  const Window2d& v = s.window;
  CAPTURE(v.in_h);
  CAPTURE(v.in_w);
  CAPTURE(v.out_h);
  CAPTURE(v.out_w);
  CAPTURE(v.kernel_h);
  CAPTURE(v.kernel_w);
  CAPTURE(v.stride_h);
  CAPTURE(v.dilation_w);
  CAPTURE(s.in_c);
  CAPTURE(s.out_c);
  CAPTURE(s.groups);
  CAPTURE(s.batch);
  const auto x = random_floats(s.batch * v.in_h * v.in_w * s.in_c, 1);
  const auto w = random_floats(v.kernel_h * v.kernel_w * s.in_c / s.groups * s.out_c, 2);
  const auto dy = random_floats(s.batch * v.out_h * v.out_w * s.out_c, 3);
  const auto bias = random_floats(s.out_c, 4);
  std::vector<Sum> want_y(dy.size());
  std::vector<Sum> want_dx(x.size());
  std::vector<Sum> want_dw(w.size());
  std::vector<Sum> want_db(bias.size());
  for (size_t i = 0; i < dy.size(); ++i) {
    want_y[i].add(bias[i % bias.size()]);
    want_db[i % bias.size()].add(dy[i]);
  }
  for_products(s, [&](size_t ix, size_t iw, size_t iy) {
    want_y[iy].add(static_cast<double>(x[ix]) * static_cast<double>(w[iw]));
    want_dx[ix].add(static_cast<double>(dy[iy]) * static_cast<double>(w[iw]));
    want_dw[iw].add(static_cast<double>(x[ix]) * static_cast<double>(dy[iy]));
  });
  for (Sum& sum : want_y) sum = clamped(sum, clamp);

  for (const CpuTarget target : targets()) {
    INFO(std::string(to_string(target)));
    const KernelTable& k = kernels(target);
    std::vector<std::vector<float>> single;
    std::vector<float> packed_single;
    for (ThreadPool* p : {static_cast<ThreadPool*>(nullptr), &pool}) {
      const int threads = p == nullptr ? 1 : kThreads;
      auto y = unwritten(static_cast<int64_t>(dy.size()));
      auto dx = unwritten(static_cast<int64_t>(x.size()));
      auto dw = unwritten(static_cast<int64_t>(w.size()));
      auto db = unwritten(s.out_c);
      k.conv2d(s, x.data(), w.data(), bias.data(), clamp, y.data(),
               Workspace(k.conv2d_workspace_bytes(s, threads)).get(), p);
      k.conv2d_grad_input(s, dy.data(), w.data(), dx.data(),
                          Workspace(k.conv2d_grad_input_workspace_bytes(s, threads)).get(), p);
      k.conv2d_grad_weights(s, x.data(), dy.data(), dw.data(), db.data(),
                            Workspace(k.conv2d_grad_weights_workspace_bytes(s, threads)).get(), p);
      std::vector<float> packed(k.conv2d_packed_bytes(s) / sizeof(float));
      k.conv2d_pack(s, w.data(), packed.data());
      auto again = unwritten(static_cast<int64_t>(dy.size()));
      k.conv2d_packed(s, x.data(), {.floats = packed.data()}, bias.data(), clamp, again.data(),
                      Workspace(k.conv2d_packed_workspace_bytes(s, threads)).get(), p);
      CHECK(error_of_largest(again, want_y) < kPackedTolerance);
      if (p == nullptr) {
        packed_single = again;
      } else {
        CHECK(same_bits(again, packed_single));
      }
      if (p == nullptr) {
        CHECK(worst_error(y, want_y) < kTolerance);
        CHECK(worst_error(dx, want_dx) < kTolerance);
        CHECK(worst_error(dw, want_dw) < kTolerance);
        CHECK(worst_error(db, want_db) < kTolerance);
        single = {y, dx, dw, db};
      } else {
        CHECK(same_bits(y, single[0]));
        CHECK(same_bits(dx, single[1]));
        CHECK(same_bits(dw, single[2]));
        CHECK(same_bits(db, single[3]));
      }
    }
  }
}

constexpr Spatial kSame3x3{.in_h = 5,
                           .in_w = 7,
                           .kernel_h = 3,
                           .kernel_w = 3,
                           .top = 1,
                           .left = 1,
                           .bottom = 1,
                           .right = 1};

TEST_CASE("conv2d: Winograd blocks that hang over the edges, for every channel tail") {
  ThreadPool pool(kThreads);
  for (const int64_t size : {8, 9, 13, 18}) {
    for (const int64_t channels : {16, 21, 40}) {
      Spatial spatial = kSame3x3;
      spatial.in_h = size;
      spatial.in_w = size + 3;
      for (const int64_t pad : {0, 1, 2}) {
        spatial.top = spatial.left = spatial.bottom = spatial.right = pad;
        check({.window = window_of(spatial), .batch = 2, .in_c = channels, .out_c = channels + 7},
              pool, {0});
      }
    }
  }
}

TEST_CASE("conv2d: a single image of few pixels, whose threads share the weights out") {
  ThreadPool pool(kThreads);
  Spatial s = kSame3x3;
  s.in_h = 7;
  s.in_w = 9;
  check({.window = window_of(s), .batch = 1, .in_c = 64, .out_c = 70}, pool, {0});  // Winograd
  s.stride_h = s.stride_w = 2;
  check({.window = window_of(s), .batch = 1, .in_c = 33, .out_c = 150}, pool, {0, 6});
  check({.window = window_of(s), .batch = 1, .in_c = 12, .out_c = 96, .groups = 2}, pool);
}

TEST_CASE("conv2d: forward and both gradients agree with plain loops for every channel tail") {
  ThreadPool pool(kThreads);
  for (int64_t c = 1; c <= 33; ++c) {
    check({.window = window_of(kSame3x3), .batch = 2, .in_c = c, .out_c = 3}, pool);
    check({.window = window_of(kSame3x3), .batch = 2, .in_c = 3, .out_c = c}, pool);
  }
  check({.window = window_of(kSame3x3), .batch = 3, .in_c = 64, .out_c = 80}, pool);
  check({.window = window_of(kSame3x3), .batch = 3, .in_c = 5, .out_c = 144}, pool);
}

TEST_CASE("conv2d: every stride, dilation and padding agrees with plain loops") {
  ThreadPool pool(kThreads);
  for (int64_t kernel = 1; kernel <= 4; ++kernel)
    for (int64_t stride = 1; stride <= 3; ++stride)
      for (int64_t dilation = 1; dilation <= 3; ++dilation)
        for (int64_t pad = 0; pad <= 2; ++pad) {
          const Spatial s{.in_h = 11,
                          .in_w = 10,
                          .kernel_h = kernel,
                          .kernel_w = 5 - kernel,
                          .stride_h = stride,
                          .stride_w = 4 - stride,
                          .dilation_h = dilation,
                          .dilation_w = 4 - dilation,
                          .top = pad,
                          .left = 2 - pad,
                          .bottom = 1,
                          .right = pad};
          check({.window = window_of(s), .batch = 2, .in_c = 3, .out_c = 5}, pool, {0});
        }
}

TEST_CASE("conv2d: groups agree with plain loops") {
  ThreadPool pool(kThreads);
  for (const int64_t groups : {2, 3, 6}) {
    check({.window = window_of(kSame3x3), .batch = 2, .in_c = 6, .out_c = 12, .groups = groups},
          pool, {-0.5F, 0.5F});
    check({.window = window_of(kSame3x3),
           .batch = 1,
           .in_c = 6,
           .out_c = 16 * groups,
           .groups = groups},
          pool);
  }
}

TEST_CASE("conv2d: pointwise, strided pointwise and batches below and above the pool") {
  ThreadPool pool(kThreads);
  for (const int64_t batch : {1, 2, 9}) {
    for (const int64_t stride : {1, 2}) {
      const Spatial s{.in_h = 9,
                      .in_w = 6,
                      .kernel_h = 1,
                      .kernel_w = 1,
                      .stride_h = stride,
                      .stride_w = stride};
      check({.window = window_of(s), .batch = batch, .in_c = 20, .out_c = 24}, pool, {0, 6});
    }
    const Spatial s{.in_h = 20,
                    .in_w = 20,
                    .kernel_h = 3,
                    .kernel_w = 3,
                    .top = 1,
                    .left = 1,
                    .bottom = 1,
                    .right = 1};
    check({.window = window_of(s), .batch = batch, .in_c = 8, .out_c = 16}, pool);
  }
}

TEST_CASE("conv2d: shapes of the small benchmark networks") {
  ThreadPool pool(kThreads);
  const Spatial keyword{.in_h = 49,
                        .in_w = 10,
                        .kernel_h = 10,
                        .kernel_w = 4,
                        .stride_h = 2,
                        .stride_w = 2,
                        .top = 4,
                        .left = 1,
                        .bottom = 5,
                        .right = 1};
  check({.window = window_of(keyword), .batch = 2, .in_c = 1, .out_c = 64}, pool);
  const Spatial half{.in_h = 16,
                     .in_w = 16,
                     .kernel_h = 3,
                     .kernel_w = 3,
                     .stride_h = 2,
                     .stride_w = 2,
                     .bottom = 1,
                     .right = 1};
  check({.window = window_of(half), .batch = 2, .in_c = 16, .out_c = 32}, pool);
}

TEST_CASE("conv2d: small images of many channels, whose windows are gathered") {
  ThreadPool pool(kThreads);
  for (const int64_t size : {1, 2, 3, 4, 7, 10}) {
    for (const int64_t stride : {1, 2}) {
      const Spatial s{.in_h = size + 9,
                      .in_w = size,
                      .kernel_h = 3,
                      .kernel_w = 2,
                      .stride_h = stride,
                      .stride_w = stride,
                      .dilation_h = 3 - stride,
                      .dilation_w = 1,
                      .top = 1,
                      .left = 1,
                      .bottom = 1,
                      .right = 1};
      check({.window = window_of(s), .batch = 2, .in_c = 15 + size, .out_c = 62 + 2 * size}, pool,
            {0, 6});
    }
  }
}

TEST_CASE("conv2d: halves give the bits of the floats they stand for") {
  ThreadPool pool(kThreads);
  for (const int64_t kernel : {1, 3}) {
    const Spatial s{.in_h = 9,
                    .in_w = 9,
                    .kernel_h = kernel,
                    .kernel_w = kernel,
                    .stride_h = kernel == 1 ? 1 : 2,
                    .stride_w = kernel == 1 ? 1 : 2};
    const Conv2dShape shape{.window = window_of(s), .in_c = 40, .out_c = 69};
    const auto x = random_floats(9 * 9 * shape.in_c, 1);
    const auto bias = random_floats(shape.out_c, 2);
    auto w = random_floats(kernel * kernel * shape.in_c * shape.out_c, 3, -100, 100);
    for (float& v : w) v = std::round(v);
    for (const CpuTarget target : targets()) {
      INFO(std::string(to_string(target)));
      const KernelTable& k = kernels(target);
      REQUIRE(k.conv2d_takes_halves(shape));
      std::vector<float> packed(k.conv2d_packed_bytes(shape) / sizeof(float));
      k.conv2d_pack(shape, w.data(), packed.data());
      const auto count = static_cast<int64_t>(packed.size());
      std::vector<uint16_t> halves(packed.size());
      k.halves.narrow(count, packed.data(), HalfType::kF16, halves.data());
      const Workspace workspace(k.conv2d_packed_workspace_bytes(shape, kThreads));
      const auto run = [&](const PackedB& b, ThreadPool* p) {
        auto y = unwritten(shape.window.out_h * shape.window.out_w * shape.out_c);
        k.conv2d_packed(shape, x.data(), b, bias.data(), {}, y.data(), workspace.get(), p);
        return y;
      };
      const auto want = run({.floats = packed.data()}, nullptr);
      CHECK(same_bits(run({.halves = halves.data()}, nullptr), want));
      CHECK(same_bits(run({.halves = halves.data()}, &pool), want));
    }
  }
}

TEST_CASE("conv2d: padding wider than the kernel and inputs the window never reaches") {
  ThreadPool pool(kThreads);
  const Spatial wide{.in_h = 3,
                     .in_w = 4,
                     .kernel_h = 2,
                     .kernel_w = 2,
                     .top = 4,
                     .left = 3,
                     .bottom = 5,
                     .right = 4};
  check({.window = window_of(wide), .batch = 2, .in_c = 2, .out_c = 3}, pool);
  const Spatial rest{
      .in_h = 9, .in_w = 9, .kernel_h = 2, .kernel_w = 2, .stride_h = 4, .stride_w = 5};
  check({.window = window_of(rest), .batch = 2, .in_c = 2, .out_c = 3}, pool);
}

}  // namespace
}  // namespace ew::kernels
