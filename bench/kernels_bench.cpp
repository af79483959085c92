// Speed of the f32 micro-kernels at the shapes of three small networks, one thread, batch 32:
// GMAC/s and share of peak (a product that stays in the L1 cache), or GB/s for what only
// moves memory. Times are of the kernel in a whole training step (buffers as the step left them in
// the caches) and of the kernel repeated alone.
//
//   kernels_bench [portable|avx2|avx512] [word in the name]

#include <sys/mman.h>

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
  static constexpr size_t kHugePage = size_t{2} << 20;
  static constexpr size_t kBlock = size_t{64} << 20;

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
    n = (n + 127) / 64 * 64;
    if (blocks_.empty() || used_ + n > kBlock) {
      blocks_.emplace_back(::operator new(kBlock, std::align_val_t{kHugePage}));
      // One arena of huge pages, as an engine would have: streams then miss the TLB far less.
      madvise(blocks_.back().get(), kBlock, MADV_HUGEPAGE);
      used_ = 0;
    }
    void* p = static_cast<char*>(blocks_.back().get()) + used_;
    used_ += n;
    return p;
  }

 private:
  struct Free {
    void operator()(void* p) const { ::operator delete(p, std::align_val_t{kHugePage}); }
  };
  size_t used_ = 0;
  std::vector<std::unique_ptr<void, Free>> blocks_;
  uint32_t seed_ = 1;
};

struct Step {
  std::string name;
  double macs;   // 0: memory-bound
  double bytes;  // read and written
  std::function<void()> run;
};

/// A chain of layers as a training step runs it: every layer reads what the one before wrote, then
/// the gradients come back through the same buffers in reverse.
class Network {
 public:
  Network(const KernelTable& k, std::string name, int64_t input_size)
      : k_(k), name_(std::move(name)), x_(memory_.floats(input_size)), size_(input_size) {}

  /// All gradients of activations share two buffers, so this comes before the layers.
  void reserve_gradients(int64_t largest) {
    dy_ = memory_.floats(largest);
    dx_ = memory_.floats(largest);
  }

  void dense(const char* name, int64_t batch, int64_t in, int64_t out, bool relu) {
    float* w = memory_.floats(in * out);
    float* b = memory_.floats(out);
    float* dw = memory_.floats(in * out);
    float* y = memory_.floats(batch * out);
    const double macs = static_cast<double>(batch * in * out);
    const auto product = [&](std::vector<Step>& steps, const char* part, const GemmArgs& g) {
      void* workspace = memory_.bytes(k_.gemm_workspace_bytes(g, 1));
      add(steps, name, part, macs, 0, [this, g, workspace] { k_.gemm(g, workspace, nullptr); });
    };
    product(forward_, "forward",
            {.m = batch,
             .n = out,
             .k = in,
             .a = x_,
             .lda = in,
             .b = w,
             .ldb = out,
             .c = y,
             .ldc = out,
             .bias = b,
             .clamp = relu ? Clamp{0} : Clamp{}});
    std::vector<Step> back;
    if (relu) {
      add(back, name, "relu", 0, static_cast<double>(12 * batch * out),
          [=, this, dy = dy_] { k_.clamp_grad(batch * out, y, dy, {0}, dy, nullptr); });
    }
    add(back, name, "bias", 0, static_cast<double>(4 * batch * out),
        [=, this, dy = dy_] { k_.column_sums(batch, out, dy, false, b, nullptr, nullptr); });
    product(back, "weights",
            {.m = in,
             .n = out,
             .k = batch,
             .a = x_,
             .lda = in,
             .transpose_a = true,
             .b = dy_,
             .ldb = out,
             .c = dw,
             .ldc = out});
    if (!forward_is_first()) {
      product(back, "input",
              {.m = batch,
               .n = in,
               .k = out,
               .a = dy_,
               .lda = out,
               .b = w,
               .ldb = out,
               .transpose_b = true,
               .c = dx_,
               .ldc = in});
    }
    finish(std::move(back), y, batch * out, true);
  }

