// The int8 kernels for AVX2. vpmaddubsw would saturate, so bytes are widened to 16 bits and
// multiplied in pairs (vpmaddwd), which is exact. Tiles are 16 channels of up to four pixels.
#define EW_INT8_TARGET avx2
#include "runtime/kernels/int8/int8_256_impl.h"

namespace ew::kernels::int8::avx2 {
namespace {

constexpr int kChannels = 16;
constexpr int kMaxPixels = 4;

EW_INLINE __m256i requantize_lanes(__m256i acc, const Requant& r, int64_t lane) {
  const __m256 offset =
      _mm256_blendv_ps(_mm256_loadu_ps(r.offset + lane), _mm256_loadu_ps(r.offset_negative + lane),
                       _mm256_castsi256_ps(acc));
  return _mm256_cvtps_epi32(
      _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc), _mm256_loadu_ps(r.scale + lane), offset));
}

// 16 accumulators to 16 bytes, of which the first n are stored.
EW_INLINE void store(const Requant& r, __m256i a, __m256i b, int64_t lane, int64_t n,
                     uint8_t* out) {
  if (r.rounding == Rounding::kExact) {
    alignas(32) int32_t acc[kChannels];
    _mm256_store_si256(reinterpret_cast<__m256i*>(acc), a);
    _mm256_store_si256(reinterpret_cast<__m256i*>(acc + 8), b);
    for (int64_t i = 0; i < n; ++i) out[i] = r.exact(r.context, acc[i], r.channel[lane + i]);
    return;
  }
  const __m256i words = _mm256_permute4x64_epi64(
      _mm256_packs_epi32(requantize_lanes(a, r, lane), requantize_lanes(b, r, lane + 8)), 0xD8);
  const __m128i low = _mm256_castsi256_si128(words);
  const __m128i high = _mm256_extracti128_si256(words, 1);
  const __m128i zero = _mm_set1_epi16(static_cast<int16_t>(r.zero + 128));
  __m128i bytes = _mm_packus_epi16(_mm_adds_epi16(low, zero), _mm_adds_epi16(high, zero));
  bytes = _mm_min_epu8(_mm_max_epu8(bytes, _mm_set1_epi8(static_cast<char>(r.min))),
                       _mm_set1_epi8(static_cast<char>(r.max)));
  if (n == kChannels) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), bytes);
  } else {
    alignas(16) uint8_t part[kChannels];
    _mm_store_si128(reinterpret_cast<__m128i*>(part), bytes);
    std::memcpy(out, part, static_cast<size_t>(n));
  }
}

// Weights [segment][dword][even bytes, odd bytes][two vectors][lane][2]: a dword of input holds
// bytes 0 and 2 in its even places, 1 and 3 in its odd ones.
template <int Pixels>
EW_INLINE void multiply(const ConvShape& s, const uint8_t* in, const int16_t* w,
                        __m256i (&acc)[Pixels][2]) {
  const __m256i even_mask = _mm256_set1_epi32(0x00FF00FF);
  const int64_t dwords = (s.segment_bytes + 3) / 4;
  for (int64_t i = 0; i < s.segments; ++i) {
    const uint8_t* x = in + s.segment_offsets[i];
    for (int64_t k = 0; k < dwords; ++k, x += 4, w += 64) {
      EW_UNROLL for (int p = 0; p < Pixels; ++p) {
        int32_t four;
        std::memcpy(&four, x + p * s.in_pixel, 4);
        const __m256i bytes = _mm256_set1_epi32(four);
        const __m256i even = _mm256_and_si256(bytes, even_mask);
        const __m256i odd = _mm256_srli_epi16(bytes, 8);
        EW_UNROLL for (int v = 0; v < 2; ++v) {
          acc[p][v] = _mm256_add_epi32(acc[p][v], _mm256_madd_epi16(even, load(w + 16 * v)));
          acc[p][v] = _mm256_add_epi32(acc[p][v], _mm256_madd_epi16(odd, load(w + 32 + 16 * v)));
        }
      }
    }
  }
}

