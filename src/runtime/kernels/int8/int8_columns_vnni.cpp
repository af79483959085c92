// Depthwise convolutions with up to three vertical taps and one or three horizontal ones, the usual
// kind: weights and constants of 16 lanes stay in registers along a row, and every column of the
// input is read once.
//
// A column is 16 bytes of up to four rows, turned so that a dword holds the vertical taps of one
// lane. Lanes are 16 channels; or, of 8 channels, those of two neighbouring pixels.
#include <utility>

#include "runtime/kernels/int8/int8_depthwise_vnni.h"
#include "runtime/kernels/int8/int8_vnni_common.h"

namespace ew::kernels::int8::vnni {
namespace {

constexpr int kTile = 4;  // outputs that are packed together

/// What a row of outputs is made of.
struct Row {
  const uint8_t* in;
  int64_t taps[4];  // offsets of the rows
  int64_t column;   // bytes between columns
  uint8_t* out[2];
  int64_t step;   // bytes between outputs
  int64_t count;  // outputs
  int64_t bytes;  // of an output, 16 or fewer
  int64_t last;   // of the last one
};

template <int H>
EW_INLINE __m512i load_column(const Row& r, int64_t at) {
  const auto row = [&](int j) __attribute__((always_inline)) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(r.in + r.taps[j] + at));
  };
  __m512i x = _mm512_zextsi128_si512(row(0));
  x = _mm512_mask_broadcast_i32x4(x, 0x00F0, row(1));
  x = _mm512_mask_broadcast_i32x4(x, 0x0F00, row(2));
  if constexpr (H == 4) x = _mm512_mask_broadcast_i32x4(x, 0xF000, row(3));
  // First dwords, then bytes change from row-major to column-major.
  const __m512i dwords = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i bytes =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  return _mm512_shuffle_epi8(_mm512_permutexvar_epi32(dwords, x), bytes);
}

// By the definition, for channels without a proved form.
__attribute__((noinline)) void store_exact(const Requant& r, const __m512i* acc, int count,
                                           int64_t lane0, uint8_t* const* out,
                                           const int64_t* bytes) {
  for (int i = 0; i < count; ++i) {
    alignas(64) int32_t sums[kLanes];
    int32_t exact[kLanes];
    _mm512_store_si512(sums, acc[i]);
    exact_bytes(r, sums, lane0, kLanes, exact);
    for (int64_t l = 0; l < bytes[i]; ++l) out[i][l] = static_cast<uint8_t>(exact[l]);
  }
}

// Up to four accumulators to bytes, 16 for each. What rounds exactly starts as kFloat does.
template <Rounding R>
EW_INLINE void store_tile(const Requant& r, const LaneConstants<R>& constants, const __m512i* acc,
                          int count, int64_t lane0, uint8_t* const* out, const int64_t* bytes) {
  if (R == Rounding::kFloat && r.rounding == Rounding::kExact) {
    return store_exact(r, acc, count, lane0, out, bytes);
  }
  __m512i x[kTile];
  EW_UNROLL for (int i = 0; i < kTile; ++i) x[i] =
      i < count ? constants.finish(acc[i]) : _mm512_setzero_si512();
  // Back from four bytes of every output in turn.
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i y = _mm512_permutexvar_epi32(order, pack_64<R>(x[0], x[1], x[2], x[3], r));
  const auto put = [&](int i, __m128i lane) __attribute__((always_inline)) {
    if (bytes[i] == kLanes) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out[i]), lane);
    } else {
      _mm_mask_storeu_epi8(out[i], static_cast<__mmask16>(first_bytes(bytes[i])), lane);
    }
  };
  put(0, _mm512_castsi512_si128(y));
  if (count > 1) put(1, _mm512_extracti32x4_epi32(y, 1));
  if (count > 2) put(2, _mm512_extracti32x4_epi32(y, 2));
  if (count > 3) put(3, _mm512_extracti32x4_epi32(y, 3));
}

/// The columns of P neighbouring outputs.
template <int Width, int Stride, int Height, int P>
struct Columns {
  static constexpr int kCount = (P - 1) * Stride + Width;
  __m512i at[kCount];

  /// Those from `from` on, of the outputs that begin with output `first`.
  template <int From>
  EW_INLINE void load(const Row& r, int64_t first) {
    EW_UNROLL for (int k = From; k < kCount; ++k) {
      if (k % Stride >= Width) continue;  // between two outputs
      at[k] = load_column<Height>(r, (first * Stride + k) * r.column);
    }
  }
};

template <int Width, int Outputs, Rounding R>
struct Taps {
  LaneConstants<R> constants;
  __m512i bias;
  __m512i w[Outputs][Width];
  int64_t lane0;

