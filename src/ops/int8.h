#pragma once
// Fixed-point arithmetic of the int8 operators: the TFLite 8-bit quantisation specification as
// TensorFlow Lite Micro computes it (gemmlowp's rounding). Nothing here touches a float once the
// multipliers are made, except the profile kXnnpack, which is defined in float.

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "ops/ops.h"

namespace ew::ops::int8 {

/// The real factor value * 2^(shift - 31), with value in [2^30, 2^31) or 0.
struct Multiplier {
  int32_t value = 0;
  int shift = 0;
  bool operator==(const Multiplier&) const = default;
};

/// The nearest Multiplier. Factors below 2^-32 become 0; infinite and NaN ones saturate.
Multiplier quantize_multiplier(double real);

/// round(a * b / 2^31), ties upwards, saturating (ARM's SQRDMULH).
int32_t high_multiply(int32_t a, int32_t b);
/// round(x / 2^exponent), ties away from zero; exponent in [0, 31].
int32_t rounding_shift_right(int32_t x, int exponent);

/// x * m, rounded twice: by the multiply and by the shift. Wraps where the product leaves int32.
int32_t scale_twice_rounded(int32_t x, Multiplier m);
/// round(x * real) in double, ties away from zero, saturating: LiteRT's FULLY_CONNECTED reference.
int32_t scale_once_rounded(int32_t x, double real);

/// Quantisation of a per-tensor value. The type must be quantised.
inline float scale_of(const TensorType& type) { return type.quant->scales[0]; }
inline int32_t zero_of(const TensorType& type) { return type.quant->zero_points[0]; }

/// Bounds of a stored value, both included.
struct Range {
  int32_t min = -128;
  int32_t max = 127;
  int8_t operator()(int32_t x) const { return static_cast<int8_t>(std::clamp(x, min, max)); }
};

/// Real bounds [min, max] as stored bounds of `type`: round(bound / scale) + zero point.
Range quantized_range(double min, double max, const TensorType& type);

// A fused activation. Operators that end in one carry these attributes; their real bounds clamp a
// float output and, through quantized_range(), an int8 one. Only inference graphs set them: the
// gradients do not look at them.
inline const AttrDef kClampMin{"clamp_min", -std::numeric_limits<double>::infinity()};
inline const AttrDef kClampMax{"clamp_max", std::numeric_limits<double>::infinity()};

/// The bounds that a node's clamp attributes set on its quantised output.
Range clamp_range(const Attrs& attrs, const TensorType& out);
/// Clamps a float output in place to the node's clamp attributes.
void clamp_real(const Attrs& attrs, TensorView out);
/// Whether a node carries clamp attributes that clamp.
bool has_clamp(const Attrs& attrs);

/// How the operator rescales its accumulator under kLitertRef.
enum class Product { kConvolution, kDense };

/// From int32 accumulators at scale s_x * s_w[channel] to int8 outputs.
class Requantizer {
 public:
  enum class Rounding { kTwice, kOnce, kFloatNearestEven };

  Requantizer(const TensorType& x, const TensorType& w, const TensorType& y, int64_t channels,
              const Attrs& attrs, Product product, Int8Profile profile);
  int8_t operator()(int32_t accumulator, int64_t channel) const;

  Rounding rounding() const { return rounding_; }
  /// Of Rounding::kTwice.
  Multiplier multiplier(int64_t channel) const {
    return multipliers_[static_cast<size_t>(channel)];
  }
  /// The factor before it became a multiplier.
  double real(int64_t channel) const { return reals_[static_cast<size_t>(channel)]; }
  int32_t zero() const { return zero_; }
  Range range() const { return range_; }

 private:
  Rounding rounding_;
  std::vector<Multiplier> multipliers_;
  std::vector<double> reals_;
  int32_t zero_;
  Range range_;
};

/// Checks the operands of a product: all real-valued, or float32 with int8 weights, or x int8 with
/// int8 weights (per tensor, or per `channel_axis`) and an int32 bias. Error kInvalidArgument.
Status check_operands(InputTypes in, int channel_axis);

/// The 256 outputs of an elementwise int8 operator; index = stored input + 128.
using Table = std::array<int8_t, 256>;

// Fixed point with `bits` integer bits (Q<bits>.<31-bits>), after gemmlowp.
/// exp(x) in Q0.31 for x <= 0 in Q<bits>.
int32_t exp_negative(int32_t x, int bits);
/// 1 / (1 + x) in Q0.31 for x in [0, 1) in Q0.31.
int32_t one_over_one_plus(int32_t x);
/// (1 - x) / (1 + x), likewise.
int32_t one_minus_over_one_plus(int32_t x);
/// 1 / x in Q0.31 without its exponent: x = raw * 2^(bits-31) > 0; the reciprocal is
/// result * 2^-(31 + exponent).
int32_t reciprocal(int32_t x, int bits, int& exponent);
/// 1 / (1 + exp(-x)) and tanh(x) in Q0.31 for x in Q4.27.
int32_t sigmoid_q4(int32_t x);
int32_t tanh_q4(int32_t x);
/// Largest |x| such that x << left_shift stays inside Q<bits> of `total_bits` bits.
int32_t input_radius(int bits, int left_shift, int total_bits = 31);

}  // namespace ew::ops::int8
