#pragma once
// The loops of fft.h over T = float or double. Every function has internal linkage: the file is
// compiled once for the references and once per CPU target, with that target's instructions.
//
// Several rows are transformed side by side: element i of row l lies at [i * lanes + l], so that
// the innermost loops run over neighbouring numbers. Each element is computed by the same
// operations in the same order whatever `lanes` is, so a row gives the same bits alone as among
// others.

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

#include "ops/signal/fft.h"

// Inputs and outputs of a pass lie in different arrays, which compilers lose sight of when they
// inline.
#if defined(__clang__)
#define EW_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define EW_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace ew::ops::signal {

/// Elements that are moved between rows and lanes at a time.
static constexpr int64_t kBlock = 16;

template <typename T>
static inline const T* re_of(const FftTable& t) {
  if constexpr (std::is_same_v<T, float>)
    return t.re32.data();
  else
    return t.re.data();
}
template <typename T>
static inline const T* im_of(const FftTable& t) {
  if constexpr (std::is_same_v<T, float>)
    return t.im32.data();
  else
    return t.im.data();
}

/// The `radix` inputs and outputs of one butterfly: parts `step` apart in, `count` apart out.
template <typename T>
struct Butterfly {
  const T* __restrict re;
  const T* __restrict im;
  T* __restrict out_re;
  T* __restrict out_im;
  int64_t step;
  int64_t count;
  const T* w_re;  ///< roots 1 to radix - 1 of this group
  const T* w_im;
};

template <typename T>
static inline void store_turned(T* __restrict re, T* __restrict im, int64_t q, T x, T y, T c, T s) {
  re[q] = x * c - y * s;
  im[q] = x * s + y * c;
}

template <typename T>
static inline void radix2(const Butterfly<T>& b) {
  const T c = b.w_re[0], s = b.w_im[0];
  const T* __restrict re = b.re;
  const T* __restrict im = b.im;
  T* __restrict yr = b.out_re;
  T* __restrict yi = b.out_im;
  const int64_t n = b.count, step = b.step;
  EW_INDEPENDENT
  for (int64_t q = 0; q < n; ++q) {
    const T ar = re[q], ai = im[q], br = re[q + step], bi = im[q + step];
    yr[q] = ar + br;
    yi[q] = ai + bi;
    store_turned(yr + n, yi + n, q, ar - br, ai - bi, c, s);
  }
}

template <typename T>
static inline void radix3(const Butterfly<T>& b) {
  constexpr T kSin = static_cast<T>(0.86602540378443864676);  // sin(2 pi / 3)
  const T c1 = b.w_re[0], s1 = b.w_im[0], c2 = b.w_re[1], s2 = b.w_im[1];
  const T* __restrict re = b.re;
  const T* __restrict im = b.im;
  T* __restrict yr = b.out_re;
  T* __restrict yi = b.out_im;
  const int64_t n = b.count, step = b.step;
  EW_INDEPENDENT
  for (int64_t q = 0; q < n; ++q) {
    const T sr = re[q + step] + re[q + 2 * step], si = im[q + step] + im[q + 2 * step];
    const T dr = kSin * (re[q + step] - re[q + 2 * step]);
    const T di = kSin * (im[q + step] - im[q + 2 * step]);
    const T mr = re[q] - T(0.5) * sr, mi = im[q] - T(0.5) * si;
    yr[q] = re[q] + sr;
    yi[q] = im[q] + si;
    store_turned(yr + n, yi + n, q, mr + di, mi - dr, c1, s1);
    store_turned(yr + 2 * n, yi + 2 * n, q, mr - di, mi + dr, c2, s2);
  }
}

template <typename T>
static inline void radix4(const Butterfly<T>& b) {
  const T c1 = b.w_re[0], s1 = b.w_im[0], c2 = b.w_re[1], s2 = b.w_im[1];
  const T c3 = b.w_re[2], s3 = b.w_im[2];
  const T* __restrict re = b.re;
  const T* __restrict im = b.im;
  T* __restrict yr = b.out_re;
  T* __restrict yi = b.out_im;
  const int64_t n = b.count, step = b.step;
  EW_INDEPENDENT
  for (int64_t q = 0; q < n; ++q) {
    const T pr = re[q] + re[q + 2 * step], pi = im[q] + im[q + 2 * step];
    const T mr = re[q] - re[q + 2 * step], mi = im[q] - im[q + 2 * step];
    const T ur = re[q + step] + re[q + 3 * step], ui = im[q + step] + im[q + 3 * step];
    const T vr = re[q + step] - re[q + 3 * step], vi = im[q + step] - im[q + 3 * step];
    yr[q] = pr + ur;
    yi[q] = pi + ui;
    store_turned(yr + n, yi + n, q, mr + vi, mi - vr, c1, s1);
    store_turned(yr + 2 * n, yi + 2 * n, q, pr - ur, pi - ui, c2, s2);
    store_turned(yr + 3 * n, yi + 3 * n, q, mr - vi, mi + vr, c3, s3);
  }
}