  void conv(const char* name, const Conv2dShape& s) {
    const Window2d& v = s.window;
    const int64_t out = s.batch * v.out_h * v.out_w * s.out_c;
    const int64_t weights = v.kernel_h * v.kernel_w * s.in_c * s.out_c;
    float* x = x_;
    float* w = memory_.floats(weights);
    float* b = memory_.floats(s.out_c);
    float* dw = memory_.floats(weights);
    float* y = memory_.floats(out);
    const double macs =
        static_cast<double>(out) * static_cast<double>(v.kernel_h * v.kernel_w * s.in_c);
    void* workspace = memory_.bytes(
        std::max({k_.conv2d_workspace_bytes(s, 1), k_.conv2d_grad_input_workspace_bytes(s, 1),
                  k_.conv2d_grad_weights_workspace_bytes(s, 1)}));
    add(forward_, name, "forward", macs, 0,
        [=, this] { k_.conv2d(s, x, w, b, {}, y, workspace, nullptr); });
    std::vector<Step> back;
    add(back, name, "weights", macs, 0,
        [=, this, dy = dy_] { k_.conv2d_grad_weights(s, x, dy, dw, b, workspace, nullptr); });
    if (!forward_is_first()) {
      add(back, name, "input", macs, 0, [=, this, dy = dy_, dx = dx_] {
        k_.conv2d_grad_input(s, dy, w, dx, workspace, nullptr);
      });
    }
    finish(std::move(back), y, out, true);
  }

  void depthwise(const char* name, const DepthwiseShape& s) {
    const Window2d& v = s.window;
    const int64_t out = s.batch * v.out_h * v.out_w * s.channels;
    const int64_t weights = v.kernel_h * v.kernel_w * s.channels;
    float* x = x_;
    float* w = memory_.floats(weights);
    float* b = memory_.floats(s.channels);
    float* dw = memory_.floats(weights);
    float* y = memory_.floats(out);
    const double macs = static_cast<double>(out * v.kernel_h * v.kernel_w);
    void* workspace = memory_.bytes(
        std::max({k_.depthwise_workspace_bytes(s, 1), k_.depthwise_grad_input_workspace_bytes(s, 1),
                  k_.depthwise_grad_weights_workspace_bytes(s, 1)}));
    add(forward_, name, "forward", macs, 0,
        [=, this] { k_.depthwise(s, x, w, b, {}, y, workspace, nullptr); });
    std::vector<Step> back;
    add(back, name, "weights", macs, 0,
        [=, this, dy = dy_] { k_.depthwise_grad_weights(s, x, dy, dw, b, workspace, nullptr); });
    add(back, name, "input", macs, 0, [=, this, dy = dy_, dx = dx_] {
      k_.depthwise_grad_input(s, dy, w, dx, workspace, nullptr);
    });
    finish(std::move(back), y, out, true);
  }

  void norm(const char* name, int64_t rows, int64_t channels, bool relu) {
    float* y = memory_.floats(rows * channels);
    float* p = memory_.floats(8 * channels);
    void* workspace = memory_.bytes(k_.batch_norm_workspace_bytes(rows, channels));
    const Clamp clamp = relu ? Clamp{0} : Clamp{};
    const double bytes = static_cast<double>(4 * rows * channels);
    const BatchNormForward f{.rows = rows,
                             .channels = channels,
                             .x = x_,
                             .gamma = p,
                             .beta = p + channels,
                             .clamp = clamp,
                             .y = y,
                             .mean = p + 2 * channels,
                             .inv_std = p + 3 * channels};
    const BatchNormBackward g{.rows = rows,
                              .channels = channels,
                              .x = x_,
                              .gamma = p,
                              .beta = p + channels,
                              .mean = p + 2 * channels,
                              .inv_std = p + 3 * channels,
                              .clamp = clamp,
                              .dy = dy_,
                              .dx = dy_,
                              .dgamma = p + 4 * channels,
                              .dbeta = p + 5 * channels};
    add(forward_, name, "forward", 0, 3 * bytes,
        [=, this] { k_.batch_norm(f, workspace, nullptr); });
    std::vector<Step> back;
    add(back, name, "backward", 0, 5 * bytes,
        [=, this] { k_.batch_norm_grad(g, workspace, nullptr); });
    finish(std::move(back), y, rows * channels, false);
  }

  /// Where a residual block starts: its input and the gradient's second way back.
  struct Branch {
    float* x;
    float* gradient;
    int64_t size;
  };

  Branch branch() {
    const Branch b{x_, memory_.floats(size_), size_};
    // Backward: the gradient through the block plus the one past it.
    std::vector<Step> back;
    add(back, "branch", "sum", 0, static_cast<double>(12 * size_),
        [=, this, dy = dy_] { k_.add(b.size, dy, b.gradient, {}, dy, nullptr); });
    backward_.insert(backward_.begin(), back.begin(), back.end());
    return b;
  }

