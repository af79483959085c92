#pragma once
// Hybrid products as register tiles: a run of output pixels by up to four vectors of channels.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "ops/hybrid.h"
#include "runtime/kernels/hybrid.h"
#include "runtime/kernels/hybrid_dot.h"
#include "runtime/kernels/io.h"
#include "runtime/kernels/padding.h"
#include "runtime/kernels/tile.h"

namespace ew::kernels::EW_TARGET {

// ---- one sample

/// The range of x together with 0; false if a value is not finite.
inline bool find_range(int64_t n, const float* x, float& low, float& high) {
  Vec least = zero();
  Vec most = zero();
  Vec finite = zero();
  for_vectors(0, n, [&](int64_t i, const auto& io) {
    const Vec v = io.load(x + i);
    least = min(v, least);
    most = max(v, most);
    finite = fma(v, zero(), finite);  // 0, or NaN
  });
  low = -max_lane(zero() - least);
  high = max_lane(most);
  return sum(finite) == 0.F;
}

inline ops::SampleQuant quantise_sample(int64_t n, const float* x, bool asymmetric) {
  float low = 0;
  float high = 0;
  if (find_range(n, x, low, high)) return ops::sample_quant(low, high, asymmetric);
  // Every integer is as good as another: the scale makes NaN of them all.
  return {.scale = std::numeric_limits<float>::quiet_NaN(), .inverse = 0, .zero = 0, .low = -127};
}

struct Quantiser {
  Vec inverse, zero, low, high;
  int32_t zero_point;

  explicit Quantiser(const ops::SampleQuant& q)
      : inverse(set1(q.inverse)),
        zero(set1(static_cast<float>(q.zero))),
        low(set1(static_cast<float>(q.low))),
        high(set1(127.F)),
        zero_point(q.zero) {}

  /// Nearest integers, ties away from zero; what is not a number becomes the lower bound.
  EW_INLINE Vec operator()(Vec x) const {
    const Vec v = min(max(x * inverse + zero, low), high);
    const Vec even = round(v);
    const Vec none = EW_TARGET::zero();
    const Vec rest = v - even;  // exact; a tie that went towards zero has the sign of v
    const Vec away = if_greater(v, none, rest, none - rest);
    const Vec step = if_greater(v, none, set1(1.F), set1(-1.F));
    constexpr float kBelowHalf = 0x1.fffffep-2F;
    return even + if_greater(away, set1(kBelowHalf), step, none);
  }
};

inline void store_quantised(const Quantiser& q, int64_t n, const float* x, HybridInput* y) {
  for_vectors(0, n, [&](int64_t i, const auto& io) {
    constexpr bool kPartial = std::remove_reference_t<decltype(io)>::kPartial;
    store_inputs(y + i, q(io.load(x + i)), q.zero_point, kPartial ? n - i : kLanes);
  });
}

inline float to_integers(int64_t n, const float* x, bool asymmetric, float* q) {
  const ops::SampleQuant sample = quantise_sample(n, x, asymmetric);
  const Quantiser quantise(sample);
  for_vectors(0, n, [&](int64_t i, const auto& io) {
    io.store(q + i, quantise(io.load(x + i)) - quantise.zero);
  });
  return sample.scale;
}

inline void scale_rows(int64_t rows, int64_t n, const float* factor, const float* bias,
                       Clamp bounds, float* y) {
  const Vec lo = set1(bounds.lo);
  const Vec hi = set1(bounds.hi);
  for (int64_t r = 0; r < rows; ++r, y += n) {
    for_vectors(0, n, [&](int64_t i, const auto& io) {
      const Vec v = io.load(y + i) * io.load(factor + i) + io.load(bias + i);
      io.store(y + i, clamp(v, lo, hi));
    });
  }
}

// ---- layouts

/// Panels::width() vectors are a multiple of two where two weights share a byte.
struct HybridPanels {
  int64_t unit, units, count;