template <typename T>
static inline void radix5(const Butterfly<T>& b) {
  constexpr T kC1 = static_cast<T>(0.30901699437494742410);   // cos(2 pi / 5)
  constexpr T kC2 = static_cast<T>(-0.80901699437494742410);  // cos(4 pi / 5)
  constexpr T kS1 = static_cast<T>(0.95105651629515357212);
  constexpr T kS2 = static_cast<T>(0.58778525229247312917);
  const T* __restrict re = b.re;
  const T* __restrict im = b.im;
  T* __restrict yr = b.out_re;
  T* __restrict yi = b.out_im;
  const int64_t n = b.count, step = b.step;
  EW_INDEPENDENT
  for (int64_t q = 0; q < n; ++q) {
    const T ar = re[q + step] + re[q + 4 * step], ai = im[q + step] + im[q + 4 * step];
    const T br = re[q + step] - re[q + 4 * step], bi = im[q + step] - im[q + 4 * step];
    const T cr = re[q + 2 * step] + re[q + 3 * step], ci = im[q + 2 * step] + im[q + 3 * step];
    const T dr = re[q + 2 * step] - re[q + 3 * step], di = im[q + 2 * step] - im[q + 3 * step];
    const T er = re[q] + kC1 * ar + kC2 * cr, ei = im[q] + kC1 * ai + kC2 * ci;
    const T fr = re[q] + kC2 * ar + kC1 * cr, fi = im[q] + kC2 * ai + kC1 * ci;
    const T gr = kS1 * br + kS2 * dr, gi = kS1 * bi + kS2 * di;
    const T hr = kS2 * br - kS1 * dr, hi = kS2 * bi - kS1 * di;
    yr[q] = re[q] + ar + cr;
    yi[q] = im[q] + ai + ci;
    store_turned(yr + n, yi + n, q, er + gi, ei - gr, b.w_re[0], b.w_im[0]);
    store_turned(yr + 2 * n, yi + 2 * n, q, fr + hi, fi - hr, b.w_re[1], b.w_im[1]);
    store_turned(yr + 3 * n, yi + 3 * n, q, fr - hi, fi + hr, b.w_re[2], b.w_im[2]);
    store_turned(yr + 4 * n, yi + 4 * n, q, er - gi, ei + gr, b.w_re[3], b.w_im[3]);
  }
}

// Any other radix by its definition.
template <typename T>
static inline void radix_any(const Butterfly<T>& b, int radix, const FftTable& table) {
  const T* own_re = re_of<T>(table);
  const T* own_im = im_of<T>(table);
  for (int64_t q = 0; q < b.count; ++q) {
    for (int k = 0; k < radix; ++k) {
      T sr = 0, si = 0;
      for (int j = 0; j < radix; ++j) {
        const int turn = j * k % radix;
        const T xr = b.re[q + j * b.step], xi = b.im[q + j * b.step];
        sr += xr * own_re[turn] - xi * own_im[turn];
        si += xr * own_im[turn] + xi * own_re[turn];
      }
      const T c = k == 0 ? T(1) : b.w_re[k - 1];
      const T s = k == 0 ? T(0) : b.w_im[k - 1];
      store_turned(b.out_re + k * b.count, b.out_im + k * b.count, q, sr, si, c, s);
    }
  }
}

