#pragma once
// The int8 kernels in plain C++: for CPUs without a version of their own, and what every target
// shares. Compiled once per target, in a namespace named after it.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/kernels/int8/int8_kernels.h"

namespace ew::kernels::int8::EW_INT8_TARGET {

/// floor(y) for what lies within a byte, clamped outside it. What is not a number, which constants
/// of a damaged file may give, is 0.
inline int32_t floor_to_byte(double y) {
  return static_cast<int32_t>(y > 0.0 ? std::min(y, 255.5) : 0.0);
}

inline uint8_t to_byte(const Requant& r, int32_t acc, int64_t lane) {
  if (r.rounding == Rounding::kExact) return r.exact(r.context, acc, r.channel[lane]);
  // In double the product and, near every step, the sum are exact: the proof leaves a margin.
  const auto offset = static_cast<double>(acc < 0 ? r.offset_negative[lane] : r.offset[lane]);
  const double y =
      static_cast<double>(acc) * static_cast<double>(r.scale[lane]) + offset + r.zero + 128;
  return static_cast<uint8_t>(std::clamp<int32_t>(floor_to_byte(y), r.min, r.max));
}

// ---- convolution: tiles of 16 channels of one pixel

inline constexpr int kPlainLanes = 16;

inline int64_t plain_plan_conv(const ConvShape&, int64_t channels, ConvBlock* blocks,
                               int64_t limit) {
  const int64_t count = (channels + kPlainLanes - 1) / kPlainLanes;
  for (int64_t i = 0; i < std::min(count, limit); ++i) {
    blocks[i] = {.vectors = 1,
                 .pixels = 1,
                 .first = i * kPlainLanes,
                 .channels = std::min<int64_t>(kPlainLanes, channels - i * kPlainLanes)};
  }
  return count;
}
inline int plain_conv_channel(int, int, int lane) { return lane; }

inline size_t plain_conv_weight_bytes(const ConvShape& s, const ConvBlock&) {
  return static_cast<size_t>(s.segments * s.segment_bytes * kPlainLanes) * sizeof(int16_t);
}

// [tap][lane]
inline void plain_pack_conv(const ConvShape& s, const ConvBlock& b, const int8_t* w,
                            int64_t all_channels, void* packed) {
  auto* out = static_cast<int16_t*>(packed);
  for (int64_t k = 0; k < s.segments * s.segment_bytes; ++k) {
    for (int64_t l = 0; l < kPlainLanes; ++l) {
      *out++ = l < b.channels ? w[k * all_channels + b.first + l] : int16_t{0};
    }
  }
}

inline void plain_conv(const ConvShape& s, const ConvBlock& b, const uint8_t* x, uint8_t* y) {
  for (int64_t n = 0; n < s.images; ++n) {
    for (int64_t oy = 0; oy < s.out_h; ++oy) {
      for (int64_t ox = 0; ox < s.out_w; ++ox) {
        const uint8_t* in = x + n * s.in_image + oy * s.in_row + ox * s.in_pixel;
        uint32_t acc[kPlainLanes];
        for (int l = 0; l < kPlainLanes; ++l) acc[l] = static_cast<uint32_t>(b.requant.bias[l]);
        const auto* w = static_cast<const int16_t*>(b.weights);
        for (int64_t i = 0; i < s.segments; ++i) {
          const uint8_t* run = in + s.segment_offsets[i];
          for (int64_t k = 0; k < s.segment_bytes; ++k, w += kPlainLanes) {
            const int16_t value = run[k];
            // Sums wrap, as the definition's do.
            for (int l = 0; l < kPlainLanes; ++l) {
              const int32_t product = value * w[l];
              acc[l] += static_cast<uint32_t>(product);
            }
          }
        }
        uint8_t* out = y + n * s.out_image + oy * s.out_row + ox * s.out_pixel + b.first;
        for (int64_t l = 0; l < b.channels; ++l) {
          out[l] = to_byte(b.requant, static_cast<int32_t>(acc[l]), l);
        }
      }
    }
  }
}

// ---- depthwise

inline int64_t plain_depthwise_lanes(const DepthwiseShape& s) { return s.channels; }
inline int64_t plain_depthwise_channel(const DepthwiseShape&, int64_t lane) { return lane; }
inline size_t plain_depthwise_weight_bytes(const DepthwiseShape& s) {
  return static_cast<size_t>(s.kernel_h * s.kernel_w * s.channels) * sizeof(int16_t);
}
inline void plain_pack_depthwise(const DepthwiseShape& s, const int8_t* w, void* packed) {
  auto* out = static_cast<int16_t*>(packed);
  for (int64_t i = 0; i < s.kernel_h * s.kernel_w * s.channels; ++i) out[i] = w[i];
}

inline void plain_depthwise(const DepthwiseShape& s, const void* weights, const Requant& r,
                            const uint8_t* x, uint8_t* y) {
  constexpr int64_t kBlock = 32;
  const auto* all = static_cast<const int16_t*>(weights);
  for (int64_t n = 0; n < s.images; ++n) {
    for (int64_t oy = 0; oy < s.out_h; ++oy) {
      for (int64_t ox = 0; ox < s.out_w; ++ox) {
        const uint8_t* in = x + n * s.in_image + oy * s.in_row + ox * s.in_pixel;
        uint8_t* out = y + n * s.out_image + oy * s.out_row + ox * s.out_pixel;
        for (int64_t c = 0; c < s.channels; c += kBlock) {
          const int64_t count = std::min(kBlock, s.channels - c);
          uint32_t acc[kBlock];
          for (int64_t l = 0; l < count; ++l) acc[l] = static_cast<uint32_t>(r.bias[c + l]);
          for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
            for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
              const uint8_t* tap = in + ky * s.tap_row + kx * s.tap_column + c;
              const int16_t* w = all + (ky * s.kernel_w + kx) * s.channels + c;
              for (int64_t l = 0; l < count; ++l) {
                const int32_t product = static_cast<int16_t>(tap[l]) * w[l];
                acc[l] += static_cast<uint32_t>(product);
              }
            }
          }
          for (int64_t l = 0; l < count; ++l) {
            out[c + l] = to_byte(r, static_cast<int32_t>(acc[l]), c + l);
          }
        }
      }
    }
  }
}

