// Speed of the f32 micro-kernels at the shapes of three small networks, one thread, batch 32:
// GMAC/s and share of peak (a product that stays in the L1 cache), or GB/s for what only
// moves memory; then a whole training step of each network as the sum of its kernels.
//
//   kernels_bench [portable|avx2|avx512] [word in the name]

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "runtime/kernels/kernels.h"

namespace {

using namespace ew::kernels;
using Clock = std::chrono::steady_clock;

/// Seconds of the fastest of many calls; about `budget` seconds in all.
double fastest(const std::function<void()>& f, double budget = 0.15) {
  f();
  double best = 1e30;
  double spent = 0;
  for (int i = 0; i < 5 || spent < budget; ++i) {
    const auto start = Clock::now();
    f();
    const double t = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, t);
    spent += t;
  }
  return best;
}

/// Random floats and workspaces, aligned to cache lines, alive to the end.
class Memory {
 public:
  float* floats(int64_t n) {
    auto* p = static_cast<float*>(bytes(static_cast<size_t>(n) * sizeof(float)));
    for (int64_t i = 0; i < n; ++i) {
      seed_ = seed_ * 1664525U + 1013904223U;
      p[i] = static_cast<float>(seed_ >> 8) / 16777216.F - 0.5F;
    }
    return p;
  }
  void* bytes(size_t n) {
    blocks_.emplace_back(::operator new(n + 64, std::align_val_t{64}));
    return blocks_.back().get();
  }

 private:
  struct Free {
    void operator()(void* p) const { ::operator delete(p, std::align_val_t{64}); }
  };
  std::vector<std::unique_ptr<void, Free>> blocks_;
  uint32_t seed_ = 1;
};

struct Step {
  std::string name;
  double macs;   // 0: memory-bound
  double bytes;  // read and written
  std::function<void()> run;
};

class Network {
 public:
  Network(const KernelTable& k, std::string name) : k_(k), name_(std::move(name)) {}

  void dense(const char* name, int64_t batch, int64_t in, int64_t out, bool first, bool relu) {
    float* x = memory_.floats(batch * in);
    float* w = memory_.floats(in * out);
    float* b = memory_.floats(out);
    float* y = memory_.floats(batch * out);
    float* dy = memory_.floats(batch * out);
    float* dw = memory_.floats(in * out);
    const double macs = static_cast<double>(batch * in * out);
    const auto product = [&](const char* part, GemmArgs g) {
      void* workspace = memory_.bytes(k_.gemm_workspace_bytes(g, 1));
      add(name, part, macs, 0, [this, g, workspace] { k_.gemm(g, workspace, nullptr); });
    };
    product("forward", {.m = batch,
                        .n = out,
                        .k = in,
                        .a = x,
                        .lda = in,
                        .b = w,
                        .ldb = out,
                        .c = y,
                        .ldc = out,
                        .bias = b,
                        .clamp = relu ? Clamp{0} : Clamp{}});
    product("weights", {.m = in,
                        .n = out,
                        .k = batch,
                        .a = x,
                        .lda = in,
                        .transpose_a = true,
                        .b = dy,
                        .ldb = out,
                        .c = dw,
                        .ldc = out});
    if (!first) {
      float* dx = memory_.floats(batch * in);
      product("input", {.m = batch,
                        .n = in,
                        .k = out,
                        .a = dy,
                        .lda = out,
                        .b = w,
                        .ldb = out,
                        .transpose_b = true,
                        .c = dx,
                        .ldc = in});
    }
    add(name, "bias", 0, static_cast<double>(4 * batch * out),
        [this, batch, out, dy, b] { k_.column_sums(batch, out, dy, false, b, nullptr, nullptr); });
    update(name, in * out + out);
  }