template <int Pixels>
void run_tiles(const ConvShape& s, const ConvBlock& b, const uint8_t* x, uint8_t* y) {
  const auto* w = static_cast<const int16_t*>(b.weights);
  for (int64_t n = 0; n < s.images; ++n) {
    for (int64_t oy = 0; oy < s.out_h; ++oy) {
      for (int64_t ox = 0; ox < s.out_w; ox += Pixels) {
        // The last tile of a row overlaps the one before it.
        const int64_t at = std::min<int64_t>(ox, s.out_w - Pixels);
        __m256i acc[Pixels][2];
        EW_UNROLL for (int p = 0; p < Pixels; ++p) EW_UNROLL for (int v = 0; v < 2; ++v) acc[p][v] =
            load(b.requant.bias + 8 * v);
        multiply<Pixels>(s, x + n * s.in_image + oy * s.in_row + at * s.in_pixel, w, acc);
        uint8_t* out = y + n * s.out_image + oy * s.out_row + at * s.out_pixel + b.first;
        EW_UNROLL for (int p = 0; p < Pixels; ++p)
            store(b.requant, acc[p][0], acc[p][1], 0, b.channels, out + p * s.out_pixel);
      }
    }
  }
}

int64_t plan_conv(const ConvShape& s, int64_t channels, ConvBlock* blocks, int64_t limit) {
  const int64_t count = plain_plan_conv(s, channels, blocks, limit);
  for (int64_t i = 0; i < std::min(count, limit); ++i) {
    blocks[i].pixels = s.out_w >= kMaxPixels ? kMaxPixels : s.out_w >= 2 ? 2 : 1;
  }
  return count;
}

size_t conv_weight_bytes(const ConvShape& s, const ConvBlock&) {
  return static_cast<size_t>(s.segments * ((s.segment_bytes + 3) / 4)) * 64 * sizeof(int16_t);
}

void pack_conv(const ConvShape& s, const ConvBlock& b, const int8_t* w, int64_t all_channels,
               void* packed) {
  auto* out = static_cast<int16_t*>(packed);
  for (int64_t i = 0; i < s.segments; ++i) {
    for (int64_t k = 0; k < s.segment_bytes; k += 4) {
      for (int64_t odd = 0; odd < 2; ++odd) {
        for (int64_t channel = 0; channel < kChannels; ++channel) {
          for (int64_t j = k + odd; j < k + 4; j += 2) {
            *out++ = channel < b.channels && j < s.segment_bytes
                         ? w[(i * s.segment_bytes + j) * all_channels + b.first + channel]
                         : int16_t{0};
          }
        }
      }
    }
  }
}

void conv(const ConvShape& s, const ConvBlock& b, const uint8_t* x, uint8_t* y) {
  const RoundDown mode(b.requant.rounding);
  switch (b.pixels) {
    case 4:
      return run_tiles<4>(s, b, x, y);
    case 2:
      return run_tiles<2>(s, b, x, y);
    default:
      return run_tiles<1>(s, b, x, y);
  }
}

// Depthwise: 16 channels of one pixel, two taps in a product. Weights [block][pair of taps][vector]
// [lane][2].
int64_t blocks_of(const DepthwiseShape& s) { return (s.channels + kChannels - 1) / kChannels; }
int64_t pairs_of(const DepthwiseShape& s) { return (s.kernel_h * s.kernel_w + 1) / 2; }