// ---- the rest

inline void plain_add(const Rows& s, int64_t b_row, const AddForm& f, const uint8_t* a,
                      const uint8_t* b, uint8_t* y) {
  for (int64_t r = 0; r < s.rows; ++r) {
    for (int64_t i = 0; i < s.bytes; ++i) {
      const float inner = std::fmaf(static_cast<float>(b[r * b_row + i]), f.scale_b, f.offset);
      const double sum = static_cast<double>(a[r * s.in_row + i]) * static_cast<double>(f.scale_a) +
                         static_cast<double>(inner);
      y[r * s.out_row + i] =
          static_cast<uint8_t>(std::clamp<int32_t>(floor_to_byte(sum), f.min, f.max));
    }
  }
}

inline void plain_flip(const Rows& s, const uint8_t* x, uint8_t* y) {
  for (int64_t r = 0; r < s.rows; ++r) {
    const uint8_t* in = x + r * s.in_row;
    uint8_t* out = y + r * s.out_row;
    for (int64_t i = 0; i < s.bytes; ++i) out[i] = static_cast<uint8_t>(in[i] ^ 128);
  }
}

inline void plain_fill(const Rows& s, uint8_t value, uint8_t* y) {
  for (int64_t r = 0; r < s.rows; ++r) {
    std::memset(y + r * s.out_row, value, static_cast<size_t>(s.bytes));
  }
}

