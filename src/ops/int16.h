#pragma once
// Activations of 16 bits with weights of 8 ("8x16"), as LiteRT's reference kernels define them:
// zero points are 0, a product's sum has 64 bits (32 where its bias has), and functions are
// straight pieces between the entries of a table.

#include <array>
#include <cstdint>
#include <vector>

#include "ops/int8.h"

namespace ew::ops::int16 {

/// Whether the operator's integer reference takes int16.
bool has_form(const OpDef& op);

/// As ops::expect_real(), and quantised int16 will do too.
Status expect_real(const TensorType& type);

inline bool is_int16(const ConstTensorView& x) { return x.dtype() == DType::kI16; }

/// Bounds of a stored value, both included.
struct Range {
  int64_t min = -32768;
  int64_t max = 32767;
  int16_t operator()(int64_t x) const { return static_cast<int16_t>(std::clamp(x, min, max)); }
};
/// The bounds that a node's clamp attributes set on its output.
Range clamp_range(const Attrs& attrs, const TensorType& out);

/// x * m by the upper half of the multiplier, rounded once, ties upwards. |x| is cut to 2^47.
int32_t scale_wide(int64_t x, int8::Multiplier m);

/// From the sums of a product to int16 outputs.
class Requantizer {
 public:
  /// `in` as the node has it: x, w and perhaps a bias of int64 or int32, whose width the sums have.
  /// LiteRT's dense layers round the product with the real factor, all others by scale_wide().
  Requantizer(ConstViews in, const TensorType& y, int64_t channels, const Attrs& attrs,
              int8::Product product, Int8Profile profile);
  /// `sum` without the bias.
  int16_t operator()(int64_t sum, int64_t channel) const;

 private:
  bool rounds_once_;
  std::vector<double> reals_;
  std::vector<int8::Multiplier> multipliers_;
  std::vector<int64_t> bias_;
  bool is_wide_ = true;
  Range range_;
};

/// f over [min, max] in Q0.15 by 512 straight pieces; the int16 values are that range.
class Table {
 public:
  Table(double min, double max, double (*f)(double));
  int16_t operator()(int16_t q) const;

 private:
  std::array<int16_t, 513> entries_;
};

}  // namespace ew::ops::int16