  EW_INLINE Taps(const Requant& r, const int8_t* weights, int64_t lane)
      : constants(r, lane), bias(vnni::load(r.bias + lane)), lane0(lane) {
    EW_UNROLL for (int o = 0; o < Outputs; ++o) EW_UNROLL for (int k = 0; k < Width; ++k) w[o][k] =
        vnni::load(weights + 64 * (o * Width + k));
  }
};

// P outputs of every row from their columns.
template <int P, int Stride, int Height, int Width, int Outputs, Rounding R>
EW_INLINE void finish_tile(const Row& s, const Requant& r, const Taps<Width, Outputs, R>& taps,
                           const Columns<Width, Stride, Height, P>& columns, int64_t first) {
  __m512i acc[Outputs][P];
  EW_UNROLL for (int o = 0; o < Outputs; ++o) EW_UNROLL for (int p = 0; p < P; ++p) acc[o][p] =
      taps.bias;
  EW_UNROLL for (int k = 0; k < Width; ++k) EW_UNROLL for (int p = 0; p < P; ++p)
      EW_UNROLL for (int o = 0; o < Outputs; ++o) acc[o][p] =
          dot(acc[o][p], columns.at[p * Stride + k], taps.w[o][k]);
  EW_UNROLL for (int o = 0; o < Outputs; ++o) {
    uint8_t* out[P];
    int64_t bytes[P];
    EW_UNROLL for (int p = 0; p < P; ++p) {
      out[p] = s.out[o] + (first + p) * s.step;
      bytes[p] = first + p + 1 < s.count ? s.bytes : s.last;
    }
    store_tile<R>(r, taps.constants, acc[o], P, taps.lane0, out, bytes);
  }
}

// `Width` horizontal taps; neighbouring outputs are `Stride` columns apart; `Outputs` rows of them
// share their columns.
template <int Width, int Stride, int Outputs, Rounding R>
void run_row(const Row& row, const Requant& r, const int8_t* weights, int64_t lane0) {
  constexpr int kHeight = Outputs == 2 ? 4 : 3;
  constexpr int kKept = std::max(Width - Stride, 0);  // columns that the next output needs again
  using Tile = Columns<Width, Stride, kHeight, kTile>;
  const Taps<Width, Outputs, R> taps(r, weights, lane0);
  const Row s = row;
  int64_t first = 0;
  Tile now;
  EW_UNROLL for (int k = 0; k < kKept; ++k) now.at[k] = load_column<kHeight>(s, k * s.column);
  if (s.count >= kTile) now.template load<kKept>(s, 0);
  while (first + kTile <= s.count) {
    // The next columns are turned while these are multiplied: a turn takes longer than a product.
    Tile next;
    EW_UNROLL for (int k = 0; k < kKept; ++k) next.at[k] = now.at[kTile * Stride + k];
    if (first + 2 * kTile <= s.count) next.template load<kKept>(s, first + kTile);
    finish_tile(s, r, taps, now, first);
    now = next;
    first += kTile;
  }
  for (; first < s.count; ++first) {
    Columns<Width, Stride, kHeight, 1> one;
    EW_UNROLL for (int k = 0; k < kKept; ++k) one.at[k] = now.at[k];
    one.template load<kKept>(s, first);
    finish_tile(s, r, taps, one, first);
    EW_UNROLL for (int k = 0; k < kKept; ++k) now.at[k] = one.at[Stride + k];
  }
}

bool is_turned(const DepthwiseShape& s) {
  // Columns of an image can be worked through like rows: where those are short. What decides must
  // not change where some of the rows are run.
  constexpr int64_t kShort = 8;
  return s.kernel_h == 3 && s.kernel_w == 3 && s.out_w < kShort && s.channels >= kLanes &&
         s.in_image >= 2 * kShort * s.in_row;
}

DepthwiseShape turned(DepthwiseShape s) {
  if (!is_turned(s)) return s;
  std::swap(s.out_h, s.out_w);
  std::swap(s.in_row, s.in_pixel);
  std::swap(s.tap_row, s.tap_column);
  std::swap(s.out_row, s.out_pixel);
  return s;
}

bool is_flat_columns(const DepthwiseShape& s) {
  return s.channels == 8 && s.in_pixel == s.channels && s.kernel_w == 3 &&
         s.out_pixel == s.channels;
}

bool shares_rows(const DepthwiseShape& s) { return s.tap_row == s.in_row; }

