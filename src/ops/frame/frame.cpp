/// frame: overlapping pieces of a signal, y[f, i] = x[f * step + i] along one axis.
///
///   inputs   x: any dtype [outer..., T, inner...]
///   outputs  y: [outer..., F, length, inner...] with F = (T - length) / step + 1, rounded down
///   attrs    axis: of T, default -1; length; step
///   quant    as the input
///   errors   kInvalidArgument for a length or step below 1, or a signal shorter than one frame
#include "ops/frame/frame.h"

#include <cstring>

#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"axis", int64_t{-1}}, {"length", int64_t{1}}, {"step", int64_t{1}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  std::vector<int64_t> dims = in[0]->shape.dims();
  EW_TRY(const int axis, normalize_axis(attrs.integer("axis"), in[0]->shape.rank()));
  const int64_t length = attrs.integer("length");
  const int64_t step = attrs.integer("step");
  if (length < 1 || step < 1 || length > kMaxElements || step > kMaxElements) {
    return invalid_argument("expected a length and a step of 1 or more, found ", length, " and ",
                            step);
  }
  int64_t& size = dims[static_cast<size_t>(axis)];
  if (size != kUnknown && size < length) {
    return invalid_argument("a frame of ", length, " elements does not fit into ", size);
  }
  if (size != kUnknown) size = (size - length) / step + 1;
  dims.insert(dims.begin() + axis + 1, length);
  EW_TRY(std::vector<TensorType> out, one_output(in[0]->dtype, Shape(dims)));
  out[0].quant = in[0]->quant;
  return out;
}

void reference(ConstViews in, Views out, const Attrs& attrs) { copy_frames(in[0], out[0], attrs); }

void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  copy_frames(in[0], out[0], attrs);
}

}  // namespace

void copy_frames(ConstTensorView in, TensorView out, const Attrs& attrs) {
  const int axis = *normalize_axis(attrs.integer("axis"), in.shape().rank());
  const AxisSplit s = split_at(in.shape(), axis);
  const int64_t frames = out.shape()[axis];
  const size_t unit = static_cast<size_t>(s.inner) * dtype_size(in.dtype());
  const size_t piece = static_cast<size_t>(attrs.integer("length")) * unit;
  const size_t step = static_cast<size_t>(attrs.integer("step")) * unit;
  const auto* x = static_cast<const uint8_t*>(in.data);
  auto* y = static_cast<uint8_t*>(out.data);
  if (piece == 0) return;
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t f = 0; f < frames; ++f) {
      std::memcpy(y, x + static_cast<size_t>(f) * step, piece);
      y += piece;
    }
    x += static_cast<size_t>(s.axis) * unit;
  }
}

const OpDef kFrame{.name = "frame",
                   .attrs = kAttrs,
                   .infer = infer,
                   .reference = reference,
                   .reference_i8 = reference_i8,
                   .quant = QuantRule::same_as_input()};

}  // namespace ew::ops
