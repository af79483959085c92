// The table of the AVX-512 VNNI kernels, and its elementwise ones.
#define EW_INT8_TARGET vnni
#include "runtime/kernels/int8/int8_portable_impl.h"
#include "runtime/kernels/int8/int8_vnni_common.h"

namespace ew::kernels::int8::vnni {

int64_t plan_conv(const ConvShape&, int64_t channels, ConvBlock* blocks, int64_t limit);
int conv_channel(int vectors, int vector, int lane);
size_t conv_weight_bytes(const ConvShape&, const ConvBlock&);
void pack_conv(const ConvShape&, const ConvBlock&, const int8_t* w, int64_t all_channels,
               void* packed);
void conv(const ConvShape&, const ConvBlock&, const uint8_t* x, uint8_t* y);
int64_t depthwise_lanes(const DepthwiseShape&);
int64_t depthwise_channel(const DepthwiseShape&, int64_t lane);
size_t depthwise_weight_bytes(const DepthwiseShape&);
void pack_depthwise(const DepthwiseShape&, const int8_t* w, void* packed);
void depthwise(const DepthwiseShape&, const void* weights, const Requant&, const uint8_t* x,
               uint8_t* y);

namespace {

// 64 bytes to four vectors of int32, in the order that packing them undoes.
EW_INLINE void widen(__m512i bytes, __m512i* out) {
  const __m512i zero = _mm512_setzero_si512();
  const __m512i low = _mm512_unpacklo_epi8(bytes, zero);
  const __m512i high = _mm512_unpackhi_epi8(bytes, zero);
  out[0] = _mm512_unpacklo_epi16(low, zero);
  out[1] = _mm512_unpackhi_epi16(low, zero);
  out[2] = _mm512_unpacklo_epi16(high, zero);
  out[3] = _mm512_unpackhi_epi16(high, zero);
}

// 64 sums of integers. With its upper bit turned a byte is a - 128; a dword gets a and b as the
// upper bytes of two words. 16 of a factor's 24 bits multiply those words, 8 the bytes.
struct WholeAdd {
  __m512i upper, lower, start, min, max;
  __m128i shift;

  EW_INLINE explicit WholeAdd(const AddForm& f)
      : upper(_mm512_set1_epi32(
            static_cast<int32_t>(static_cast<uint32_t>(f.whole_b >> 8) << 16 |
                                 (static_cast<uint32_t>(f.whole_a >> 8) & 0xFFFF)))),
        lower(_mm512_set1_epi32(
            static_cast<int32_t>(static_cast<uint32_t>(f.whole_b) << 24 |
                                 (static_cast<uint32_t>(f.whole_a) & 0xFF) << 8))),
        start(_mm512_set1_epi32(f.start)),
        min(_mm512_set1_epi8(static_cast<char>(f.min))),
        max(_mm512_set1_epi8(static_cast<char>(f.max))),
        shift(_mm_cvtsi32_si128(f.shift)) {}

  EW_INLINE __m512i operator()(__m512i a, __m512i b) const {
    const __m512i zero = _mm512_setzero_si512();
    const __m512i turn = _mm512_set1_epi8(static_cast<char>(0x80));
    a = _mm512_xor_si512(a, turn);
    b = _mm512_xor_si512(b, turn);
    const __m512i low_a = _mm512_unpacklo_epi8(zero, a);
    const __m512i high_a = _mm512_unpackhi_epi8(zero, a);
    const __m512i low_b = _mm512_unpacklo_epi8(zero, b);
    const __m512i high_b = _mm512_unpackhi_epi8(zero, b);
    const auto sums = [&](__m512i pairs) __attribute__((always_inline)) {
      __m512i sum = start;
      dot_words(sum, pairs, upper);
      dot_bytes(sum, lower, pairs);
      return _mm512_sra_epi32(sum, shift);
    };
    const __m512i x = _mm512_packs_epi32(sums(_mm512_unpacklo_epi16(low_a, low_b)),
                                         sums(_mm512_unpackhi_epi16(low_a, low_b)));
    const __m512i y = _mm512_packs_epi32(sums(_mm512_unpacklo_epi16(high_a, high_b)),
                                         sums(_mm512_unpackhi_epi16(high_a, high_b)));
    return _mm512_min_epu8(_mm512_max_epu8(_mm512_packus_epi16(x, y), min), max);
  }