  /// y = relu(x + branch), the branch through a strided 1x1 convolution if it changes shape.
  void join(const char* name, const Branch& b, const Conv2dShape* s) {
    float* past = b.x;
    std::vector<Step> back;
    const int64_t n = size_;
    float* y = memory_.floats(n);
    add(back, name, "relu", 0, static_cast<double>(12 * n),
        [=, this, dy = dy_] { k_.clamp_grad(n, y, dy, {0}, dy, nullptr); });
    if (s == nullptr) {
      add(back, name, "copy", 0, static_cast<double>(8 * n), [n, b, dy = dy_] {
        std::memcpy(b.gradient, dy, static_cast<size_t>(n) * sizeof(float));
      });
    } else {
      past = memory_.floats(n);
      const int64_t weights = s->in_c * s->out_c;
      float* w = memory_.floats(weights);
      float* dw = memory_.floats(weights);
      const double macs = static_cast<double>(n * s->in_c);
      void* workspace = memory_.bytes(
          std::max({k_.conv2d_workspace_bytes(*s, 1), k_.conv2d_grad_input_workspace_bytes(*s, 1),
                    k_.conv2d_grad_weights_workspace_bytes(*s, 1)}));
      add(forward_, name, "forward", macs, 0,
          [=, this, shape = *s] { k_.conv2d(shape, b.x, w, w, {}, past, workspace, nullptr); });
      add(back, name, "weights", macs, 0, [=, this, shape = *s, dy = dy_] {
        k_.conv2d_grad_weights(shape, b.x, dy, dw, nullptr, workspace, nullptr);
      });
      add(back, name, "input", macs, 0, [=, this, shape = *s, dy = dy_] {
        k_.conv2d_grad_input(shape, dy, w, b.gradient, workspace, nullptr);
      });
    }
    float* x = x_;
    add(forward_, name, "add", 0, static_cast<double>(12 * n),
        [=, this] { k_.add(n, x, past, {0}, y, nullptr); });
    finish(std::move(back), y, n, false);
  }

  void global_pool(int64_t batch, int64_t pixels, int64_t channels) {
    float* x = x_;
    float* y = memory_.floats(batch * channels);
    const double bytes = static_cast<double>(4 * batch * pixels * channels);
    add(forward_, "pool", "forward", 0, bytes,
        [=, this] { k_.global_average_pool(batch, pixels, channels, x, y, nullptr); });
    std::vector<Step> back;
    add(back, "pool", "backward", 0, bytes, [=, this, dy = dy_, dx = dx_] {
      k_.global_average_pool_grad(batch, pixels, channels, dy, dx, nullptr);
    });
    finish(std::move(back), y, batch * channels, true);
  }

  void softmax(int64_t batch, int64_t classes) {
    add(forward_, "softmax", "forward", 0, static_cast<double>(8 * batch * classes),
        [=, this, x = x_] { k_.softmax(batch, classes, x, x, nullptr); });
  }

  void report(double peak, const char* filter) {
    std::vector<Step> all = forward_;
    all.insert(all.end(), backward_.begin(), backward_.end());
    std::printf("\n%s\n", name_.c_str());
    double alone = 0;
    double quiet = 0;  // sum of the minima in a step: what a machine without other work would take
    double whole = 1e30;
    std::vector<double> in_step(all.size(), 1e30);
    const double budget = 1.5;
    for (double spent = 0; spent < budget;) {
      const auto start = Clock::now();
      auto last = start;
      for (size_t i = 0; i < all.size(); ++i) {
        all[i].run();
        const auto now = Clock::now();
        in_step[i] = std::min(in_step[i], seconds(last, now));
        last = now;
      }
      whole = std::min(whole, seconds(start, last));
      spent += seconds(start, last);
    }
    std::printf("  %-32s %10s %10s\n", "", "in a step", "repeated");
    for (size_t i = 0; i < all.size(); ++i) {
      const Step& s = all[i];
      if (filter != nullptr && s.name.find(filter) == std::string::npos) continue;
      const double t = fastest(s.run);
      alone += t;
      quiet += in_step[i];
      std::printf("  %-32s %7.1f us %7.1f us", s.name.c_str(), in_step[i] * 1e6, t * 1e6);
      if (s.macs > 0) {
        const double rate = s.macs / in_step[i] / 1e9;
        std::printf(" %7.1f GMAC/s %4.0f %%\n", rate, rate / peak * 100);
      } else {
        std::printf(" %7.1f GB/s\n", s.bytes / in_step[i] / 1e9);
      }
    }
    std::printf("  %-32s %7.1f us %7.1f us\n", "sum", quiet * 1e6, alone * 1e6);
    std::printf("  %-32s %7.1f us\n", "fastest whole step", whole * 1e6);
  }