inline void plain_sum_pixels(const uint8_t* x, int64_t rows, int64_t in_row, int64_t pixels,
                             int64_t channels, int32_t* sums) {
  constexpr int64_t kBlock = 64;
  constexpr int64_t kMost = 257;  // bytes whose sum fits 16 bits
  for (int64_t c = 0; c < channels; c += kBlock) {
    const int64_t count = std::min(kBlock, channels - c);
    uint16_t part[kBlock] = {};
    int64_t held = 0;
    const auto flush = [&] {
      for (int64_t l = 0; l < count; ++l) sums[c + l] += part[l];
      std::memset(part, 0, sizeof(part));
      held = 0;
    };
    for (int64_t r = 0; r < rows; ++r) {
      const uint8_t* in = x + r * in_row + c;
      for (int64_t p = 0; p < pixels; ++p, in += channels) {
        if (count == kBlock) {
          for (int64_t l = 0; l < kBlock; ++l) part[l] = static_cast<uint16_t>(part[l] + in[l]);
        } else {
          for (int64_t l = 0; l < count; ++l) part[l] = static_cast<uint16_t>(part[l] + in[l]);
        }
        if (++held == kMost) flush();
      }
    }
    flush();
  }
}

inline void plain_requantize(const Requant& r, const int32_t* sums, int64_t channels, uint8_t* y) {
  for (int64_t c = 0; c < channels; ++c) {
    y[c] = to_byte(
        r, static_cast<int32_t>(static_cast<uint32_t>(sums[c]) + static_cast<uint32_t>(r.bias[c])),
        c);
  }
}

inline void plain_max_pixels(const uint8_t* x, int64_t rows, int64_t in_row, int64_t pixels,
                             int64_t channels, uint8_t* y) {
  std::memcpy(y, x, static_cast<size_t>(channels));
  for (int64_t r = 0; r < rows; ++r) {
    const uint8_t* in = x + r * in_row;
    for (int64_t p = 0; p < pixels; ++p, in += channels) {
      for (int64_t c = 0; c < channels; ++c) y[c] = std::max(y[c], in[c]);
    }
  }
}

inline void plain_quantize(int64_t n, const float* x, float scale, int32_t zero, uint8_t* y) {
  for (int64_t i = 0; i < n; ++i) {
    float v = x[i] / scale;
    v = v == v ? std::min(std::max(v, -512.F), 512.F) : 0.F;
    const auto whole = static_cast<int32_t>(v);
    const float rest = v - static_cast<float>(whole);
    const int32_t steps = whole + (rest >= 0.5F ? 1 : 0) - (rest <= -0.5F ? 1 : 0);
    y[i] = static_cast<uint8_t>(std::clamp(steps + zero, -128, 127) + 128);
  }
}

inline void plain_dequantize(int64_t n, const uint8_t* x, float scale, int32_t zero, float* y) {
  // The difference is exact, so this rounds once, as the definition does.
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(x[i] - zero) * scale;
}

inline constexpr Int8Table kPlainTable{
    .name = "portable",
    .pack_version = 2,
    .plan_conv = plain_plan_conv,
    .lanes = kPlainLanes,
    .conv_channel = plain_conv_channel,
    .conv_weight_bytes = plain_conv_weight_bytes,
    .pack_conv = plain_pack_conv,
    .conv = plain_conv,
    .depthwise_lanes = plain_depthwise_lanes,
    .depthwise_channel = plain_depthwise_channel,
    .depthwise_weight_bytes = plain_depthwise_weight_bytes,
    .pack_depthwise = plain_pack_depthwise,
    .depthwise = plain_depthwise,
    .add = plain_add,
    .flip = plain_flip,
    .fill = plain_fill,
    .sum_pixels = plain_sum_pixels,
    .requantize = plain_requantize,
    .max_pixels = plain_max_pixels,
    .quantize = plain_quantize,
    .dequantize = plain_dequantize,
};

}  // namespace ew::kernels::int8::EW_INT8_TARGET
