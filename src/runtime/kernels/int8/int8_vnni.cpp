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

void add(const Rows& s, int64_t b_row, const AddForm& f, const uint8_t* a, const uint8_t* b,
         uint8_t* y) {
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

template <Rounding R>
void requantize_rows(const Requant& r, const int32_t* sums, int64_t channels, uint8_t* y) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    const auto mask = static_cast<__mmask16>(first_bytes(channels - c));
    const __m512i acc = _mm512_add_epi32(_mm512_maskz_loadu_epi32(mask, sums + c),
                                         _mm512_maskz_loadu_epi32(mask, r.bias + c));
    // The constants have whole vectors.
    __m512i whole = requantize_lanes<R>(acc, r, c);
    if constexpr (R == Rounding::kFloatBySign) {
      whole = _mm512_add_epi32(whole, _mm512_set1_epi32(128));
    }
    whole = _mm512_min_epi32(_mm512_max_epi32(whole, _mm512_set1_epi32(r.min)),
                             _mm512_set1_epi32(r.max));
    _mm512_mask_cvtepi32_storeu_epi8(y + c, mask, whole);
  }
}

void requantize(const Requant& r, const int32_t* sums, int64_t channels, uint8_t* y) {
  switch (r.rounding) {
    case Rounding::kFloat:
      return requantize_rows<Rounding::kFloat>(r, sums, channels, y);
    case Rounding::kFloatBySign:
      return requantize_rows<Rounding::kFloatBySign>(r, sums, channels, y);
    case Rounding::kExact:
      return plain_requantize(r, sums, channels, y);
  }
}

}  // namespace

extern const Int8Table kInt8Table;
const Int8Table kInt8Table{
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
    .sum_pixels = plain_sum_pixels,
    .requantize = requantize,
    .max_pixels = plain_max_pixels,
    .quantize = plain_quantize,
};

}  // namespace ew::kernels::int8::vnni