  explicit HybridPanels(const HybridShape& s)
      : unit(s.nibbles ? 2 : 1),
        units(ceil_div(s.conv.out_c, unit * kLanes)),
        count(ceil_div(units, kMaxVectors / unit)) {}
  int64_t begin(int64_t panel) const { return units * panel / count * unit * kLanes; }
  int width(int64_t panel) const {
    return static_cast<int>((units * (panel + 1) / count - units * panel / count) * unit);
  }
};

/// Packed: per group the sums of each channel's weights and its scales (padded to whole panels),
/// then panel after panel of [group][segment][step][vector][lane][kPack] weights; of nibbles, two
/// neighbouring vectors share their bytes.
struct HybridPlan {
  HybridShape shape;
  PaddedImage image;
  HybridPanels panels;
  int64_t outer = 1, inner = 1, length = 0;  // segments: kernel rows, kernel columns, elements
  int64_t steps = 0;                         // of one segment
  int64_t out_h = 0, out_w = 0;              // rows of pixels as tiles see them

  explicit HybridPlan(const HybridShape& s)
      : shape(s), image(padded_input(s.conv.window, s.conv.in_c)), panels(s) {
    const Window2d& w = s.conv.window;
    const bool is_adjacent = w.dilation_w == 1;
    outer = w.kernel_h;
    inner = is_adjacent ? 1 : w.kernel_w;
    length = (is_adjacent ? w.kernel_w : 1) * (s.group == 0 ? s.conv.in_c : s.group);
    steps = ceil_div(length, kPack);
    out_h = w.out_h;
    out_w = w.out_w;
    if (is_flat()) {
      out_w *= out_h;
      out_h = 1;
    }
  }
  /// Rows of pixels follow each other without a gap.
  bool is_flat() const {
    const Window2d& w = shape.conv.window;
    return w.kernel_h == 1 && w.kernel_w == 1 && w.stride_h == 1 && w.stride_w == 1 &&
           !image.needs_copy();
  }
  int64_t channels() const { return panels.units * panels.unit * kLanes; }
  int64_t groups() const { return shape.groups(); }
  /// Bytes of so many channels' weights, in one group and in all.
  int64_t group_bytes(int64_t columns) const {
    const auto weight = static_cast<int64_t>(sizeof(HybridWeight));
    const int64_t elements = columns * kPack * outer * inner * steps;
    return shape.nibbles ? elements / 2 : elements * weight;
  }
  int64_t bytes(int64_t columns) const { return groups() * group_bytes(columns); }
  const int32_t* sums(const void* packed) const { return static_cast<const int32_t*>(packed); }
  const float* scales(const void* packed) const {
    return reinterpret_cast<const float*>(sums(packed) + groups() * channels());
  }
  const uint8_t* weights(const void* packed) const {
    return reinterpret_cast<const uint8_t*>(scales(packed) + groups() * channels());
  }
  /// Elements of a quantised sample, with what the last step may read beyond it.
  int64_t sample_size() const {
    const int64_t rows = image.needs_copy() ? image.rows : max_of(image.rows, image.h);
    return round_up(rows * image.row_stride() + shape.group + 4 * kPack, 64);
  }
};

inline size_t hybrid_weight_bytes(const HybridShape& s) {
  const HybridPlan p(s);
  return static_cast<size_t>(p.groups() * p.channels() * 8 + p.bytes(p.channels()));
}

/// One group of one panel, as whole elements; `at(k, channel)` is a weight.
template <typename At>
void pack_hybrid_group(const HybridPlan& p, int64_t panel, const At& at, HybridWeight* out) {
  for (int64_t segment = 0; segment < p.outer * p.inner; ++segment) {
    for (int64_t k = 0; k < p.steps * kPack; k += kPack) {
      for (int64_t c = 0; c < p.panels.width(panel) * kLanes; ++c) {
        for (int64_t i = k; i < k + kPack; ++i) {
          *out++ = i < p.length ? at(segment * p.length + i, p.panels.begin(panel) + c)
                                : HybridWeight{0};
        }
      }
    }
  }
}

/// Vector 2 i in the low halves of bytes, vector 2 i + 1 in the high ones, each plus 8.
inline void pack_nibbles(std::span<const HybridWeight> weights, uint8_t* out) {
  constexpr int64_t kVector = kLanes * kPack;
  const auto n = static_cast<int64_t>(weights.size());
  for (int64_t pair = 0; pair < n; pair += 2 * kVector) {
    for (int64_t i = 0; i < kVector; ++i) {
      const int low = weights[static_cast<size_t>(pair + i)] + 8;
      const int high = weights[static_cast<size_t>(pair + kVector + i)] + 8;
      *out++ = static_cast<uint8_t>(low | (high << 4));
    }
  }
}

inline void hybrid_pack(const HybridShape& s, const int8_t* w, const float* scales, void* packed) {
  const HybridPlan p(s);
  const int64_t columns = s.conv.out_c;
  const int64_t taps = p.outer * p.inner * p.length;  // of one group
  auto* sums = static_cast<int32_t*>(packed);
  auto* factors = reinterpret_cast<float*>(sums + p.groups() * p.channels());
  auto* out = reinterpret_cast<uint8_t*>(factors + p.groups() * p.channels());
  for (int64_t g = 0; g < p.groups(); ++g) {
    for (int64_t c = 0; c < p.channels(); ++c) {
      const int64_t i = g * p.channels() + c;
      sums[i] = 0;
      factors[i] = c < columns ? scales[g * columns + c] : 0.F;
      for (int64_t k = g * taps; c < columns && k < min_of((g + 1) * taps, s.taps()); ++k) {
        sums[i] += w[k * columns + c];
      }
    }
  }
  std::vector<HybridWeight> group;
  for (int64_t panel = 0; panel < p.panels.count; ++panel) {
    const int64_t width = p.panels.width(panel) * kLanes;
    group.resize(static_cast<size_t>(width * kPack * p.outer * p.inner * p.steps));
    for (int64_t g = 0; g < p.groups(); ++g, out += p.group_bytes(width)) {
      const auto at = [&](int64_t k, int64_t channel) -> HybridWeight {
        const int64_t row = g * taps + k;
        return channel < columns && row < s.taps() ? w[row * columns + channel] : int8_t{0};
      };
      pack_hybrid_group(p, panel, at, group.data());
      if (s.nibbles) {
        pack_nibbles(group, out);
      } else {
        std::memcpy(out, group.data(), group.size() * sizeof(HybridWeight));
      }
    }
  }
}

/// What a run needs: per channel the start of its sums and its factor (one sample), or per pixel a
/// zero point and a scale (rows); then quantised samples.
inline int64_t hybrid_head_floats(const HybridPlan& p) {
  return array_size(2 * (p.shape.rows ? p.shape.conv.window.in_w : p.channels()));
}

inline size_t hybrid_workspace_bytes(const HybridShape& s, int /*threads*/) {
  const HybridPlan p(s);
  return bytes_of(hybrid_head_floats(p)) +
         static_cast<size_t>(p.sample_size()) * sizeof(HybridInput);
}

// ---- tiles

struct HybridTile {
  const HybridInput* x = nullptr;
  int64_t outer = 1, inner = 1, steps = 0;
  int64_t x_outer = 0, x_inner = 0, x_pixel = 0;
  const uint8_t* w = nullptr;
  const int32_t* start = nullptr;  // of the sums, per channel
  const float* factor = nullptr;   // per channel
  float second = 1;                // multiplies after it
  const int32_t* zero = nullptr;   // per pixel, or null: then `start` and `factor` are complete
  const float* scale = nullptr;    // per pixel
  const float* bias = nullptr;
  Clamp clamp{};
  float* y = nullptr;
  int64_t y_pixel = 0;
  int64_t columns = 0;      // that exist from the first vector on
  bool accumulate = false;  // adds what y holds
};

/// Pixel r lies at base[r / 3] + (r % 3) * step: x86 adds once or twice an index for free.
template <int kRows>
struct PixelReader {
  static constexpr int kCount = (kRows + 2) / 3;
  const HybridInput* base[kCount];
  int64_t step;
  EW_INLINE PixelReader(const HybridInput* x, int64_t pixel) : step(pixel) {
#pragma GCC unroll 6
    for (int i = 0; i < kCount; ++i) base[i] = x + 3 * i * pixel;
  }
  EW_INLINE const HybridInput* at(int r) const { return base[r / 3] + (r % 3) * step; }
  EW_INLINE void advance() {
#pragma GCC unroll 6
    for (int i = 0; i < kCount; ++i) base[i] += kPack;
  }
};

template <int kRows, int kVectors>
EW_INLINE void finish_hybrid(const HybridTile& t, const Sums (&sum)[kRows][kVectors]) {
  const Vec lo = set1(t.clamp.lo);
  const Vec hi = set1(t.clamp.hi);
  const Vec second = set1(t.second);
#pragma GCC unroll 4
  for (int j = 0; j < kVectors; ++j) {
    const int64_t left = t.columns - j * kLanes;
    if (left <= 0) return;
    const bool partial = left < kLanes;
    Vec bias = set1(-0.F);  // adding it changes nothing
    if (t.bias != nullptr) {
      bias = partial ? load_n(t.bias + j * kLanes, left) : load(t.bias + j * kLanes);
    }
    const Vec channel = load(t.factor + j * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vec factor = t.zero == nullptr ? channel : channel * set1(t.scale[r]);
      float* out = t.y + r * t.y_pixel + j * kLanes;
      Vec y = to_real(sum[r][j]) * factor * second;
      if (t.accumulate) y = y + (partial ? load_n(out, left) : load(out));
      y = clamp(y + bias, lo, hi);
      if (partial) {
        store_n(out, y, left);
      } else {
        store(out, y);
      }
    }
  }
}

template <int kRows, int kVectors, bool kNibbles>
void run_hybrid(const HybridTile& t) {
  Sums sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      if constexpr (kIsBytes) {
#if defined(__AVX512VNNI__)
        sum[r][j] = t.zero == nullptr ? load_sums(t.start + j * kLanes)
                                      : scaled_sums(t.start + j * kLanes, -128 - t.zero[r]);
#endif
      } else {
        sum[r][j] = set_sums(0);
      }
    }
  }
  constexpr int64_t kStepBytes =
      kVectors * kLanes * kPack * static_cast<int64_t>(sizeof(HybridWeight));
  const uint8_t* w = t.w;
  for (int64_t o = 0; o < t.outer; ++o) {
    for (int64_t i = 0; i < t.inner; ++i) {
      PixelReader<kRows> x(t.x + o * t.x_outer + i * t.x_inner, t.x_pixel);
      for (int64_t k = t.steps; k > 0; --k) {
        Sums weight[kVectors];
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) {
          if constexpr (!kNibbles) {
            weight[j] = load_weights(w + j * (kStepBytes / kVectors));
          } else if (j % 2 == 0) {
            load_nibbles(w + j / 2 * kLanes * kPack, weight[j], weight[(j + 1) % kVectors]);
          }
        }
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          const Sums input = broadcast_inputs(x.at(r));
#pragma GCC unroll 4
          for (int j = 0; j < kVectors; ++j) sum[r][j] = dot(sum[r][j], input, weight[j]);
        }
        x.advance();
        w += kNibbles ? kVectors / 2 * kLanes * kPack : kStepBytes;
      }
    }
  }
  finish_hybrid<kRows, kVectors>(t, sum);
}

