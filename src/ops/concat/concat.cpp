/// concat: the inputs one after another along one axis.
///
///   inputs   x_0, x_1, ...: one dtype, equal shapes but for `axis`
///   attrs    axis: default -1
///   quant    calibrated; an input of other scale or zero point than the output is rescaled
///   errors   kInvalidArgument if dtypes, ranks or other dimensions differ
#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/int8.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"axis", int64_t{-1}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  Shape shape = in[0]->shape;
  EW_TRY(const int axis, normalize_axis(attrs.integer("axis"), shape.rank()));
  for (const TensorType* x : in.subspan(1)) {
    bool fits = x != nullptr && x->dtype == in[0]->dtype && x->shape.rank() == shape.rank();
    for (int d = 0; fits && d < shape.rank(); ++d) {
      const int64_t other = x->shape[d];
      if (d == axis) {
        shape[d] = shape[d] == kUnknown || other == kUnknown ? kUnknown : shape[d] + other;
      } else if (shape[d] == kUnknown) {
        shape[d] = other;
      } else {
        fits = other == kUnknown || other == shape[d];
      }
    }
    if (!fits) {
      return invalid_argument("cannot concatenate ", *in[0], " and ",
                              x ? to_string(*x) : std::string("nothing"), " along axis ", axis);
    }
  }
  return std::vector<TensorType>{{in[0]->dtype, std::move(shape), nullptr}};
}

int axis_of(const TensorView& out, const Attrs& attrs) {
  const auto axis = static_cast<int>(attrs.integer("axis"));
  return axis < 0 ? axis + out.shape().rank() : axis;
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const int axis = axis_of(out[0], attrs);
  const size_t size = dtype_size(out[0].dtype());
  const AxisSplit whole = split_at(out[0].shape(), axis);
  auto* target = static_cast<uint8_t*>(out[0].data);
  for (int64_t o = 0; o < whole.outer; ++o) {
    for (const ConstTensorView& x : in) {
      const AxisSplit part = split_at(x.shape(), axis);
      const size_t bytes = static_cast<size_t>(part.axis * part.inner) * size;
      if (bytes == 0) continue;
      std::memcpy(target, static_cast<const uint8_t*>(x.data) + static_cast<size_t>(o) * bytes,
                  bytes);
      target += bytes;
    }
  }
}

void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  // Importers take int16 of one scale only.
  if (in[0].dtype() == DType::kI16) return reference(in, out, attrs);
  const int axis = axis_of(out[0], attrs);
  const AxisSplit whole = split_at(out[0].shape(), axis);
  const ir::QuantParams& to = *out[0].type->quant;
  int8_t* target = out[0].as<int8_t>();
  for (int64_t o = 0; o < whole.outer; ++o) {
    for (const ConstTensorView& x : in) {
      const AxisSplit part = split_at(x.shape(), axis);
      const int64_t count = part.axis * part.inner;
      const int8_t* source = x.as<int8_t>() + o * count;
      const int32_t zero = int8::zero_of(*x.type);
      const int8::Multiplier m =
          int8::quantize_multiplier(double{int8::scale_of(*x.type)} / double{to.scales[0]});
      for (int64_t i = 0; i < count; ++i) {
        const int64_t scaled = int8::scale_twice_rounded(source[i] - zero, m);
        *target++ = static_cast<int8_t>(std::clamp<int64_t>(scaled + to.zero_points[0], -128, 127));
      }
    }
  }
}

}  // namespace

const OpDef kConcat{.name = "concat",
                    .attrs = kAttrs,
                    .min_inputs = 1,
                    .max_inputs = -1,
                    .infer = infer,
                    .reference = reference,
                    .reference_i8 = reference_i8,
                    .quant = QuantRule::calibrated()};

}  // namespace ew::ops
