#pragma once
// Where ONNX' quantised graphs become int8 operators of ours.

#include "formats/onnx/call.h"

namespace ew::formats::onnx {

using Quant = std::shared_ptr<const QuantParams>;

/// What follows a node: QuantizeLinear with one constant scale, perhaps after Relu or Clip that
/// nothing else reads.
struct OutputQuant {
  Quant params;
  double clamp_min = -std::numeric_limits<double>::infinity();
  double clamp_max = std::numeric_limits<double>::infinity();
  bool is_clamped = false;
};
std::optional<OutputQuant> output_quant(Call& c);

/// One scale and zero point of uint8 or int8 as int8 quantisation; null for others.
Quant int8_params(const Tensor* scale, const Tensor* zero, DType dtype);

/// QuantizeLinear of `real`: gives `out` its int8 form, if it has one.
void add_quantized_form(Call& c, const ValPtr& real, Val& out, ValueId scale, ValueId zero,
                        DType dtype);
/// DequantizeLinear of `stored` with constant scale and zero point: passes the int8 form on, or
/// keeps the constant.
void add_dequantized_forms(Call& c, const ValPtr& stored, Val& out, ValueId scale, ValueId zero,
                           int64_t axis);

/// A kernel as int8 with zero point 0: [.., O] for kernel axis order `perm` applied to the stored
/// constant, whose output channels are its axis `channel_axis`. kNoValue if it is none.
struct Int8Kernel {
  Tensor data;                ///< permuted, without quantisation
  std::vector<float> scales;  ///< one, or one per output channel
};
std::optional<Int8Kernel> int8_kernel(const Val& w, const std::vector<int64_t>& perm,
                                      int channel_axis);

/// The int32 bias at input scale times kernel scale, from a stored or float constant.
std::optional<Tensor> int8_bias(Call& c, const ValPtr& bias, float input_scale,
                                const std::vector<float>& kernel_scales, int64_t channels);

/// Emits `op` on int8 operands and returns the value with that form; `layout` is the output's.
ValPtr int8_result(Call& c, const OpDef& op, std::vector<ValueId> in, Attrs attrs,
                   const Quant& params, Layout layout);
/// The same where the operator keeps its input's quantisation and `out` is wanted instead.
ValPtr int8_same_result(Call& c, const OpDef& op, ValueId in, Attrs attrs, const Quant& wanted,
                        Layout layout);

/// Whether a real value exists as int8.
inline bool has_int8(const Val& v) { return v.int8 != nullptr && !v.is_stored; }

// Each reads the node as int8 if its operands and successor allow it, and says whether it did.
bool read_int8_conv(Call& c);
bool read_int8_dense(Call& c);
bool read_int8_add(Call& c);
bool read_int8_pool(Call& c, const char* kind);
bool read_int8_mean(Call& c);
bool read_int8_softmax(Call& c);
bool read_int8_concat(Call& c);
bool read_int8_qlinear_conv(Call& c);

}  // namespace ew::formats::onnx