  void conv(const char* name, const Conv2dShape& s, bool first) {
    const Window2d& v = s.window;
    const int64_t in = s.batch * v.in_h * v.in_w * s.in_c;
    const int64_t out = s.batch * v.out_h * v.out_w * s.out_c;
    const int64_t weights = v.kernel_h * v.kernel_w * s.in_c * s.out_c;
    float* x = memory_.floats(in);
    float* w = memory_.floats(weights);
    float* b = memory_.floats(s.out_c);
    float* y = memory_.floats(out);
    float* dw = memory_.floats(weights);
    const double macs =
        static_cast<double>(out) * static_cast<double>(v.kernel_h * v.kernel_w * s.in_c);
    void* workspace = memory_.bytes(
        std::max({k_.conv2d_workspace_bytes(s, 1), k_.conv2d_grad_input_workspace_bytes(s, 1),
                  k_.conv2d_grad_weights_workspace_bytes(s, 1)}));
    add(name, "forward", macs, 0, [=, this] { k_.conv2d(s, x, w, b, {}, y, workspace, nullptr); });
    add(name, "weights", macs, 0,
        [=, this] { k_.conv2d_grad_weights(s, x, y, dw, b, workspace, nullptr); });
    if (!first) {
      float* dx = memory_.floats(in);
      add(name, "input", macs, 0,
          [=, this] { k_.conv2d_grad_input(s, y, w, dx, workspace, nullptr); });
    }
    update(name, weights + s.out_c);
  }

  void depthwise(const char* name, const DepthwiseShape& s) {
    const Window2d& v = s.window;
    const int64_t size = s.batch * v.in_h * v.in_w * s.channels;
    const int64_t weights = v.kernel_h * v.kernel_w * s.channels;
    float* x = memory_.floats(size);
    float* w = memory_.floats(weights);
    float* b = memory_.floats(s.channels);
    float* y = memory_.floats(size);
    float* dw = memory_.floats(weights);
    float* dx = memory_.floats(size);
    const double macs = static_cast<double>(size * v.kernel_h * v.kernel_w);
    void* workspace = memory_.bytes(
        std::max({k_.depthwise_workspace_bytes(s, 1), k_.depthwise_grad_input_workspace_bytes(s, 1),
                  k_.depthwise_grad_weights_workspace_bytes(s, 1)}));
    add(name, "forward", macs, 0,
        [=, this] { k_.depthwise(s, x, w, b, {}, y, workspace, nullptr); });
    add(name, "weights", macs, 0,
        [=, this] { k_.depthwise_grad_weights(s, x, y, dw, b, workspace, nullptr); });
    add(name, "input", macs, 0,
        [=, this] { k_.depthwise_grad_input(s, y, w, dx, workspace, nullptr); });
    update(name, weights + s.channels);
  }

  void norm(const char* name, int64_t rows, int64_t channels, bool relu) {
    float* x = memory_.floats(rows * channels);
    float* y = memory_.floats(rows * channels);
    float* dy = memory_.floats(rows * channels);
    float* p = memory_.floats(8 * channels);
    void* workspace = memory_.bytes(k_.batch_norm_workspace_bytes(rows, channels));
    const Clamp clamp = relu ? Clamp{0} : Clamp{};
    const double bytes = static_cast<double>(4 * rows * channels);
    const BatchNormForward f{.rows = rows,
                             .channels = channels,
                             .x = x,
                             .gamma = p,
                             .beta = p + channels,
                             .clamp = clamp,
                             .y = y,
                             .mean = p + 2 * channels,
                             .inv_std = p + 3 * channels};
    const BatchNormBackward g{.rows = rows,
                              .channels = channels,
                              .x = x,
                              .gamma = p,
                              .beta = p + channels,
                              .mean = p + 2 * channels,
                              .inv_std = p + 3 * channels,
                              .clamp = clamp,
                              .dy = dy,
                              .dx = y,
                              .dgamma = p + 4 * channels,
                              .dbeta = p + 5 * channels};
    add(name, "forward", 0, 3 * bytes, [=, this] { k_.batch_norm(f, workspace, nullptr); });
    add(name, "backward", 0, 5 * bytes, [=, this] { k_.batch_norm_grad(g, workspace, nullptr); });
    update(name, 2 * channels);
  }

  /// Sum of two tensors with ReLU, and the ReLU's gradient.
  void residual(const char* name, int64_t size) {
    float* a = memory_.floats(size);
    float* b = memory_.floats(size);
    float* y = memory_.floats(size);
    const double bytes = static_cast<double>(4 * size);
    add(name, "forward", 0, 3 * bytes, [=, this] { k_.add(size, a, b, {0}, y, nullptr); });
    add(name, "backward", 0, 3 * bytes, [=, this] { k_.clamp_grad(size, y, a, {0}, b, nullptr); });
    add(name, "sum", 0, 3 * bytes, [=, this] { k_.add(size, a, b, {}, a, nullptr); });
  }