 private:
  // Both stay at the ends of int32. As for dot(): GCC moves registers around the intrinsics.
  static EW_INLINE void dot_words(__m512i& sum, __m512i x, __m512i w) {
#if defined(__clang__)
    sum = _mm512_dpwssds_epi32(sum, x, w);
#else
    asm("vpdpwssds %2,%1,%0" : "+v"(sum) : "v"(x), "v"(w));
#endif
  }
  static EW_INLINE void dot_bytes(__m512i& sum, __m512i u8s, __m512i s8s) {
#if defined(__clang__)
    sum = _mm512_dpbusds_epi32(sum, u8s, s8s);
#else
    asm("vpdpbusds %2,%1,%0" : "+v"(sum) : "v"(u8s), "v"(s8s));
#endif
  }
};

void add_whole(const Rows& rows, int64_t b_row, const AddForm& form, const uint8_t* a,
               const uint8_t* b, uint8_t* y) {
  const Rows s = rows;
  const WholeAdd sum(form);
  const __mmask64 rest = first_bytes(s.bytes % 64);
  for (int64_t r = 0; r < s.rows; ++r) {
    int64_t i = 0;
    for (; i + 64 <= s.bytes; i += 64) _mm512_storeu_si512(y + i, sum(load(a + i), load(b + i)));
    if (rest != 0) {
      _mm512_mask_storeu_epi8(
          y + i, rest,
          sum(_mm512_maskz_loadu_epi8(rest, a + i), _mm512_maskz_loadu_epi8(rest, b + i)));
    }
    a += s.in_row;
    b += b_row;
    y += s.out_row;
  }
}

void add(const Rows& s, int64_t b_row, const AddForm& f, const uint8_t* a, const uint8_t* b,
         uint8_t* y) {
  if (f.shift > 0) return add_whole(s, b_row, f, a, b, y);
  const __m512 scale_a = _mm512_set1_ps(f.scale_a);
  const __m512 scale_b = _mm512_set1_ps(f.scale_b);
  const __m512 offset = _mm512_set1_ps(f.offset);
  const __m512i min = _mm512_set1_epi8(static_cast<char>(f.min));
  const __m512i max = _mm512_set1_epi8(static_cast<char>(f.max));
  for (int64_t r = 0; r < s.rows; ++r) {
    for (int64_t i = 0; i < s.bytes; i += 64) {
      const __mmask64 mask = first_bytes(s.bytes - i);
      __m512i u[4];
      __m512i v[4];
      widen(_mm512_maskz_loadu_epi8(mask, a + r * s.in_row + i), u);
      widen(_mm512_maskz_loadu_epi8(mask, b + r * b_row + i), v);
      EW_UNROLL for (int j = 0; j < 4; ++j) {
        const __m512 inner = _mm512_fmadd_ps(_mm512_cvtepi32_ps(v[j]), scale_b, offset);
        u[j] = _mm512_cvt_roundps_epi32(
            _mm512_fmadd_round_ps(_mm512_cvtepi32_ps(u[j]), scale_a, inner, kDown), kDown);
      }
      const __m512i packed =
          _mm512_packus_epi16(_mm512_packs_epi32(u[0], u[1]), _mm512_packs_epi32(u[2], u[3]));
      _mm512_mask_storeu_epi8(y + r * s.out_row + i, mask,
                              _mm512_min_epu8(_mm512_max_epu8(packed, min), max));
    }
  }
}

void flip(const Rows& s, const uint8_t* x, uint8_t* y) {
  const __m512i bit = _mm512_set1_epi8(static_cast<char>(0x80));
  for (int64_t r = 0; r < s.rows; ++r) {
    const uint8_t* in = x + r * s.in_row;
    uint8_t* out = y + r * s.out_row;
    int64_t i = 0;
    for (; i + 64 <= s.bytes; i += 64) {
      _mm512_storeu_si512(out + i, _mm512_xor_si512(load(in + i), bit));
    }
    if (i < s.bytes) {
      const __mmask64 mask = first_bytes(s.bytes - i);
      _mm512_mask_storeu_epi8(out + i, mask,
                              _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, in + i), bit));
    }
  }
}