int64_t depthwise_lanes(const DepthwiseShape& s) { return blocks_of(s) * kChannels; }
int64_t depthwise_channel(const DepthwiseShape& s, int64_t lane) {
  return lane < s.channels ? lane : -1;
}
size_t depthwise_weight_bytes(const DepthwiseShape& s) {
  return static_cast<size_t>(blocks_of(s) * pairs_of(s) * kChannels * 2) * sizeof(int16_t);
}
// The order in which unpacking two rows of 16 words pairs their channels.
constexpr int64_t unpacked_channel(int64_t vector, int64_t lane) {
  return lane / 4 * 8 + vector * 4 + lane % 4;
}
void pack_depthwise(const DepthwiseShape& s, const int8_t* w, void* packed) {
  auto* out = static_cast<int16_t*>(packed);
  const int64_t taps = s.kernel_h * s.kernel_w;
  for (int64_t b = 0; b < blocks_of(s); ++b) {
    for (int64_t t = 0; t < 2 * pairs_of(s); t += 2) {
      for (int64_t v = 0; v < 2; ++v) {
        for (int64_t l = 0; l < 8; ++l) {
          const int64_t c = b * kChannels + unpacked_channel(v, l);
          for (int64_t j = t; j < t + 2; ++j) {
            *out++ = c < s.channels && j < taps ? w[j * s.channels + c] : int16_t{0};
          }
        }
      }
    }
  }
}

void depthwise(const DepthwiseShape& s, const void* weights, const Requant& r, const uint8_t* x,
               uint8_t* y) {
  const RoundDown mode(r.rounding);
  const int64_t taps = s.kernel_h * s.kernel_w;
  for (int64_t n = 0; n < s.images; ++n) {
    for (int64_t b = 0; b < blocks_of(s); ++b) {
      const auto* block = static_cast<const int16_t*>(weights) + b * pairs_of(s) * kChannels * 2;
      const int64_t lane = b * kChannels;
      const int64_t here = std::min<int64_t>(kChannels, s.channels - lane);
      for (int64_t oy = 0; oy < s.out_h; ++oy) {
        for (int64_t ox = 0; ox < s.out_w; ++ox) {
          const uint8_t* in = x + n * s.in_image + oy * s.in_row + ox * s.in_pixel + lane;
          __m256i low = _mm256_setzero_si256();
          __m256i high = _mm256_setzero_si256();
          const int16_t* w = block;
          int64_t ky = 0;
          int64_t kx = 0;
          const auto next = [&]() __attribute__((always_inline)) {
            const uint8_t* tap = in + ky * s.tap_row + kx * s.tap_column;
            if (++kx == s.kernel_w) {
              kx = 0;
              ++ky;
            }
            return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(tap)));
          };
          for (int64_t t = 0; t < taps; t += 2, w += 2 * kChannels) {
            const __m256i first = next();
            const __m256i second = t + 1 < taps ? next() : _mm256_setzero_si256();
            low = _mm256_add_epi32(
                low, _mm256_madd_epi16(_mm256_unpacklo_epi16(first, second), load(w)));
            high = _mm256_add_epi32(
                high, _mm256_madd_epi16(_mm256_unpackhi_epi16(first, second), load(w + 16)));
          }
          // Back from the unpacked order to channels in a row.
          const __m256i a =
              _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20), load(r.bias + lane));
          const __m256i c =
              _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x31), load(r.bias + lane + 8));
          store(r, a, c, lane, here,
                y + n * s.out_image + oy * s.out_row + ox * s.out_pixel + lane);
        }
      }
    }
  }
}

}  // namespace

extern const Int8Table kInt8Table;
const Int8Table kInt8Table{
    .name = "avx2",
    .pack_version = 2,
    .plan_conv = plan_conv,
    .lanes = kChannels,
    .conv_channel = plain_conv_channel,
    .conv_weight_bytes = conv_weight_bytes,
    .pack_conv = pack_conv,
    .conv = conv,
    .depthwise_lanes = depthwise_lanes,
    .depthwise_channel = depthwise_channel,
    .depthwise_weight_bytes = depthwise_weight_bytes,
    .pack_depthwise = pack_depthwise,
    .depthwise = depthwise,
    .add = add,
    .flip = plain_flip,
    .fill = plain_fill,
    .sum_pixels = plain_sum_pixels,
    .requantize = plain_requantize,
    .max_pixels = plain_max_pixels,
    .quantize = quantize,
    .dequantize = plain_dequantize,
};

}  // namespace ew::kernels::int8::avx2
