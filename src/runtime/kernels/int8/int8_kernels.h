#pragma once
// The int8 micro-kernels, one table of them per CPU target.
//
// Activations are bytes u = stored value + 128, NHWC, in buffers that already hold the border their
// consumers read (its value is zero point + 128), so no kernel has an edge case. A weight w meets
// u - 128 - zero: the constant part is folded into the bias. Kernels may read up to kSlackBytes
// past the last byte of an input (what they read there has no effect) and write nothing but their
// output.
//
// Nothing allocates, locks or fails; shapes are trusted.

#include <cstddef>
#include <cstdint>

#include "runtime/kernels/cpu.h"

namespace ew::kernels::int8 {

/// Readable bytes behind every buffer, besides one more row of it.
inline constexpr int64_t kSlackBytes = 256;

/// How an accumulator becomes a byte. The float forms have been proved to give the exact result
/// (runtime/int8/prove.h); all round downwards.
enum class Rounding : uint8_t {
  /// The accumulator starts at kFloatBits + bias, so that its bits read as the float kFloatOne +
  /// acc,
  /// and nothing is converted: clamp(floor(that * scale + offset), 0, 255), which holds the + 128
  /// already. Only for tables that have it.
  kBits,
  /// clamp(floor(acc * scale + (acc < 0 ? offset_negative : offset)) + zero + 128, min, max)
  kFloat,
  /// The same with acc * fine added to the offset, rounded to the nearest float: `scale` and `fine`
  /// together have 48 bits. Only for tables that have it.
  kFine,
  kExact,  ///< exact(context, acc, channel)
};
inline constexpr int32_t kFloatBits = 0x4B400000;
inline constexpr double kFloatOne = 12582912;  ///< 1.5 * 2^23, where floats step by 1

/// Constants of one block of output channels, in the order of its lanes.
struct Requant {
  Rounding rounding = Rounding::kExact;
  uint8_t min = 0;
  uint8_t max = 255;
  const int32_t* bias = nullptr;
  const float* scale = nullptr;
  const float* offset = nullptr;
  const float* offset_negative = nullptr;
  const float* fine = nullptr;  ///< with kFine
  /// Whether the floats of every 16 lanes are those of the first 16, as where all channels share a
  /// scale: a kernel then need not read them all.
  bool repeats = false;
  const int32_t* channel = nullptr;  ///< of each lane; -1 for lanes without one
  uint8_t (*exact)(const void* context, int32_t acc, int32_t channel) = nullptr;
  const void* context = nullptr;
  /// With kExact, if not null: exact() rounds acc * multiplier / 2^31 and the result / 2^shift,
  /// ties away from zero, and adds `zero`.
  const int32_t* multiplier = nullptr;
  const int32_t* shift = nullptr;
  int32_t zero = 0;  ///< a stored value
};

/// A product of windows and kernels: every output pixel reads `segments` runs of `segment_bytes`
/// bytes, run i at input pixel + segment_offsets[i]. Strides in bytes.
struct ConvShape {
  int64_t images = 1;
  int64_t out_h = 1, out_w = 1;
  int64_t in_image = 0, in_row = 0,
          in_pixel = 0;  ///< step of the input per output image, row, pixel
  int64_t out_image = 0, out_row = 0, out_pixel = 0;
  int64_t segments = 1;
  int64_t segment_bytes = 0;
  const int32_t* segment_offsets = nullptr;
};

/// Output channels computed together. `vectors` and `pixels` choose the tile.
struct ConvBlock {
  int vectors = 1;
  int pixels = 1;
  int64_t first = 0;     ///< channel
  int64_t channels = 0;  ///< of the vectors' lanes, those that exist
  const void* weights = nullptr;
  Requant requant = {};
};

/// Every channel with a filter of its own; [kernel_h, kernel_w] taps at steps tap_row, tap_column.
struct DepthwiseShape {
  int64_t images = 1;
  int64_t channels = 0;
  int64_t out_h = 1, out_w = 1;
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t in_image = 0, in_row = 0, in_pixel = 0;
  int64_t tap_row = 0, tap_column = 0;
  int64_t out_image = 0, out_row = 0, out_pixel = 0;
};

/// Rows of bytes with a stride.
struct Rows {
  int64_t rows = 1;
  int64_t bytes = 0;
  int64_t in_row = 0;
  int64_t out_row = 0;
};

/// clamp(floor(a * scale_a + fma(b, scale_b, offset)), min, max) on bytes; the inner result is
/// rounded to the nearest float, the outer one downwards. With `shift` > 0 (22 at most), for tables
/// that have it, instead: clamp(((a - 128) * whole_a + (b - 128) * whole_b + start) >> shift, ..),
/// where a sum that leaves the range of int32 stays at its end.
struct AddForm {
  float scale_a = 0;
  float scale_b = 0;
  float offset = 0;
  int32_t shift = 0;
  int32_t whole_a = 0;  ///< of 24 bits with its sign, as whole_b
  int32_t whole_b = 0;
  int32_t start = 0;
  uint8_t min = 0;
  uint8_t max = 255;
};

struct Int8Table {
  const char* name = "";  ///< of the layout of packed constants, for files; "": never in files
  /// Of what plan_conv, pack_conv and pack_depthwise do: one more whenever that changes.
  uint32_t pack_version = 0;
  bool has_bits = false;       ///< knows Rounding::kBits
  bool has_fine = false;       ///< knows Rounding::kFine
  bool has_whole_add = false;  ///< knows AddForm::shift
  /// Blocks that cover `channels`; returns their number (at most kMaxBlocks are written, and only
  /// vectors, pixels, first and channels of each).
  int64_t (*plan_conv)(const ConvShape&, int64_t channels, ConvBlock* blocks, int64_t limit);
  int lanes;                                               ///< of one vector of accumulators
  int (*conv_channel)(int vectors, int vector, int lane);  ///< within a block
  size_t (*conv_weight_bytes)(const ConvShape&, const ConvBlock&);
  /// Packs w [segments * segment_bytes, all_channels] for one block.
  void (*pack_conv)(const ConvShape&, const ConvBlock&, const int8_t* w, int64_t all_channels,
                    void* packed);
  void (*conv)(const ConvShape&, const ConvBlock&, const uint8_t* x, uint8_t* y);

