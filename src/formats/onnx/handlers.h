#pragma once
// The functions behind onnx_ops.def, and what several of them share.

#include "formats/onnx/call.h"

namespace ew::formats::onnx {

#define EW_ONNX(Name, handler) void read_##handler(Call& c);
#define EW_ONNX_UNARY(Name, Op)
#define EW_ONNX_BINARY(Name, Op)
#include "formats/onnx/onnx_ops.def"
#undef EW_ONNX
#undef EW_ONNX_UNARY
#undef EW_ONNX_BINARY

#define EW_ONNX_RUNTIME(Name, handler) void read_##handler(Call& c);
#include "formats/onnx/runtime_ops.def"
#undef EW_ONNX_RUNTIME

/// What never changes becomes a parameter, so that it can be trained and quantised.
ValueId weight(Call& c, ValueId id, const char* name);

/// Known sizes as a shape within the limits; fails for open ones.
Shape checked_shape(Call& c, const std::vector<int64_t>& sizes, const char* what);

/// Sizes, of which one may be open, as the attribute of a reshape of x.
std::vector<int64_t> reshape_target(Call& c, ValueId x, std::vector<int64_t> sizes);

/// Windows as an ONNX node describes them, as attributes of ours (ops/window.h).
struct WindowSpec {
  std::vector<int64_t> kernel;
  std::vector<int64_t> strides;
  std::vector<int64_t> dilations;
  std::vector<int64_t> pads;  ///< begins, then ends
};
/// Reads strides, dilations, pads, auto_pad and ceil_mode for x [N, C, spatial...]. Where auto_pad
/// or ceil_mode needs them, the lengths must be known.
WindowSpec read_window(Call& c, const Shape& x, std::vector<int64_t> kernel);
Attrs window_attrs(const WindowSpec& w);

/// sum over the last dimensions of two tensors with NumPy's rule for rank 1.
ValueId matmul(Call& c, ValueId a, ValueId b);

/// clamp(round(x / scale) + zero point) as `dtype`, and (x - zero point) * scale; scale and zero
/// point broadcast to x. `is_nibble`: within 4 bits.
ValueId quantized(Call& c, ValueId x, ValueId scale, ValueId zero, DType dtype, bool is_nibble);
ValueId dequantized(Call& c, ValueId x, ValueId scale, ValueId zero);

/// AveragePool of x [N, spatial..., C] by the node's attributes.
ValueId average_pool(Call& c, ValueId x_last);

/// A convolution's plain float form: x, w and bias as the file lays them out.
ValueId conv_last(Call& c, ValueId x_last, ValueId w, ValueId bias);

}  // namespace ew::formats::onnx