using HybridFunction = void (*)(const HybridTile&);

constexpr int hybrid_rows(int vectors) {
  if (kRegisters == 16) return vectors == 1 ? 8 : 4;
#ifdef EW_SMALL
  constexpr int kRows[] = {0, 8, 6, 4, 4};
#else
  constexpr int kRows[] = {0, 12, 12, 8, 6};
#endif
  return kRows[vectors];
}

template <int kVectors, bool kNibbles, size_t... kIndex>
constexpr std::array<HybridFunction, 12> hybrid_tiles(std::index_sequence<kIndex...>) {
  return {run_hybrid<static_cast<int>(kIndex) + 1, kVectors, kNibbles>...};
}

template <int kVectors, bool kNibbles>
inline constexpr std::array<HybridFunction, 12> kHybridTiles = hybrid_tiles<kVectors, kNibbles>(
    std::make_index_sequence<static_cast<size_t>(hybrid_rows(kVectors))>());

inline HybridFunction find_hybrid(int vectors, bool nibbles, int64_t rows) {
  const auto r = static_cast<size_t>(rows - 1);
  if constexpr (kMaxVectors > 2) {
    if (vectors == 4) return nibbles ? kHybridTiles<4, true>[r] : kHybridTiles<4, false>[r];
    if (vectors == 3) return kHybridTiles<3, false>[r];
  }
  if (vectors == 2) return nibbles ? kHybridTiles<2, true>[r] : kHybridTiles<2, false>[r];
  return kHybridTiles<1, false>[r];
}

