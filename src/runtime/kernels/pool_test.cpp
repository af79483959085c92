#include "runtime/kernels/kernel_testing.h"

namespace ew::kernels {
namespace {

PoolShape shape(int64_t kernel, int64_t stride, int64_t dilation, int64_t pad, int64_t channels,
                bool count_padding = false) {
  const int64_t in_h = 9;
  const int64_t in_w = 8;
  return {.window = {.in_h = in_h,
                     .in_w = in_w,
                     .out_h = window_output_size(in_h, kernel, stride, dilation, pad, pad),
                     .out_w = window_output_size(in_w, kernel, stride, dilation, pad, pad),
                     .kernel_h = kernel,
                     .kernel_w = kernel,
                     .stride_h = stride,
                     .stride_w = stride,
                     .dilation_h = dilation,
                     .dilation_w = dilation,
                     .pad_top = pad,
                     .pad_left = pad},
          .batch = 2,
          .channels = channels,
          .count_padding = count_padding};
}

/// Calls visit(y index, x index, tap) for every valid tap.
template <typename Visit>
void for_pool_taps(const PoolShape& s, const Visit& visit) {
  const Window2d& v = s.window;
  for (int64_t n = 0; n < s.batch; ++n)
    for (int64_t oy = 0; oy < v.out_h; ++oy)
      for (int64_t ox = 0; ox < v.out_w; ++ox)
        for (int64_t ky = 0; ky < v.kernel_h; ++ky)
          for (int64_t kx = 0; kx < v.kernel_w; ++kx) {
            const int64_t y = oy * v.stride_h - v.pad_top + ky * v.dilation_h;
            const int64_t x = ox * v.stride_w - v.pad_left + kx * v.dilation_w;
            if (y < 0 || y >= v.in_h || x < 0 || x >= v.in_w) continue;
            for (int64_t c = 0; c < s.channels; ++c) {
              visit(static_cast<size_t>(((n * v.out_h + oy) * v.out_w + ox) * s.channels + c),
                    static_cast<size_t>(((n * v.in_h + y) * v.in_w + x) * s.channels + c),
                    static_cast<int32_t>(ky * v.kernel_w + kx));
            }
          }
}

template <typename Check>
void for_shapes(const Check& check) {
  for (int64_t c = 1; c <= 33; ++c) check(shape(3, 2, 1, 1, c));
  for (int64_t kernel = 1; kernel <= 3; ++kernel)
    for (int64_t stride = 1; stride <= 3; ++stride)
      for (int64_t dilation = 1; dilation <= 2; ++dilation)
        for (int64_t pad = 0; pad < kernel; ++pad)
          for (const bool count_padding : {false, true})
            check(shape(kernel, stride, dilation, pad, 5, count_padding));
}

TEST_CASE("max_pool: values, first maxima and gradient agree with plain loops") {
  ThreadPool pool(kThreads);
  for_shapes([&](const PoolShape& s) {
    const Window2d& v = s.window;
    const int64_t in = s.batch * v.in_h * v.in_w * s.channels;
    const int64_t out = s.batch * v.out_h * v.out_w * s.channels;
    auto x = random_floats(in, 1);
    for (float& value : x) value = std::round(value * 4);  // many equal values
    const auto dy = random_floats(out, 2);
    std::vector<float> want(dy.size(), -std::numeric_limits<float>::infinity());
    std::vector<int32_t> want_tap(dy.size(), -1);
    std::vector<size_t> from(dy.size());
    for_pool_taps(s, [&](size_t iy, size_t ix, int32_t tap) {
      if (want_tap[iy] >= 0 && !(x[ix] > want[iy])) return;
      want[iy] = x[ix];
      want_tap[iy] = tap;
      from[iy] = ix;
    });
    std::vector<Sum> want_dx(x.size());
    for (size_t i = 0; i < dy.size(); ++i) want_dx[from[i]].add(static_cast<double>(dy[i]));
    for (const CpuTarget target : targets()) {
      INFO(std::string(to_string(target)));
      const KernelTable& k = kernels(target);
      auto y = unwritten(out);
      auto inference = unwritten(out);
      auto dx = unwritten(in);
      std::vector<int32_t> taps(dy.size(), -1);
      k.max_pool(s, x.data(), y.data(), taps.data(), nullptr);
      k.max_pool(s, x.data(), inference.data(), nullptr, &pool);
      k.max_pool_grad(s, dy.data(), taps.data(), dx.data(), &pool);
      CHECK(same_bits(y, want));
      CHECK(same_bits(inference, want));
      CHECK(taps == want_tap);
      CHECK(worst_error(dx, want_dx) < kTolerance);
    }
  });
}

TEST_CASE("average_pool: values and gradient agree with plain loops") {
  ThreadPool pool(kThreads);
  for_shapes([&](const PoolShape& s) {
    const Window2d& v = s.window;
    const int64_t in = s.batch * v.in_h * v.in_w * s.channels;
    const int64_t out = s.batch * v.out_h * v.out_w * s.channels;
    const auto x = random_floats(in, 1);
    const auto dy = random_floats(out, 2);
    std::vector<double> count(dy.size());
    for_pool_taps(s, [&](size_t iy, size_t, int32_t) { count[iy] += 1; });
    if (s.count_padding) {
      for (double& n : count) n = static_cast<double>(v.kernel_h * v.kernel_w);
    }
    std::vector<Sum> want(dy.size());
    std::vector<Sum> want_dx(x.size());
    for_pool_taps(s, [&](size_t iy, size_t ix, int32_t) {
      want[iy].add(static_cast<double>(x[ix]) / count[iy]);
      want_dx[ix].add(static_cast<double>(dy[iy]) / count[iy]);
    });
    for (const CpuTarget target : targets()) {
      INFO(std::string(to_string(target)));
      auto y = unwritten(out);
      auto dx = unwritten(in);
      kernels(target).average_pool(s, x.data(), y.data(), &pool);
      kernels(target).average_pool_grad(s, dy.data(), dx.data(), &pool);
      CHECK(worst_error(y, want) < kTolerance);
      CHECK(worst_error(dx, want_dx) < kTolerance);
    }
  });
}

TEST_CASE("global_average_pool: values and gradient agree with plain loops") {
  for (const CpuTarget target : targets()) {
    INFO(std::string(to_string(target)));
    for (int64_t c = 1; c <= 40; ++c) {
      const int64_t pixels = 1 + c % 7;
      const auto x = random_floats(3 * pixels * c, 1);
      const auto dy = random_floats(3 * c, 2);
      std::vector<Sum> want(dy.size());
      std::vector<Sum> want_dx(x.size());
      for (size_t i = 0; i < x.size(); ++i) {
        const auto channels = static_cast<size_t>(c);
        const size_t o = i / (static_cast<size_t>(pixels) * channels) * channels + i % channels;
        want[o].add(static_cast<double>(x[i]) / static_cast<double>(pixels));
        want_dx[i].add(static_cast<double>(dy[o]) / static_cast<double>(pixels));
      }
      auto y = unwritten(3 * c);
      auto dx = unwritten(3 * pixels * c);
      kernels(target).global_average_pool(3, pixels, c, x.data(), y.data(), nullptr);
      kernels(target).global_average_pool_grad(3, pixels, c, dy.data(), dx.data(), nullptr);
      CHECK(worst_error(y, want) < kTolerance);
      CHECK(worst_error(dx, want_dx) < kTolerance);
    }
  }
}

}  // namespace
}  // namespace ew::kernels