  void global_pool(const char* name, int64_t batch, int64_t pixels, int64_t channels) {
    float* x = memory_.floats(batch * pixels * channels);
    float* y = memory_.floats(batch * channels);
    const double bytes = static_cast<double>(4 * batch * pixels * channels);
    add(name, "forward", 0, bytes,
        [=, this] { k_.global_average_pool(batch, pixels, channels, x, y, nullptr); });
    add(name, "backward", 0, bytes,
        [=, this] { k_.global_average_pool_grad(batch, pixels, channels, y, x, nullptr); });
  }

  void softmax(int64_t batch, int64_t classes) {
    float* x = memory_.floats(batch * classes);
    float* y = memory_.floats(batch * classes);
    add("softmax", "forward", 0, static_cast<double>(8 * batch * classes),
        [=, this] { k_.softmax(batch, classes, x, y, nullptr); });
  }

  void report(double peak, const char* filter) {
    double total = 0;
    double macs = 0;
    std::printf("\n%s\n", name_.c_str());
    for (const Step& s : steps_) {
      if (filter != nullptr && s.name.find(filter) == std::string::npos) continue;
      const double t = fastest(s.run);
      total += t;
      macs += s.macs;
      if (s.macs > 0) {
        const double rate = s.macs / t / 1e9;
        std::printf("  %-30s %9.1f us %7.1f GMAC/s %4.0f %%\n", s.name.c_str(), t * 1e6, rate,
                    rate / peak * 100);
      } else {
        std::printf("  %-30s %9.1f us %7.1f GB/s\n", s.name.c_str(), t * 1e6, s.bytes / t / 1e9);
      }
    }
    std::printf("  %-30s %9.1f us %7.1f GMAC/s\n", "sum of the parts", total * 1e6,
                macs / total / 1e9);
    if (filter != nullptr) return;
    // In the order of the program nothing is in cache by accident, as in a real step.
    const double whole = fastest(
        [&] {
          for (const Step& s : steps_) s.run();
        },
        1.0);
    std::printf("  %-30s %9.1f us\n", "one after the other", whole * 1e6);
  }

 private:
  void add(const char* name, const char* part, double macs, double bytes,
           std::function<void()> run) {
    steps_.push_back({std::string(name) + " " + part, macs, bytes, std::move(run)});
  }

  void update(const char* name, int64_t n) {
    float* p = memory_.floats(n);
    float* g = memory_.floats(n);
    float* m = memory_.floats(n);
    float* v = memory_.floats(n);
    for (int64_t i = 0; i < n; ++i) v[i] += 1;
    const AdamArgs a{.n = n,
                     .parameters = p,
                     .gradients = g,
                     .m = m,
                     .v = v,
                     .alpha = 1e-3F,
                     .one_minus_beta1 = 0.1F,
                     .one_minus_beta2 = 1e-3F};
    add(name, "adam", 0, static_cast<double>(28 * n), [this, a] { k_.adam(a, nullptr); });
  }

  const KernelTable& k_;
  std::string name_;
  Memory memory_;
  std::vector<Step> steps_;
};

Conv2dShape conv_shape(int64_t in_h, int64_t in_w, int64_t kernel_h, int64_t kernel_w,
                       int64_t stride, int64_t in_c, int64_t out_c) {
  Conv2dShape s;
  s.batch = 32;
  s.in_c = in_c;
  s.out_c = out_c;
  Window2d& w = s.window;
  w.in_h = in_h;
  w.in_w = in_w;
  w.kernel_h = kernel_h;
  w.kernel_w = kernel_w;
  w.stride_h = w.stride_w = stride;
  w.out_h = (in_h + stride - 1) / stride;
  w.out_w = (in_w + stride - 1) / stride;
  w.pad_top = std::max<int64_t>(0, (w.out_h - 1) * stride + kernel_h - in_h) / 2;
  w.pad_left = std::max<int64_t>(0, (w.out_w - 1) * stride + kernel_w - in_w) / 2;
  return s;
}

void mlp(const KernelTable& k, double peak, const char* filter) {
  Network n(k, "MLP 128-64-10");
  n.dense("dense 128-64", 32, 128, 64, true, true);
  n.dense("dense 64-10", 32, 64, 10, false, false);
  n.softmax(32, 10);
  n.report(peak, filter);
}

