/// shift_in: a shift register: the last frames of a held window and new ones, along one axis.
///
///   inputs   held: any dtype; x: the same but for `axis`, where it is not longer
///   outputs  y: type of held: its frames from x's count on, then x
///   attrs    axis: default 1
///   quant    as the input; held and x have the same
///   errors   kInvalidArgument if dtypes, ranks or other dimensions differ, or x is longer
#include <cstring>

#include "ops/ops.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"axis", int64_t{1}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  const Shape& held = in[0]->shape;
  EW_TRY(const int axis, normalize_axis(attrs.integer("axis"), held.rank()));
  bool fits = in[1]->dtype == in[0]->dtype && in[1]->shape.rank() == held.rank();
  for (int d = 0; fits && d < held.rank(); ++d) {
    const int64_t other = in[1]->shape[d];
    if (held[d] == kUnknown || other == kUnknown) continue;
    fits = d == axis ? other <= held[d] : other == held[d];
  }
  if (!fits) return invalid_argument("cannot shift ", *in[1], " into ", *in[0]);
  return std::vector<TensorType>{{in[0]->dtype, held, nullptr}};
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const auto given = static_cast<int>(attrs.integer("axis"));
  const int axis = given < 0 ? given + in[0].shape().rank() : given;
  const AxisSplit held = split_at(in[0].shape(), axis);
  const AxisSplit added = split_at(in[1].shape(), axis);
  const size_t frame = static_cast<size_t>(held.inner) * dtype_size(in[0].dtype());
  const size_t all = static_cast<size_t>(held.axis) * frame;
  const size_t fresh = static_cast<size_t>(added.axis) * frame;
  const auto* old_frames = static_cast<const uint8_t*>(in[0].data);
  const auto* new_frames = static_cast<const uint8_t*>(in[1].data);
  auto* y = static_cast<uint8_t*>(out[0].data);
  for (int64_t o = 0; o < held.outer; ++o, y += all, old_frames += all, new_frames += fresh) {
    if (all > fresh) std::memcpy(y, old_frames + fresh, all - fresh);
    if (fresh > 0) std::memcpy(y + all - fresh, new_frames, fresh);
  }
}

void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  reference(in, out, attrs);
}

}  // namespace

const OpDef kShiftIn{.name = "shift_in",
                     .attrs = kAttrs,
                     .min_inputs = 2,
                     .max_inputs = 2,
                     .infer = infer,
                     .reference = reference,
                     .reference_i8 = reference_i8,
                     .quant = QuantRule::same_as_input()};

}  // namespace ew::ops
