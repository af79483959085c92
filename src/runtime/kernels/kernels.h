#pragma once
// The f32 micro-kernels: pure functions over raw pointers, one table of them per CPU target.
// Read common.h for the rules (workspace, threads, determinism) and the other headers for shapes.
//
//   const KernelTable& k = kernels(detect_cpu());
//   k.gemm({.m = 32, .n = 64, .k = 128, .a = x, .lda = 128, .b = w, .ldb = 64, .c = y, .ldc = 64,
//           .bias = bias, .clamp = {0}}, workspace, pool);

#include "ops/signal/fft.h"
#include "runtime/kernels/batch_norm.h"
#include "runtime/kernels/common.h"
#include "runtime/kernels/conv2d.h"
#include "runtime/kernels/cpu.h"
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/halves.h"
#include "runtime/kernels/pool.h"

namespace ew::kernels {

struct GemmTable {
  void (*gemm)(const GemmArgs&, void* workspace, ThreadPool* pool);
  /// Reads only sizes, strides and transposes of its argument.
  size_t (*gemm_workspace_bytes)(const GemmArgs&, int threads);
  /// B laid out once for many products (GemmArgs::is_packed) that differ only in a, c and bias.
  size_t (*gemm_packed_bytes)(const GemmArgs&);
  void (*gemm_pack)(const GemmArgs&, float* packed);
  HalvesTable halves;
};

struct ConvTable {
  /// y = clamp(conv(x, w) + bias); bias [out_c] may be null.
  void (*conv2d)(const Conv2dShape&, const float* x, const float* w, const float* bias, Clamp clamp,
                 float* y, void* workspace, ThreadPool* pool);
  /// dx = gradient of the input from dy; overwrites dx.
  void (*conv2d_grad_input)(const Conv2dShape&, const float* dy, const float* w, float* dx,
                            void* workspace, ThreadPool* pool);
  /// dw = gradient of the kernel; dbias [out_c] = column sums of dy, or null. Overwrites both.
  void (*conv2d_grad_weights)(const Conv2dShape&, const float* x, const float* dy, float* dw,
                              float* dbias, void* workspace, ThreadPool* pool);
  size_t (*conv2d_workspace_bytes)(const Conv2dShape&, int threads);
  size_t (*conv2d_grad_input_workspace_bytes)(const Conv2dShape&, int threads);
  size_t (*conv2d_grad_weights_workspace_bytes)(const Conv2dShape&, int threads);

