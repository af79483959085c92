#pragma once
// Products of real inputs with int8 weights ("dynamic range"): a sample is quantised, multiplied in
// integers and scaled back. The arithmetic is that of ops/hybrid.h to the bit: integer sums are
// exact, and what follows them is rounded in the same order.

#include "runtime/kernels/conv2d.h"
#include "runtime/kernels/cpu.h"

namespace ew::kernels {

/// A convolution with one group whose samples are quantised one by one, or (`rows`) a dense layer:
/// a window of 1 x 1 over an image of 1 x in_w, where every pixel is a sample.
struct HybridShape {
  Conv2dShape conv{};
  bool rows = false;
  /// Of a dense layer: every so many inputs have scales of their own; 0: all have the same.
  int64_t group = 0;
  /// Weights lie in [-8, 7] and are packed two to a byte.
  bool nibbles = false;

  int64_t groups() const { return group == 0 ? 1 : (conv.in_c + group - 1) / group; }
  int64_t taps() const { return conv.window.kernel_h * conv.window.kernel_w * conv.in_c; }
};

/// Sums of more terms could leave int32.
inline constexpr int64_t kMaxHybridTaps = 60'000;
/// Depthwise sums are floats that hold integers, exact up to 2^24.
inline constexpr int64_t kMaxHybridDepthwiseTaps = 500;

struct HybridArgs {
  const float* x = nullptr;
  const void* weights = nullptr;  ///< from pack()
  const float* bias = nullptr;    ///< [out_c] or null
  float* y = nullptr;
  Clamp clamp{};
  bool asymmetric = false;
  /// Whether a sum meets its channel's scale before the sample's; else the scales meet first.
  bool channel_first = false;
};

struct HybridTable {
  /// The dot product that this table is made of: "vnni" or "words".
  const char* name;
  size_t (*weight_bytes)(const HybridShape&);
  /// Packs w [kernel_h, kernel_w, in_c, out_c] and scales [groups, out_c].
  void (*pack)(const HybridShape&, const int8_t* w, const float* scales, void* packed);
  size_t (*workspace_bytes)(const HybridShape&, int threads);
  void (*product)(const HybridShape&, const HybridArgs&, void* workspace, ThreadPool* pool);

  /// What a depthwise convolution needs around the float kernel: a sample of n values as floats
  /// that hold integers (quantised minus zero point); returns the sample's scale, NaN if a value is
  /// not finite.
  float (*to_integers)(int64_t n, const float* x, bool asymmetric, float* q);
  /// y = clamp(y * factor[c] + bias[c]) over rows of n, rounded twice; in place.
  void (*scale_rows)(int64_t rows, int64_t n, const float* factor, const float* bias, Clamp clamp,
                     float* y);
};

/// The best for `target` on this machine, or what it would be without VNNI.
const HybridTable& hybrid_kernels(CpuTarget target, bool use_vnni = true);

}  // namespace ew::kernels