void fill(const Rows& s, uint8_t value, uint8_t* y) {
  const __m512i bytes = _mm512_set1_epi8(static_cast<char>(value));
  if (s.bytes <= 0) return;
  const __mmask64 rest = first_bytes((s.bytes - 1) % 64 + 1);
  for (int64_t r = 0; r < s.rows; ++r) {
    uint8_t* out = y + r * s.out_row;
    int64_t i = 0;
    for (; i + 64 < s.bytes; i += 64) _mm512_storeu_si512(out + i, bytes);
    _mm512_mask_storeu_epi8(out + i, rest, bytes);
  }
}

void sum_pixels(const uint8_t* x, int64_t rows, int64_t in_row, int64_t pixels, int64_t channels,
                int32_t* sums) {
  const __m512i ones = _mm512_set1_epi8(1);
  int64_t c = 0;
  for (; c + 64 <= channels; c += 64) {
    __m512i sum[4] = {};
    const auto add_four = [&](__m512i a, __m512i b, __m512i d,
                              __m512i e) __attribute__((always_inline)) {
      __m512i t[4];
      interleave(a, b, d, e, t);
      EW_UNROLL for (int v = 0; v < 4; ++v) sum[v] = dot(sum[v], t[v], ones);
    };
    for (int64_t r = 0; r < rows; ++r) {
      const uint8_t* in = x + r * in_row + c;
      int64_t p = 0;
      for (; p + 4 <= pixels; p += 4, in += 4 * channels) {
        add_four(load(in), load(in + channels), load(in + 2 * channels), load(in + 3 * channels));
      }
      const __m512i zero = _mm512_setzero_si512();
      if (p < pixels) {
        add_four(load(in), p + 1 < pixels ? load(in + channels) : zero,
                 p + 2 < pixels ? load(in + 2 * channels) : zero, zero);
      }
    }
    for (int v = 0; v < 4; ++v) {
      alignas(64) int32_t part[kLanes];
      _mm512_store_si512(part, sum[v]);
      for (int l = 0; l < kLanes; ++l) sums[c + channel_of(4, v, l)] += part[l];
    }
  }
  if (c < channels) {
    // The rest as rows of single pixels, whose stride is not their size.
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t p = 0; p < pixels; ++p) {
        plain_sum_pixels(x + r * in_row + p * channels + c, 1, 0, 1, channels - c, sums + c);
      }
    }
  }
}

void requantize(const Requant& r, const int32_t* sums, int64_t channels, uint8_t* y) {
  if (r.rounding != Rounding::kFloat) return plain_requantize(r, sums, channels, y);
  for (int64_t c = 0; c < channels; c += kLanes) {
    const auto mask = static_cast<__mmask16>(first_bytes(channels - c));
    const __m512i acc = _mm512_add_epi32(_mm512_maskz_loadu_epi32(mask, sums + c),
                                         _mm512_maskz_loadu_epi32(mask, r.bias + c));
    // The constants have whole vectors.
    const __m512i stored = _mm512_add_epi32(requantize_lanes<Rounding::kFloat>(acc, r, c),
                                            _mm512_set1_epi32(r.zero + 128));
    const __m512i bytes = _mm512_min_epi32(_mm512_max_epi32(stored, _mm512_set1_epi32(r.min)),
                                           _mm512_set1_epi32(r.max));
    _mm512_mask_cvtepi32_storeu_epi8(y + c, mask, bytes);
  }
}

