#include "runtime/kernels/kernel_testing.h"

namespace ew::kernels {
namespace {

/// Calls visit(x index, w index, y index) for every product.
template <typename Visit>
void for_products(const DepthwiseShape& s, const Visit& visit) {
  const Window2d& v = s.window;
  const int64_t c = s.channels * s.multiplier;
  for (int64_t n = 0; n < s.batch; ++n)
    for (int64_t oy = 0; oy < v.out_h; ++oy)
      for (int64_t ox = 0; ox < v.out_w; ++ox)
        for (int64_t ky = 0; ky < v.kernel_h; ++ky)
          for (int64_t kx = 0; kx < v.kernel_w; ++kx) {
            const int64_t y = oy * v.stride_h - v.pad_top + ky * v.dilation_h;
            const int64_t x = ox * v.stride_w - v.pad_left + kx * v.dilation_w;
            if (y < 0 || y >= v.in_h || x < 0 || x >= v.in_w) continue;
            for (int64_t o = 0; o < c; ++o) {
              visit(static_cast<size_t>(((n * v.in_h + y) * v.in_w + x) * s.channels +
                                        o / s.multiplier),
                    static_cast<size_t>((ky * v.kernel_w + kx) * c + o),
                    static_cast<size_t>(((n * v.out_h + oy) * v.out_w + ox) * c + o));
            }
          }
}

void check(const DepthwiseShape& s, ThreadPool& pool, Clamp clamp = {}) {
  const Window2d& v = s.window;
  CAPTURE(v.out_h);
  CAPTURE(v.out_w);
  CAPTURE(v.kernel_h);
  CAPTURE(v.kernel_w);
  CAPTURE(v.stride_h);
  CAPTURE(v.dilation_h);
  CAPTURE(s.channels);
  CAPTURE(s.multiplier);
  const int64_t c = s.channels * s.multiplier;
  const auto x = random_floats(s.batch * v.in_h * v.in_w * s.channels, 1);
  const auto w = random_floats(v.kernel_h * v.kernel_w * c, 2);
  const auto dy = random_floats(s.batch * v.out_h * v.out_w * c, 3);
  const auto bias = random_floats(c, 4);
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
    for (ThreadPool* p : {static_cast<ThreadPool*>(nullptr), &pool}) {
      const int threads = p == nullptr ? 1 : kThreads;
      auto y = unwritten(static_cast<int64_t>(dy.size()));
      auto dx = unwritten(static_cast<int64_t>(x.size()));
      auto dw = unwritten(static_cast<int64_t>(w.size()));
      auto db = unwritten(c);
      k.depthwise(s, x.data(), w.data(), bias.data(), clamp, y.data(),
                  Workspace(k.depthwise_workspace_bytes(s, threads)).get(), p);
      k.depthwise_grad_input(s, dy.data(), w.data(), dx.data(),
                             Workspace(k.depthwise_grad_input_workspace_bytes(s, threads)).get(),
                             p);
      k.depthwise_grad_weights(
          s, x.data(), dy.data(), dw.data(), db.data(),
          Workspace(k.depthwise_grad_weights_workspace_bytes(s, threads)).get(), p);
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

Window2d window(int64_t kernel_h, int64_t kernel_w, int64_t stride, int64_t dilation, int64_t pad,
                int64_t in_h = 11, int64_t in_w = 13) {
  return {.in_h = in_h,
          .in_w = in_w,
          .out_h = window_output_size(in_h, kernel_h, stride, dilation, pad, pad),
          .out_w = window_output_size(in_w, kernel_w, stride, dilation, pad, 1),
          .kernel_h = kernel_h,
          .kernel_w = kernel_w,
          .stride_h = stride,
          .stride_w = stride,
          .dilation_h = dilation,
          .dilation_w = dilation,
          .pad_top = pad,
          .pad_left = pad};
}

TEST_CASE("depthwise: forward and both gradients agree with plain loops for every channel tail") {
  ThreadPool pool(kThreads);
  for (int64_t c = 1; c <= 33; ++c) {
    check({.window = window(3, 3, 1, 1, 1), .batch = 2, .channels = c}, pool, {0, 6});
  }
  for (const int64_t c : {48, 64, 80, 100}) {
    check({.window = window(3, 3, 1, 1, 1, 25, 5), .batch = 5, .channels = c}, pool, {0});
  }
}

TEST_CASE("depthwise: every stride, dilation and padding agrees with plain loops") {
  ThreadPool pool(kThreads);
  for (int64_t kernel = 1; kernel <= 6; ++kernel)
    for (int64_t stride = 1; stride <= 3; ++stride)
      for (int64_t dilation = 1; dilation <= 2; ++dilation)
        for (int64_t pad = 0; pad <= 2; ++pad) {
          check({.window = window(7 - kernel, kernel, stride, dilation, pad),
                 .batch = 2,
                 .channels = 5},
                pool);
        }
}

TEST_CASE("depthwise: channel multipliers agree with plain loops") {
  ThreadPool pool(kThreads);
  for (const int64_t multiplier : {2, 3, 8}) {
    for (const int64_t channels : {1, 3, 16}) {
      check({.window = window(3, 3, 2, 1, 1),
             .batch = 3,
             .channels = channels,
             .multiplier = multiplier},
            pool, {-0.25F, 1.F});
    }
  }
}

}  // namespace
}  // namespace ew::kernels