  int64_t (*depthwise_lanes)(const DepthwiseShape&);
  int64_t (*depthwise_channel)(const DepthwiseShape&, int64_t lane);
  size_t (*depthwise_weight_bytes)(const DepthwiseShape&);
  /// Packs w [kernel_h, kernel_w, channels].
  void (*pack_depthwise)(const DepthwiseShape&, const int8_t* w, void* packed);
  void (*depthwise)(const DepthwiseShape&, const void* weights, const Requant&, const uint8_t* x,
                    uint8_t* y);

  /// Two inputs with rows of their own strides.
  void (*add)(const Rows&, int64_t b_row, const AddForm&, const uint8_t* a, const uint8_t* b,
              uint8_t* y);
  /// y = x ^ 128: from stored values to bytes and back.
  void (*flip)(const Rows&, const uint8_t* x, uint8_t* y);
  /// Rows of one value.
  void (*fill)(const Rows&, uint8_t value, uint8_t* y);
  /// sums[c] += the bytes of channel c in `rows` rows of `pixels` pixels.
  void (*sum_pixels)(const uint8_t* x, int64_t rows, int64_t in_row, int64_t pixels,
                     int64_t channels, int32_t* sums);
  /// y[c] = requantised sums[c]; the lanes are the channels in order.
  void (*requantize)(const Requant&, const int32_t* sums, int64_t channels, uint8_t* y);
  /// y[c] = largest byte of channel c.
  void (*max_pixels)(const uint8_t* x, int64_t rows, int64_t in_row, int64_t pixels,
                     int64_t channels, uint8_t* y);
  /// Stored + 128 of round(x / scale) + zero, ties away from zero; NaN gives the zero point.
  void (*quantize)(int64_t n, const float* x, float scale, int32_t zero, uint8_t* y);
  /// y = (x - zero) * scale; `zero` is that of the bytes.
  void (*dequantize)(int64_t n, const uint8_t* x, float scale, int32_t zero, float* y);
};

/// The int8 kernels of the best instruction set that `target` stands for on this machine.
const Int8Table& int8_kernels(CpuTarget target);

}  // namespace ew::kernels::int8
