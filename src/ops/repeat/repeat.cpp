/// repeat: every element along one axis `repeats` times in a row (NumPy's repeat).
///
///   inputs   x: any dtype
///   outputs  y: the axis is `repeats` times as long
///   attrs    axis, repeats
///   quant    as the input
///   errors   kInvalidArgument if the axis is out of range or repeats is below 1
#include <cstring>

#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"axis", int64_t{-1}}, {"repeats", int64_t{1}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  Shape shape = in[0]->shape;
  EW_TRY(const int axis, normalize_axis(attrs.integer("axis"), shape.rank()));
  const int64_t repeats = attrs.integer("repeats");
  if (repeats < 1 || repeats > kMaxElements) {
    return invalid_argument("repeats ", repeats, " out of range");
  }
  if (shape[axis] > kMaxElements) return invalid_argument("input ", shape, " too large");
  if (shape[axis] != kUnknown) shape[axis] *= repeats;
  return one_output(in[0]->dtype, std::move(shape));
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const AxisSplit v = split_at(shape, *normalize_axis(attrs.integer("axis"), shape.rank()));
  const int64_t repeats = attrs.integer("repeats");
  const size_t bytes = static_cast<size_t>(v.inner) * dtype_size(in[0].dtype());
  const auto* source = static_cast<const uint8_t*>(in[0].data);
  auto* target = static_cast<uint8_t*>(out[0].data);
  for (int64_t i = 0; i < v.outer * v.axis; ++i) {
    for (int64_t r = 0; r < repeats; ++r) {
      std::memcpy(target + static_cast<size_t>(i * repeats + r) * bytes,
                  source + static_cast<size_t>(i) * bytes, bytes);
    }
  }
}

void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  reference(in, out, attrs);
}

}  // namespace

const OpDef kRepeat{.name = "repeat",
                    .attrs = kAttrs,
                    .infer = infer,
                    .reference = reference,
                    .reference_i8 = reference_i8,
                    .quant = QuantRule::same_as_input()};

}  // namespace ew::ops