/// `pixels` neighbours of one row, in tiles of nearly equal width.
inline void run_hybrid_pixels(HybridTile t, int vectors, bool nibbles, int64_t pixels) {
  const int64_t tiles = ceil_div(pixels, hybrid_rows(vectors));
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t width = pixels * (i + 1) / tiles - pixels * i / tiles;
    find_hybrid(vectors, nibbles, width)(t);
    t.x += width * t.x_pixel;
    t.y += width * t.y_pixel;
    if (t.zero != nullptr) {
      t.zero += width;
      t.scale += width;
    }
  }
}

// ---- products

/// One sample into the (padded) image of integers.
inline void fill_sample(const HybridPlan& p, const ops::SampleQuant& sample, const float* x,
                        HybridInput* q) {
  const Quantiser quantise(sample);
  const PaddedImage& image = p.image;
  if (!image.needs_copy()) {
    return store_quantised(quantise, image.h * image.w * image.channels, x, q);
  }
  const auto border = static_cast<HybridInput>(kIsBytes ? sample.zero + 128 : 0);
  const int64_t used = max_of(0, min_of(image.w, image.columns - image.left));
  const int64_t before = min_of(image.left, image.columns) * image.channels;
  const int64_t row = image.columns * image.channels;
  for (int64_t r = 0; r < image.rows; ++r, q += row) {
    const int64_t source = r - image.top;
    const bool is_inside = source >= 0 && source < image.h;
    const int64_t count = is_inside ? used * image.channels : 0;
    std::fill(q, q + (is_inside ? before : row), border);
    if (!is_inside) continue;
    store_quantised(quantise, count, x + source * image.w * image.channels, q + before);
    std::fill(q + before + count, q + row, border);
  }
}

