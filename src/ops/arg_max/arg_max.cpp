/// arg_max: the place of the largest (or smallest) element along one axis.
///
///   inputs   x: any dtype, or int8 with quantisation
///   outputs  y: int64, the axis kept as 1
///   attrs    axis; smallest: look for the minimum; last: of equals the last one, else the first
///   errors   kInvalidArgument if the axis is out of range or empty
#include "ops/ops.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"axis", int64_t{0}}, {"smallest", false}, {"last", false}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  Shape shape = in[0]->shape;
  EW_TRY(const int axis, normalize_axis(attrs.integer("axis"), shape.rank()));
  if (shape[axis] == 0) return invalid_argument("axis ", axis, " of ", shape, " is empty");
  shape[axis] = 1;
  return std::vector<TensorType>{{DType::kI64, std::move(shape), nullptr}};
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const AxisSplit s = split_at(shape, *normalize_axis(attrs.integer("axis"), shape.rank()));
  const bool smallest = attrs.flag("smallest");
  const bool last = attrs.flag("last");
  auto* y = out[0].as<int64_t>();
  dispatch_dtype(in[0].dtype(), [&]<typename T>() {
    if constexpr (std::is_arithmetic_v<T>) {
      const T* x = in[0].as<T>();
      for (int64_t o = 0; o < s.outer; ++o) {
        for (int64_t i = 0; i < s.inner; ++i) {
          const T* row = x + o * s.axis * s.inner + i;
          int64_t best = 0;
          for (int64_t a = 1; a < s.axis; ++a) {
            const T now = row[a * s.inner];
            const T then = row[best * s.inner];
            if ((smallest ? now < then : now > then) || (last && now == then)) best = a;
          }
          y[o * s.inner + i] = best;
        }
      }
    }
  });
}

// Scales are positive: the largest stored value is the largest real one.
void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  reference(in, out, attrs);
}

}  // namespace

const OpDef kArgMax{.name = "arg_max",
                    .attrs = kAttrs,
                    .infer = infer,
                    .reference = reference,
                    .reference_i8 = reference_i8};

}  // namespace ew::ops