template <int Width, int Stride, Rounding R>
void run_rows(const DepthwiseShape& shape, const int8_t* weights, const Requant& requant,
              const uint8_t* x, uint8_t* y) {
  const DepthwiseShape s = shape;
  const Requant r = requant;
  const bool flat = is_flat_columns(s);
  const bool pairs = shares_rows(s);
  const int64_t lanes = flat ? kLanes : s.channels;
  Row row = {.in = nullptr,
             .taps = {},
             .column = s.tap_column,
             .out = {},
             .step = flat ? kLanes : s.out_pixel,
             .count = flat ? (s.out_w * s.channels + kLanes - 1) / kLanes : s.out_w,
             .bytes = 0,
             .last = 0};
  const int64_t needed = s.kernel_h + (pairs ? 1 : 0);
  for (int64_t j = 0; j < 4; ++j) row.taps[j] = j < needed ? j * s.tap_row : 0;
  const int64_t copies = pairs ? 2 : 1;
  for (int64_t n = 0; n < s.images; ++n) {
    for (int64_t oy = 0; oy < s.out_h; oy += copies) {
      for (int64_t lane = 0; lane < lanes; lane += kLanes) {
        row.in = x + n * s.in_image + oy * s.in_row + lane;
        row.out[0] = y + n * s.out_image + oy * s.out_row + lane;
        row.out[1] = row.out[0] + s.out_row;
        row.bytes = std::min<int64_t>(kLanes, lanes - lane);
        row.last = flat ? s.out_w * s.channels - (row.count - 1) * kLanes : row.bytes;
        const int8_t* w = weights + lane / kLanes * copies * Width * 64;
        if (pairs && oy + 1 < s.out_h) {
          run_row<Width, Stride, 2, R>(row, r, w, lane);
        } else {
          run_row<Width, Stride, 1, R>(row, r, w, lane);
        }
      }
    }
  }
}

template <Rounding R>
void run_shape(const DepthwiseShape& s, const int8_t* w, const Requant& r, const uint8_t* x,
               uint8_t* y) {
  if (s.kernel_w == 1) return run_rows<1, 1, R>(s, w, r, x, y);
  const bool is_two = is_flat_columns(s) || s.in_pixel == 2 * s.tap_column;
  return is_two ? run_rows<3, 2, R>(s, w, r, x, y) : run_rows<3, 1, R>(s, w, r, x, y);
}

}  // namespace

bool runs_by_columns(const DepthwiseShape& shape) {
  const DepthwiseShape s = turned(shape);
  const bool has_taps = s.kernel_h <= 3 && (s.kernel_w == 1 || s.kernel_w == 3);
  if (!has_taps || (shape.tap_column != s.channels || shape.out_pixel != s.channels)) return false;
  if (is_flat_columns(s)) return true;
  // A row has to be worth loading the weights.
  if (s.channels < kLanes || (s.out_w < 3 && !is_turned(shape))) return false;
  return s.in_pixel == s.tap_column || (s.in_pixel == 2 * s.tap_column && s.kernel_w == 3);
}

int64_t column_lanes(const DepthwiseShape& s) {
  return is_flat_columns(s) ? kLanes : (s.channels + kLanes - 1) / kLanes * kLanes;
}

int64_t column_channel(const DepthwiseShape& s, int64_t lane) {
  if (is_flat_columns(s)) return lane % s.channels;
  return lane < s.channels ? lane : -1;
}

size_t column_weight_bytes(const DepthwiseShape& shape) {
  const DepthwiseShape s = turned(shape);
  return static_cast<size_t>(column_lanes(s) * 4 * s.kernel_w * (shares_rows(s) ? 2 : 1));
}

// [16 lanes][row of outputs][column][lane][4]: the second row of outputs has its taps one row
// lower.
void pack_columns(const DepthwiseShape& shape, const int8_t* w, int8_t* out) {
  const DepthwiseShape s = turned(shape);
  const bool is_swapped = is_turned(shape);
  for (int64_t first = 0; first < column_lanes(s); first += kLanes) {
    for (int64_t copy = 0; copy < (shares_rows(s) ? 2 : 1); ++copy) {
      for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
        for (int64_t lane = first; lane < first + kLanes; ++lane) {
          const int64_t channel = column_channel(s, lane);
          for (int64_t j = 0; j < 4; ++j) {
            const int64_t ky = j - copy;
            const bool is_tap = channel >= 0 && ky >= 0 && ky < s.kernel_h;
            const int64_t tap = is_swapped ? kx * s.kernel_w + ky : ky * s.kernel_w + kx;
            *out++ = is_tap ? w[tap * s.channels + channel] : int8_t{0};
          }
        }
      }
    }
  }
}

void run_columns(const DepthwiseShape& shape, const int8_t* w, const Requant& r, const uint8_t* x,
                 uint8_t* y) {
  const DepthwiseShape s = turned(shape);
  if (r.rounding == Rounding::kBits) return run_shape<Rounding::kBits>(s, w, r, x, y);
  if constexpr (kHasFine) {
    if (r.rounding == Rounding::kFine) return run_shape<Rounding::kFine>(s, w, r, x, y);
  }
  run_shape<Rounding::kFloat>(s, w, r, x, y);
}

}  // namespace ew::kernels::int8::vnni