/// All passes, from (re, im) and back into them; work holds 2 n lanes elements.
template <typename T>
static void run_passes(const FftPlan& plan, T* re, T* im, int64_t lanes, T* work) {
  T* from_re = re;
  T* from_im = im;
  T* to_re = work;
  T* to_im = work + plan.n * lanes;
  int64_t count = lanes;
  for (size_t i = 0; i < plan.passes.size(); ++i) {
    const FftPass& pass = plan.passes[i];
    for (int64_t p = 0; p < pass.groups; ++p) {
      const int64_t root = pass.roots + p * (pass.radix - 1);
      const Butterfly<T> b{from_re + count * p,
                           from_im + count * p,
                           to_re + count * pass.radix * p,
                           to_im + count * pass.radix * p,
                           count * pass.groups,
                           count,
                           re_of<T>(plan.roots) + root,
                           im_of<T>(plan.roots) + root};
      if (pass.radix == 4)
        radix4(b);
      else if (pass.radix == 2)
        radix2(b);
      else if (pass.radix == 3)
        radix3(b);
      else if (pass.radix == 5)
        radix5(b);
      else
        radix_any(b, pass.radix, plan.radix_roots[i]);
    }
    std::swap(from_re, to_re);
    std::swap(from_im, to_im);
    count *= pass.radix;
  }
  if (from_re == re) return;
  std::copy(from_re, from_re + plan.n * lanes, re);
  std::copy(from_im, from_im + plan.n * lanes, im);
}

/// Each of `n` rows of `lanes` elements times one complex number of the table.
template <typename T>
static inline void turn_rows(const FftTable& t, int64_t n, int64_t lanes, const T* re, const T* im,
                             T* to_re, T* to_im) {
  for (int64_t j = 0; j < n; ++j) {
    const T c = re_of<T>(t)[j], s = im_of<T>(t)[j];
    for (int64_t l = j * lanes; l < (j + 1) * lanes; ++l) {
      const T x = re[l], y = im[l];
      to_re[l] = x * c - y * s;
      to_im[l] = x * s + y * c;
    }
  }
}

/// The complex transform of `lanes` rows in place; work holds plan.workspace() * lanes elements.
template <typename T>
static void transform(const FftPlan& plan, T* re, T* im, int64_t lanes, T* work) {
  if (!plan.convolution) return run_passes(plan, re, im, lanes, work);
  // k i = (k^2 + i^2 - (k - i)^2) / 2 turns the sum into a convolution with a chirp.
  const FftPlan& inner = *plan.convolution;
  const int64_t size = inner.n * lanes;
  T* c_re = work;
  T* c_im = work + size;
  turn_rows(plan.chirp, plan.n, lanes, re, im, c_re, c_im);
  std::fill(c_re + plan.n * lanes, c_re + size, T(0));
  std::fill(c_im + plan.n * lanes, c_im + size, T(0));
  run_passes(inner, c_re, c_im, lanes, work + 2 * size);
  turn_rows(plan.kernel, inner.n, lanes, c_re, c_im, c_re, c_im);
  run_passes(inner, c_im, c_re, lanes, work + 2 * size);  // swapped: backwards
  turn_rows(plan.chirp, plan.n, lanes, c_re, c_im, re, im);
}

/// Rows of x side by side, padded with zeros or cut. In blocks: what is read of each row and
/// written for all of them stays in the nearest cache.
template <typename IO, typename T>
static void load_rows(const DftRows& r, const IO* x, int64_t lanes, T* re, T* im) {
  const int64_t given = std::min(r.given, r.n);
  const bool pairs = r.packs_pairs() || r.is_complex;
  const int64_t size = r.packs_pairs() ? r.n / 2 : r.n;
  const int64_t limit = r.is_complex ? 2 * given : given;
  for (int64_t first = 0; first < size; first += kBlock) {
    const int64_t last = std::min(first + kBlock, size);
    for (int64_t l = 0; l < lanes; ++l) {
      const IO* row = x + l * r.stride;
      if (pairs && 2 * last <= limit) {
        for (int64_t i = first; i < last; ++i) {
          re[i * lanes + l] = static_cast<T>(row[2 * i]);
          im[i * lanes + l] = static_cast<T>(row[2 * i + 1]);
        }
        continue;
      }
      for (int64_t i = first; i < last; ++i) {
        const int64_t at = pairs ? 2 * i : i;
        re[i * lanes + l] = at < limit ? static_cast<T>(row[at]) : T(0);
        im[i * lanes + l] = pairs && at + 1 < limit ? static_cast<T>(row[at + 1]) : T(0);
      }
    }
  }
}