 private:
  static double seconds(Clock::time_point a, Clock::time_point b) {
    return std::chrono::duration<double>(b - a).count();
  }

  void add(std::vector<Step>& steps, const char* name, const char* part, double macs, double bytes,
           std::function<void()> run) {
    steps.push_back({std::string(name) + " " + part, macs, bytes, std::move(run)});
  }

  bool forward_is_first() const { return forward_.size() == 1; }

  /// Moves on to the layer's output; its backward steps come before all earlier layers' ones.
  void finish(std::vector<Step> back, float* y, int64_t size, bool swaps) {
    backward_.insert(backward_.begin(), back.begin(), back.end());
    if (swaps) std::swap(dy_, dx_);
    x_ = y;
    size_ = size;
  }

  const KernelTable& k_;
  std::string name_;
  Memory memory_;
  float* x_;
  int64_t size_;
  float* dy_ = nullptr;
  float* dx_ = nullptr;
  std::vector<Step> forward_, backward_;
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
  Network n(k, "MLP 128-64-10", 32 * 128);
  n.reserve_gradients(32 * 128);
  n.dense("dense 128-64", 32, 128, 64, true);
  n.dense("dense 64-10", 32, 64, 10, false);
  n.softmax(32, 10);
  n.report(peak, filter);
}

void keyword_spotting(const KernelTable& k, double peak, const char* filter) {
  Network n(k, "DS-CNN, keyword spotting", 32 * 490);
  n.reserve_gradients(32 * 125 * 64);
  n.conv("conv 10x4 1-64", conv_shape(49, 10, 10, 4, 2, 1, 64));
  n.norm("norm", 32 * 125, 64, true);
  for (int i = 0; i < 4; ++i) {
    const Conv2dShape s = conv_shape(25, 5, 3, 3, 1, 64, 64);
    n.depthwise("depthwise 3x3", {.window = s.window, .batch = 32, .channels = 64});
    n.norm("norm", 32 * 125, 64, true);
    n.conv("conv 1x1 64-64", conv_shape(25, 5, 1, 1, 1, 64, 64));
    n.norm("norm", 32 * 125, 64, true);
  }
  n.global_pool(32, 125, 64);
  n.dense("dense 64-12", 32, 64, 12, false);
  n.softmax(32, 12);
  n.report(peak, filter);
}

void resnet8(const KernelTable& k, double peak, const char* filter) {
  Network n(k, "ResNet-8, 32x32", 32 * 1024 * 3);
  n.reserve_gradients(32 * 1024 * 16);
  n.conv("conv 3x3 3-16 at 32", conv_shape(32, 32, 3, 3, 1, 3, 16));
  n.norm("norm 16", 32 * 1024, 16, true);
  Network::Branch branch = n.branch();
  n.conv("conv 3x3 16-16 at 32", conv_shape(32, 32, 3, 3, 1, 16, 16));
  n.norm("norm 16", 32 * 1024, 16, true);
  n.conv("conv 3x3 16-16 at 32", conv_shape(32, 32, 3, 3, 1, 16, 16));
  n.norm("norm 16", 32 * 1024, 16, false);
  n.join("residual 16", branch, nullptr);
  branch = n.branch();
  n.conv("conv 3x3 16-32 s2", conv_shape(32, 32, 3, 3, 2, 16, 32));
  n.norm("norm 32", 32 * 256, 32, true);
  n.conv("conv 3x3 32-32 at 16", conv_shape(16, 16, 3, 3, 1, 32, 32));
  n.norm("norm 32", 32 * 256, 32, false);
  Conv2dShape shortcut = conv_shape(32, 32, 1, 1, 2, 16, 32);
  n.join("residual 32", branch, &shortcut);
  branch = n.branch();
  n.conv("conv 3x3 32-64 s2", conv_shape(16, 16, 3, 3, 2, 32, 64));
  n.norm("norm 64", 32 * 64, 64, true);
  n.conv("conv 3x3 64-64 at 8", conv_shape(8, 8, 3, 3, 1, 64, 64));
  n.norm("norm 64", 32 * 64, 64, false);
  shortcut = conv_shape(16, 16, 1, 1, 2, 32, 64);
  n.join("residual 64", branch, &shortcut);
  n.global_pool(32, 64, 64);
  n.dense("dense 64-10", 32, 64, 10, false);
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
  const FlushSubnormals flush;
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