/// Every group of one panel over a run of pixels; sums of groups add up in y.
inline void run_hybrid_groups(const HybridPlan& p, HybridTile t, int64_t panel, int64_t pixels) {
  const int vectors = p.panels.width(panel);
  const float* bias = t.bias;
  const Clamp clamp = t.clamp;
  for (int64_t g = 0; g < p.groups(); ++g) {
    const bool is_last = g + 1 == p.groups();
    t.accumulate = g > 0;
    t.bias = is_last ? bias : nullptr;
    t.clamp = is_last ? clamp : Clamp{};
    run_hybrid_pixels(t, vectors, p.shape.nibbles, pixels);
    t.x += p.shape.group;
    t.w += p.group_bytes(vectors * kLanes);
    t.start += p.channels();
    t.factor += p.channels();
  }
}

/// Every panel over all pixels of one image.
inline void run_hybrid_image(const HybridPlan& p, const HybridTile& base, const HybridArgs& args,
                             ThreadPool* pool) {
  const Window2d& w = p.shape.conv.window;
  const uint8_t* weights = p.weights(args.weights);
  // A task is a run of pixels of one row and panel; small products stay on this thread.
  constexpr int64_t kPixels = 48;
  const int64_t runs = ceil_div(p.out_w, kPixels);
  const bool is_small = p.out_h * p.out_w * p.shape.conv.out_c * p.shape.taps() < 1'000'000;
  parallel_for(is_small ? nullptr : pool, p.panels.count * p.out_h * runs, [&](int64_t task) {
    const int64_t panel = task / (p.out_h * runs);
    const int64_t row = task / runs % p.out_h;
    const int64_t first = task % runs * kPixels;
    const int64_t column = p.panels.begin(panel);
    HybridTile t = base;
    t.x += row * w.stride_h * p.image.row_stride() + first * t.x_pixel;
    t.w = weights + p.bytes(column);
    t.start += column;
    t.factor += column;
    if (t.bias != nullptr) t.bias += column;
    if (t.zero != nullptr) {
      t.zero += first;
      t.scale += first;
    }
    t.y += (row * p.out_w + first) * t.y_pixel + column;
    t.columns = p.shape.conv.out_c - column;
    run_hybrid_groups(p, t, panel, min_of(kPixels, p.out_w - first));
  });
}