/// Bin k of all rows. Of rows that were packed, with Z the transform of x[2j] + i x[2j+1] and
/// h = n / 2: X[k] = (Z[k] + conj Z[h-k]) / 2 - i exp(-2 pi i k / n) (Z[k] - conj Z[h-k]) / 2.
template <typename T>
static inline void bin_of(const DftPlan& plan, const T* re, const T* im, int64_t lanes, int64_t k,
                          T* __restrict to_re, T* __restrict to_im) {
  const DftRows& r = plan.rows;
  if (!r.packs_pairs()) {
    const T scale = r.inverse ? T(1) / static_cast<T>(r.n) : T(1);
    for (int64_t l = 0; l < lanes; ++l) {
      to_re[l] = re[k * lanes + l] * scale;
      to_im[l] = im[k * lanes + l] * scale;
    }
    return;
  }
  const int64_t half = r.n / 2;
  const int64_t bin = k <= half ? k : r.n - k;  // the other half mirrors this one
  const int64_t a = bin % half * lanes;
  const int64_t b = (half - bin) % half * lanes;
  const T c = re_of<T>(plan.unpack)[bin], s = im_of<T>(plan.unpack)[bin];
  const T sign = k <= half ? T(1) : T(-1);
  for (int64_t l = 0; l < lanes; ++l) {
    const T er = T(0.5) * (re[a + l] + re[b + l]), ei = T(0.5) * (im[a + l] - im[b + l]);
    const T dr = T(0.5) * (im[a + l] + im[b + l]), di = T(0.5) * (re[b + l] - re[a + l]);
    to_re[l] = er + (dr * c - di * s);
    to_im[l] = sign * (ei + (dr * s + di * c));
  }
}

/// The bins of `lanes` rows, in blocks as above.
template <typename IO, typename T>
static void store_rows(const DftPlan& plan, const T* re, const T* im, int64_t lanes, IO* y) {
  using Output = DftRows::Output;
  const DftRows& r = plan.rows;
  const bool is_pair = r.output == Output::kComplex;
  const int64_t row_size = r.bins * (is_pair ? 2 : 1);
  T block_re[kBlock * kMaxLanes];
  T block_im[kBlock * kMaxLanes];
  for (int64_t first = 0; first < r.bins; first += kBlock) {
    const int64_t count = std::min(kBlock, r.bins - first);
    for (int64_t k = 0; k < count; ++k) {
      bin_of(plan, re, im, lanes, first + k, block_re + k * lanes, block_im + k * lanes);
    }
    if (!is_pair) {
      const int64_t n = count * lanes;
      for (int64_t i = 0; i < n; ++i) {
        block_re[i] = block_re[i] * block_re[i] + block_im[i] * block_im[i];
      }
      for (int64_t i = 0; r.output == Output::kMagnitude && i < n; ++i) {
        block_re[i] = std::sqrt(block_re[i]);
      }
    }
    for (int64_t l = 0; l < lanes; ++l) {
      IO* row = y + l * row_size;
      for (int64_t k = 0; k < count && !is_pair; ++k) {
        row[first + k] = static_cast<IO>(block_re[k * lanes + l]);
      }
      for (int64_t k = 0; k < count && is_pair; ++k) {
        row[2 * (first + k)] = static_cast<IO>(block_re[k * lanes + l]);
        row[2 * (first + k) + 1] = static_cast<IO>(block_im[k * lanes + l]);
      }
    }
  }
}

/// `count` rows of x into `count` rows of y, at most `lanes` (up to kMaxLanes) at a time; IO is
/// what is stored, T what is computed in. work holds plan.workspace(lanes) elements.
template <typename IO, typename T>
static void dft_rows(const DftPlan& plan, const IO* x, IO* y, int64_t count, int64_t lanes,
                     T* work) {
  const DftRows& r = plan.rows;
  const int64_t row_size = r.bins * (r.output == DftRows::Output::kComplex ? 2 : 1);
  for (int64_t first = 0; first < count; first += lanes) {
    const int64_t now = std::min(lanes, count - first);
    T* re = work;
    T* im = re + plan.fft.n * now;
    T* rest = im + plan.fft.n * now;
    load_rows(r, x + first * r.stride, now, re, im);
    IO* to = y + first * row_size;
    if (r.inverse)
      transform(plan.fft, im, re, now, rest);  // swapped: exp(+...)
    else
      transform(plan.fft, re, im, now, rest);
    store_rows(plan, re, im, now, to);
  }
}

}  // namespace ew::ops::signal

#undef EW_INDEPENDENT
