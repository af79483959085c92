#pragma once
// What a discrete Fourier transform of any length prepares once: factors and their roots of unity.
// The loops over data are templates in fft_impl.h, compiled once per CPU target.

#include <cstdint>
#include <memory>
#include <vector>

namespace ew::ops::signal {

/// Most rows that are transformed side by side.
inline constexpr int64_t kMaxLanes = 16;

/// Re and im of a table, in both precisions.
struct FftTable {
  std::vector<double> re, im;
  std::vector<float> re32, im32;
  void push(double real, double imaginary);
};

/// One pass of the Stockham algorithm: `radix` parts of length `groups` each.
struct FftPass {
  int radix = 1;
  int64_t groups = 1;
  int64_t roots = 0;  ///< where the pass's roots begin: radix - 1 for each group
};

/// X[k] = sum over i of x[i] exp(-2 pi i k / n), unscaled. A length with a prime factor above 13
/// goes through a convolution whose length is a power of two (Bluestein, 1970).
struct FftPlan {
  explicit FftPlan(int64_t length);

  int64_t n = 1;
  std::vector<FftPass> passes;
  FftTable roots;
  std::vector<FftTable> radix_roots;  ///< per pass: exp(-2 pi i j / radix), for radices over 5

  std::unique_ptr<const FftPlan> convolution;  ///< null where the passes do it
  FftTable chirp;                              ///< exp(-pi i j^2 / n)
  FftTable kernel;                             ///< the transform of its conjugate, padded, / length

  /// Elements of workspace for one row, for the complex transform alone.
  int64_t workspace() const { return convolution ? 4 * convolution->n : 2 * n; }
};

/// How dft() reads and writes rows.
struct DftRows {
  int64_t n = 1;       ///< length of the transform
  int64_t given = 1;   ///< elements of a row that are there; the rest counts as 0, more are cut
  int64_t stride = 1;  ///< elements from row to row in x
  int64_t bins = 1;    ///< outputs per row
  bool is_complex = false;  ///< x holds pairs
  bool inverse = false;     ///< exp(+...), divided by n
  enum class Output { kComplex, kMagnitude, kPower } output = Output::kComplex;

  /// A real row of even length is one complex row of half the length.
  bool packs_pairs() const { return !is_complex && !inverse && n % 2 == 0; }
};

/// A plan for rows of this kind.
struct DftPlan {
  explicit DftPlan(const DftRows& r);
  DftRows rows;
  FftPlan fft;
  FftTable unpack;  ///< exp(-2 pi i k / n), where pairs are packed
  /// Elements of workspace for `lanes` rows at a time.
  int64_t workspace(int64_t lanes) const { return lanes * (2 * fft.n + fft.workspace()); }
};

}  // namespace ew::ops::signal