inline HybridTile hybrid_tile(const HybridPlan& p, const HybridArgs& args) {
  const Window2d& w = p.shape.conv.window;
  HybridTile t;
  t.outer = p.outer;
  t.inner = p.inner;
  t.steps = p.steps;
  t.x_outer = w.dilation_h * p.image.row_stride();
  t.x_inner = w.dilation_w * p.shape.conv.in_c;
  t.x_pixel = w.stride_w * p.shape.conv.in_c;
  t.bias = args.bias;
  t.clamp = args.clamp;
  t.y_pixel = p.shape.conv.out_c;
  return t;
}

/// Every pixel of the row is a sample.
inline void hybrid_rows_product(const HybridPlan& p, const HybridArgs& args, void* workspace,
                                ThreadPool* pool) {
  const int64_t rows = p.shape.conv.window.in_w;
  const int64_t size = p.shape.conv.in_c;
  auto* zero = static_cast<int32_t*>(workspace);
  auto* scale = static_cast<float*>(workspace) + rows;
  auto* q = reinterpret_cast<HybridInput*>(static_cast<float*>(workspace) + hybrid_head_floats(p));
  for (int64_t r = 0; r < rows; ++r) {
    const ops::SampleQuant sample = quantise_sample(size, args.x + r * size, args.asymmetric);
    zero[r] = sample.zero;
    scale[r] = sample.scale;
    store_quantised(Quantiser(sample), size, args.x + r * size, q + r * size);
  }
  HybridTile t = hybrid_tile(p, args);
  t.x = q;
  t.start = p.sums(args.weights);
  t.factor = p.scales(args.weights);
  t.zero = zero;
  t.scale = scale;
  t.y = args.y;
  run_hybrid_image(p, t, args, pool);
}

inline void hybrid_product(const HybridShape& s, const HybridArgs& args, void* workspace,
                           ThreadPool* pool) {
  const HybridPlan p(s);
  const Window2d& w = s.conv.window;
  if (w.out_h * w.out_w * s.conv.out_c <= 0) return;
  if (s.rows) return hybrid_rows_product(p, args, workspace, pool);
  auto* start = static_cast<int32_t*>(workspace);
  auto* factor = static_cast<float*>(workspace) + p.channels();
  auto* q = reinterpret_cast<HybridInput*>(static_cast<float*>(workspace) + hybrid_head_floats(p));
  const int64_t in_size = w.in_h * w.in_w * s.conv.in_c;
  const int32_t* sums = p.sums(args.weights);
  const float* scales = p.scales(args.weights);
  for (int64_t n = 0; n < s.conv.batch; ++n) {
    const float* x = args.x + n * in_size;
    const ops::SampleQuant sample = quantise_sample(in_size, x, args.asymmetric);
    fill_sample(p, sample, x, q);
    for (int64_t c = 0; c < p.channels(); ++c) {
      // Sums of a damaged file may be anything; the product then wraps.
      start[c] = static_cast<int32_t>(static_cast<uint32_t>(-128 - sample.zero) *
                                      static_cast<uint32_t>(sums[c]));
      factor[c] = args.channel_first ? scales[c] : sample.scale * scales[c];
    }
    HybridTile t = hybrid_tile(p, args);
    t.x = q;
    t.start = start;
    t.factor = factor;
    t.second = args.channel_first ? sample.scale : 1.F;
    t.y = args.y + n * w.out_h * w.out_w * s.conv.out_c;
    run_hybrid_image(p, t, args, pool);
  }
}

extern const HybridTable kHybridTable;
const HybridTable kHybridTable{
    kHybridName,    hybrid_weight_bytes, hybrid_pack, hybrid_workspace_bytes,
    hybrid_product, to_integers,         scale_rows};

}  // namespace ew::kernels::EW_TARGET