void quantize(int64_t n, const float* x, float scale, int32_t zero, uint8_t* y) {
  const __m512 step = _mm512_set1_ps(scale);
  const __m512 limit = _mm512_set1_ps(512);
  const __m512 half = _mm512_set1_ps(0.5F);
  const __m512i one = _mm512_set1_epi32(1);
  const __m512i shift = _mm512_set1_epi32(zero + 128);
  for (int64_t i = 0; i < n; i += kLanes) {
    const auto mask = static_cast<__mmask16>(first_bytes(n - i));
    __m512 v = _mm512_div_ps(_mm512_maskz_loadu_ps(mask, x + i), step);
    v = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(v, v, _CMP_ORD_Q), v);
    v = _mm512_max_ps(_mm512_min_ps(v, limit), _mm512_sub_ps(_mm512_setzero_ps(), limit));
    const __m512i whole = _mm512_cvttps_epi32(v);
    const __m512 rest = _mm512_sub_ps(v, _mm512_cvtepi32_ps(whole));
    const __mmask16 up = _mm512_cmp_ps_mask(rest, half, _CMP_GE_OQ);
    const __mmask16 down =
        _mm512_cmp_ps_mask(rest, _mm512_sub_ps(_mm512_setzero_ps(), half), _CMP_LE_OQ);
    __m512i steps = _mm512_mask_add_epi32(whole, up, whole, one);
    steps = _mm512_add_epi32(_mm512_mask_sub_epi32(steps, down, steps, one), shift);
    // Saturates as unsigned, so negative ones are cut off before.
    _mm512_mask_cvtusepi32_storeu_epi8(y + i, mask,
                                       _mm512_max_epi32(steps, _mm512_setzero_si512()));
  }
}

// Both roundings of acc * multiplier / 2^31 / 2^shift, lane by lane.
__m512i rescale(__m512i acc, __m512i m, __m512i shift) {
  const __m512i half = _mm512_set1_epi64(1 << 30);
  const __m512i one = _mm512_set1_epi32(1);
  const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(acc, m), half);
  const __m512i odd = _mm512_add_epi64(
      _mm512_mul_epi32(_mm512_srli_epi64(acc, 32), _mm512_srli_epi64(m, 32)), half);
  const __m512i high =
      _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 31), _mm512_slli_epi64(odd, 1));
  const __m512i mask = _mm512_sub_epi32(_mm512_sllv_epi32(one, shift), one);
  const __m512i limit = _mm512_sub_epi32(_mm512_srli_epi32(mask, 1), _mm512_srai_epi32(high, 31));
  const __mmask16 up = _mm512_cmpgt_epi32_mask(_mm512_and_si512(high, mask), limit);
  const __m512i x = _mm512_srav_epi32(high, shift);
  return _mm512_mask_add_epi32(x, up, x, one);
}

}  // namespace

void exact_bytes(const Requant& r, const int32_t* acc, int64_t lane0, int64_t lanes,
                 int32_t* bytes) {
  for (int64_t l = 0; l < lanes; l += kLanes) {
    if (r.multiplier == nullptr) {
      for (int64_t i = l; i < l + kLanes; ++i) {
        const int32_t channel = r.channel[lane0 + i];
        bytes[i] = channel < 0 ? 0 : r.exact(r.context, acc[i], channel);
      }
      continue;
    }
    const __m512i scaled =
        rescale(load(acc + l), load(r.multiplier + lane0 + l), load(r.shift + lane0 + l));
    // Far beyond every bound, so that adding to it cannot wrap.
    const __m512i bounded = _mm512_min_epi32(
        _mm512_max_epi32(scaled, _mm512_set1_epi32(-(1 << 20))), _mm512_set1_epi32(1 << 20));
    const __m512i stored = _mm512_add_epi32(bounded, _mm512_set1_epi32(r.zero + 128));
    _mm512_storeu_si512(bytes + l,
                        _mm512_min_epi32(_mm512_max_epi32(stored, _mm512_set1_epi32(r.min)),
                                         _mm512_set1_epi32(r.max)));
  }
}

extern const Int8Table kInt8Table;
const Int8Table kInt8Table{
    .name = "avx512-vnni",
    .pack_version = 2,
    .has_bits = true,
    .has_fine = kHasFine,
    .has_whole_add = true,
    .plan_conv = plan_conv,
    .lanes = kLanes,
    .conv_channel = conv_channel,
    .conv_weight_bytes = conv_weight_bytes,
    .pack_conv = pack_conv,
    .conv = conv,
    .depthwise_lanes = depthwise_lanes,
    .depthwise_channel = depthwise_channel,
    .depthwise_weight_bytes = depthwise_weight_bytes,
    .pack_depthwise = pack_depthwise,
    .depthwise = depthwise,
    .add = add,
    .flip = flip,
    .fill = fill,
    .sum_pixels = sum_pixels,
    .requantize = requantize,
    .max_pixels = plain_max_pixels,
    .quantize = quantize,
    .dequantize = plain_dequantize,
};

}  // namespace ew::kernels::int8::vnni