  /// A convolution whose kernel never changes: laid out once, and transformed where Winograd's
  /// F(4x4, 3x3) pays. Its error stays below 4e-6 of the largest output magnitude.
  size_t (*conv2d_packed_bytes)(const Conv2dShape&);
  void (*conv2d_pack)(const Conv2dShape&, const float* w, float* packed);
  size_t (*conv2d_packed_workspace_bytes)(const Conv2dShape&, int threads);
  /// Whether conv2d_packed() reads halves.
  bool (*conv2d_takes_halves)(const Conv2dShape&);
  void (*conv2d_packed)(const Conv2dShape&, const float* x, const PackedB& packed,
                        const float* bias, Clamp clamp, float* y, void* workspace,
                        ThreadPool* pool);
};

struct DepthwiseTable {
  bool (*depthwise_takes_ring)(const DepthwiseShape&);
  /// As the functions of ConvTable; bias and dbias have channels * multiplier elements.
  void (*depthwise)(const DepthwiseShape&, const float* x, const float* w, const float* bias,
                    Clamp clamp, float* y, void* workspace, ThreadPool* pool);
  void (*depthwise_grad_input)(const DepthwiseShape&, const float* dy, const float* w, float* dx,
                               void* workspace, ThreadPool* pool);
  void (*depthwise_grad_weights)(const DepthwiseShape&, const float* x, const float* dy, float* dw,
                                 float* dbias, void* workspace, ThreadPool* pool);
  size_t (*depthwise_workspace_bytes)(const DepthwiseShape&, int threads);
  size_t (*depthwise_grad_input_workspace_bytes)(const DepthwiseShape&, int threads);
  size_t (*depthwise_grad_weights_workspace_bytes)(const DepthwiseShape&, int threads);
};

struct NormTable {
  void (*batch_norm)(const BatchNormForward&, void* workspace, ThreadPool* pool);
  void (*batch_norm_grad)(const BatchNormBackward&, void* workspace, ThreadPool* pool);
  /// For both of the above.
  size_t (*batch_norm_workspace_bytes)(int64_t rows, int64_t channels);
  void (*scale_shift)(const ScaleShift&, ThreadPool* pool);
  /// out[n] = sum over rows of x [rows, n] (+ out, if accumulate).
  void (*column_sums)(int64_t rows, int64_t n, const float* x, bool accumulate, float* out,
                      void* workspace, ThreadPool* pool);
  size_t (*column_sums_workspace_bytes)(int64_t rows, int64_t n);
};

struct PoolTable {
  /// Maximum over the valid part of the window (-inf if it is empty). `argmax`, if not null, gets
  /// for every output the tap ky * kernel_w + kx of the first maximum; backward needs it.
  void (*max_pool)(const PoolShape&, const float* x, float* y, int32_t* argmax, ThreadPool* pool);
  void (*max_pool_grad)(const PoolShape&, const float* dy, const int32_t* argmax, float* dx,
                        ThreadPool* pool);
  void (*average_pool)(const PoolShape&, const float* x, float* y, ThreadPool* pool);
  void (*average_pool_grad)(const PoolShape&, const float* dy, float* dx, ThreadPool* pool);
  /// x [batch, pixels, channels] -> y [batch, channels], the mean over pixels.
  void (*global_average_pool)(int64_t batch, int64_t pixels, int64_t channels, const float* x,
                              float* y, ThreadPool* pool);
  void (*global_average_pool_grad)(int64_t batch, int64_t pixels, int64_t channels, const float* dy,
                                   float* dx, ThreadPool* pool);
};

/// Functions that need no entry of their own.
enum class Unary {
  kAbs,
  kClip,  ///< to [alpha, beta]
  kGeluTanh,
  kHardSigmoid,  ///< clip(alpha x + beta, 0, 1)
  kHardSilu,
  kLeakyRelu,  ///< x > 0 ? x : alpha x
  kNeg,
  kSilu,
  kSqrt,
  kSquare,
};
enum class Binary { kDiv, kMaximum, kMinimum, kSub };

/// How an operand covers [rows, n]: whole, the same row every time, or one value.
enum class Spread { kSame, kRow, kScalar };
struct BinaryOperand {
  const float* data = nullptr;
  Spread spread = Spread::kSame;
};

/// All of these may work in place (output = an input) unless noted. Relative error of exp, sigmoid
/// and tanh is below 2e-7 (exp: results below 1.2e-38 become 0).
struct ElementwiseTable {
  /// y = clamp(a op b).
  void (*add)(int64_t n, const float* a, const float* b, Clamp clamp, float* y, ThreadPool* pool);
  void (*mul)(int64_t n, const float* a, const float* b, float* y, ThreadPool* pool);
  /// y = x * factor + offset, rounded twice.
  void (*affine)(int64_t n, const float* x, float factor, float offset, float* y, ThreadPool* pool);
  /// y += x * factor, rounded twice.
  void (*add_scaled)(int64_t n, const float* x, float factor, float* y, ThreadPool* pool);
  /// y = clamp(x): ReLU, ReLU6.
  void (*clamp)(int64_t n, const float* x, Clamp clamp, float* y, ThreadPool* pool);
  /// dx = dy where lo < y < hi, else 0; y may be the clamp's input or its output.
  void (*clamp_grad)(int64_t n, const float* y, const float* dy, Clamp clamp, float* dx,
                     ThreadPool* pool);
  void (*exp)(int64_t n, const float* x, float* y, ThreadPool* pool);
  void (*sigmoid)(int64_t n, const float* x, float* y, ThreadPool* pool);
  void (*tanh)(int64_t n, const float* x, float* y, ThreadPool* pool);
  /// dx = dy * y * (1 - y) and dy * (1 - y * y), from the output y.
  void (*sigmoid_grad)(int64_t n, const float* y, const float* dy, float* dx, ThreadPool* pool);
  void (*tanh_grad)(int64_t n, const float* y, const float* dy, float* dx, ThreadPool* pool);
  /// y[i] = x[i] * scale where finish_counter_hash(key, i) >> 11 (base/rng.h) reaches `threshold`,
  /// else 0: dropout, with threshold = rate * 2^53.
  void (*keep_random)(int64_t n, const float* x, uint64_t key, uint64_t threshold, double scale,
                      float* y, ThreadPool* pool);
  void (*unary)(Unary f, int64_t n, const float* x, float alpha, float beta, float* y,
                ThreadPool* pool);
  /// y [rows, n] = f(a, b).
  void (*binary)(Binary f, int64_t rows, int64_t n, const BinaryOperand& a, const BinaryOperand& b,
                 float* y, ThreadPool* pool);
  /// y = x[r,c] * row[c] over x [rows, n].
  void (*mul_row)(int64_t rows, int64_t n, const float* x, const float* row, float* y,
                  ThreadPool* pool);
  /// y = x[r,c] + row[c] over x [rows, n], clamped.
  void (*add_row)(int64_t rows, int64_t n, const float* x, const float* row, Clamp clamp, float* y,
                  ThreadPool* pool);
  /// Over each row of x [rows, n].
  void (*softmax)(int64_t rows, int64_t n, const float* x, float* y, ThreadPool* pool);
  void (*log_softmax)(int64_t rows, int64_t n, const float* x, float* y, ThreadPool* pool);
  /// dx = y * (dy - sum(dy * y)) per row.
  void (*softmax_grad)(int64_t rows, int64_t n, const float* y, const float* dy, float* dx,
                       ThreadPool* pool);
  /// Sum of all elements, and of their squares (for clipping by norm).
  double (*sum)(int64_t n, const float* x);
  double (*sum_of_squares)(int64_t n, const float* x);
};

/// Rows that dft works on side by side.
inline constexpr int64_t kDftLanes = ops::signal::kMaxLanes;

struct SignalTable {
  /// `count` rows of x transformed into rows of y, `lanes` at a time; workspace has
  /// plan.workspace(lanes) elements. A row's bits do not depend on `lanes`.
  void (*dft)(const ops::signal::DftPlan& plan, const float* x, float* y, int64_t count,
              int64_t lanes, float* workspace);
};

/// Every kernel of one target.
struct KernelTable : GemmTable,
                     ConvTable,
                     DepthwiseTable,
                     NormTable,
                     PoolTable,
                     ElementwiseTable,
                     SignalTable {};

/// The kernels of `target`, which is_supported() must allow.
const KernelTable& kernels(CpuTarget target);

}  // namespace ew::kernels
