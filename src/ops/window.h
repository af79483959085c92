#pragma once
// Windows that slide over spatial dimensions: what convolutions and poolings share.

#include <span>
#include <vector>

#include "ops/ops.h"

namespace ew::ops {

/// One spatial dimension: output o, tap k reads input o * stride + k * dilation - pad_begin, if
/// that lies in [0, in).
struct WindowDim {
  int64_t in = 1;  ///< kUnknown while the shape is open, then `out` and `pad_begin` are open too
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t pad_begin = 0;
  int64_t pad_end = 0;
  int64_t out = 1;

  /// Inputs from the first to the last tap.
  int64_t extent() const { return (kernel - 1) * dilation + 1; }
};

/// Attributes of every window:
///   strides, dilations   one per spatial dimension; empty: all 1
///   padding              "valid", "same" (TensorFlow's rule: the odd element goes to the end) or
///                        "explicit"
///   pads                 for "explicit": begins of all dimensions, then their ends
#define EW_WINDOW_ATTRS                                                                     \
  AttrDef{"strides", std::vector<int64_t>{}}, AttrDef{"dilations", std::vector<int64_t>{}}, \
      AttrDef{"padding", std::string("valid")}, AttrDef {                                   \
    "pads", std::vector<int64_t> {}                                                         \
  }

/// The spatial dimensions of windows of `kernel` sizes over `in` lengths. Error kInvalidArgument
/// for attributes of the wrong count or sign, or a window larger than its padded input.
Result<std::vector<WindowDim>> window_dims(std::span<const int64_t> in,
                                           std::span<const int64_t> kernel, const Attrs& attrs);

/// The same for a transposed window: `out` lengths are given and `in` ones follow, by Keras' rule
/// for "same" and "valid". `output_padding` (empty: none given) picks the longer inputs.
Result<std::vector<WindowDim>> transposed_window_dims(std::span<const int64_t> out,
                                                      std::span<const int64_t> kernel,
                                                      std::span<const int64_t> output_padding,
                                                      const Attrs& attrs);

/// Dimensions 1..rank-2 of [N, spatial..., C].
std::span<const int64_t> spatial_of(const Shape& shape);
/// [batch, lengths..., channels].
Shape shape_around(int64_t batch, std::span<const int64_t> lengths, int64_t channels);
std::vector<int64_t> in_lengths(std::span<const WindowDim> dims);
std::vector<int64_t> out_lengths(std::span<const WindowDim> dims);

/// Products of the lengths of all dimensions, for flat positions.
struct WindowCounts {
  int64_t in = 1;
  int64_t out = 1;
  int64_t taps = 1;
};
WindowCounts window_counts(std::span<const WindowDim> dims);

/// The flat input position that tap `tap` of output `out` (both flat) reads; -1 in the padding.
int64_t window_input(std::span<const WindowDim> dims, int64_t out, int64_t tap);

/// Calls f(position in the input, position in the output), both flat over [batch, spatial...], for
/// every tap outside the padding; the taps of one output come in row-major order.
template <typename F>
void for_each_tap(std::span<const WindowDim> dims, int64_t batch, F f) {
  const WindowCounts count = window_counts(dims);
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t out = 0; out < count.out; ++out) {
      for (int64_t tap = 0; tap < count.taps; ++tap) {
        const int64_t in = window_input(dims, out, tap);
        if (in >= 0) f(n * count.in + in, n * count.out + out);
      }
    }
  }
}

/// Per flat output position: the number of taps outside the padding.
std::vector<int64_t> valid_taps(std::span<const WindowDim> dims);

/// The output of a pooling with the attribute `pool` (the window's sizes).
Result<std::vector<TensorType>> infer_pool(const TensorType& x, const Attrs& attrs);

/// One output of that type. Error kResourceLimit if its known dimensions hold too many elements.
Result<std::vector<TensorType>> one_output(DType dtype, Shape shape);

/// A convolution: x [N, in..., G*C], w [taps..., C, G*O], y [N, out..., G*O].
struct ConvGeometry {
  int64_t batch = 1;
  int64_t groups = 1;
  int64_t in_channels = 1;   ///< C: per group
  int64_t out_channels = 1;  ///< O: per group
  std::vector<WindowDim> dims;
};

/// Calls f(index in x, index in w, index in y) for every product of the convolution's sum.
template <typename F>
void for_each_product(const ConvGeometry& g, F f) {
  const WindowCounts count = window_counts(g.dims);
  const int64_t all_out = g.groups * g.out_channels;
  for (int64_t n = 0; n < g.batch; ++n) {
    for (int64_t out = 0; out < count.out; ++out) {
      for (int64_t tap = 0; tap < count.taps; ++tap) {
        const int64_t in = window_input(g.dims, out, tap);
        if (in < 0) continue;
        for (int64_t group = 0; group < g.groups; ++group) {
          const int64_t y = (n * count.out + out) * all_out + group * g.out_channels;
          for (int64_t c = 0; c < g.in_channels; ++c) {
            const int64_t x = ((n * count.in + in) * g.groups + group) * g.in_channels + c;
            const int64_t w = (tap * g.in_channels + c) * all_out + group * g.out_channels;
            for (int64_t o = 0; o < g.out_channels; ++o) f(x, w + o, y + o);
          }
        }
      }
    }
  }
}

/// y = conv(x, w) + bias; dx from (dy, w); dw from (x, dy). Sums in double. `bias` may be absent.
void conv_forward(const ConvGeometry& g, ConstTensorView x, ConstTensorView w, ConstTensorView bias,
                  TensorView y);
void conv_backward_input(const ConvGeometry& g, ConstTensorView dy, ConstTensorView w,
                         ConstTensorView bias, TensorView dx);
void conv_backward_weight(const ConvGeometry& g, ConstTensorView x, ConstTensorView dy,
                          TensorView dw);

/// The forward convolution of quantised x and w into int8 y, with its fused activation.
void conv_forward_i8(const ConvGeometry& g, ConstViews in, TensorView out, const Attrs& attrs,
                     Int8Profile profile);

/// Attributes of `node` that `op` has too.
Attrs shared_attrs(const Node& node, const OpDef& op);

}  // namespace ew::ops
