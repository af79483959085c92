#pragma once
// Products of real-valued inputs with int8 weights ("dynamic range"): the input is quantised while
// the model runs, sample by sample, and the integer sums are scaled back to real values.

#include "ops/window.h"

namespace ew::ops {

/// Whether a product with these operands is one: float32 input, int8 weights.
bool is_hybrid(ConstViews in);

/// The attribute of products that says how their inputs are quantised: over [min, max] with a zero
/// point, or over [-max |x|, max |x|] without. It means nothing unless the weights are int8 and the
/// input is not.
inline const AttrDef kAsymmetricInputs{"asymmetric_inputs", false};

/// A dense kernel [K, N] may have scales for groups of inputs: with axis 1 and more than N of them,
/// they are [groups, N], every group a power of two of rows (at least 16) and the last one maybe
/// shorter. The size of a group follows from their number; 0 if there is one group.
int64_t scale_group(const TensorType& w);

/// Groups of that size in so many rows.
constexpr int64_t group_count(int64_t rows, int64_t group) {
  return group <= 0 ? 1 : (rows + group - 1) / group;
}

/// How one sample is quantised: q = clamp(round(x * inverse + zero), low, 127), ties away from
/// zero, and x = scale * (q - zero).
struct SampleQuant {
  float scale = 1;
  float inverse = 0;
  int32_t zero = 0;
  int32_t low = -127;
};

/// For a sample whose values and 0 span [low, high].
SampleQuant sample_quant(float low, float high, bool asymmetric);

/// y = s_x(n) s_w(o) sum (q_x - z_x(n)) q_w + bias, q_x of one sample n each, as LiteRT's reference
/// kernels define it; the attributes' clamp follows. A dense kernel with scales for groups of
/// inputs adds the real sums of its groups in order.
void conv_forward_hybrid(const ConvGeometry& g, ConstViews in, TensorView out, const Attrs& attrs);
void dense_hybrid(ConstViews in, TensorView out, const Attrs& attrs);

}  // namespace ew::ops