void keyword_spotting(const KernelTable& k, double peak, const char* filter) {
  Network n(k, "DS-CNN, keyword spotting");
  n.conv("conv 10x4 1-64", conv_shape(49, 10, 10, 4, 2, 1, 64), true);
  n.norm("norm", 32 * 125, 64, true);
  for (int i = 0; i < 4; ++i) {
    const Conv2dShape s = conv_shape(25, 5, 3, 3, 1, 64, 64);
    n.depthwise("depthwise 3x3", {.window = s.window, .batch = 32, .channels = 64});
    n.norm("norm", 32 * 125, 64, true);
    n.conv("conv 1x1 64-64", conv_shape(25, 5, 1, 1, 1, 64, 64), false);
    n.norm("norm", 32 * 125, 64, true);
  }
  n.global_pool("pool", 32, 125, 64);
  n.dense("dense 64-12", 32, 64, 12, false, false);
  n.softmax(32, 12);
  n.report(peak, filter);
}

void resnet8(const KernelTable& k, double peak, const char* filter) {
  Network n(k, "ResNet-8, 32x32");
  n.conv("conv 3x3 3-16 at 32", conv_shape(32, 32, 3, 3, 1, 3, 16), true);
  n.norm("norm 16", 32 * 1024, 16, true);
  n.conv("conv 3x3 16-16 at 32", conv_shape(32, 32, 3, 3, 1, 16, 16), false);
  n.norm("norm 16", 32 * 1024, 16, true);
  n.conv("conv 3x3 16-16 at 32", conv_shape(32, 32, 3, 3, 1, 16, 16), false);
  n.norm("norm 16", 32 * 1024, 16, false);
  n.residual("residual 16", 32 * 1024 * 16);
  n.conv("conv 3x3 16-32 s2", conv_shape(32, 32, 3, 3, 2, 16, 32), false);
  n.norm("norm 32", 32 * 256, 32, true);
  n.conv("conv 3x3 32-32 at 16", conv_shape(16, 16, 3, 3, 1, 32, 32), false);
  n.norm("norm 32", 32 * 256, 32, false);
  n.conv("conv 1x1 16-32 s2", conv_shape(32, 32, 1, 1, 2, 16, 32), false);
  n.residual("residual 32", 32 * 256 * 32);
  n.conv("conv 3x3 32-64 s2", conv_shape(16, 16, 3, 3, 2, 32, 64), false);
  n.norm("norm 64", 32 * 64, 64, true);
  n.conv("conv 3x3 64-64 at 8", conv_shape(8, 8, 3, 3, 1, 64, 64), false);
  n.norm("norm 64", 32 * 64, 64, false);
  n.conv("conv 1x1 32-64 s2", conv_shape(16, 16, 1, 1, 2, 32, 64), false);
  n.residual("residual 64", 32 * 64 * 64);
  n.global_pool("pool", 32, 64, 64);
  n.dense("dense 64-10", 32, 64, 10, false, false);
  n.softmax(32, 10);
  n.report(peak, filter);
}

/// Best rate of a product that lives in the L1 cache: what the kernels can hope for.
double peak_rate(const KernelTable& k) {
  Memory memory;
  const GemmArgs g{.m = 48,
                   .n = 64,
                   .k = 64,
                   .a = memory.floats(48 * 64),
                   .lda = 64,
                   .b = memory.floats(64 * 64),
                   .ldb = 64,
                   .c = memory.floats(48 * 64),
                   .ldc = 64};
  const int repeats = 100;
  const double t = fastest([&] {
    for (int i = 0; i < repeats; ++i) k.gemm(g, nullptr, nullptr);
  });
  return repeats * 48.0 * 64 * 64 / t / 1e9;
}

}  // namespace

int main(int argc, char** argv) {
  const char* filter = nullptr;
  CpuTarget target = detect_cpu();
  for (int i = 1; i < argc; ++i) {
    bool is_target = false;
    for (const CpuTarget t : {CpuTarget::kPortable, CpuTarget::kAvx2, CpuTarget::kAvx512}) {
      if (std::strcmp(argv[i], to_string(t)) == 0 && is_supported(t)) {
        target = t;
        is_target = true;
      }
    }
    if (!is_target) filter = argv[i];
  }
  const KernelTable& k = kernels(target);
  const double peak = peak_rate(k);
  std::printf("%s, one thread; products in the L1 cache run at %.1f GMAC/s (100 %% below)\n",
              to_string(target), peak);
  mlp(k, peak, filter);
  keyword_spotting(k, peak, filter);
  resnet8(k, peak, filter);
  return 0;
}
