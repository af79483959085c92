/// cumsum: the running sum along one axis.
///
///   inputs   x: any dtype but bool
///   outputs  y: shape and dtype of x
///   attrs    axis; exclusive: the element itself does not count; reverse: from the end
///   errors   kInvalidArgument if the axis is out of range
#include "ops/ops.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"axis", int64_t{0}}, {"exclusive", false}, {"reverse", false}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY([[maybe_unused]] const int axis,
         normalize_axis(attrs.integer("axis"), in[0]->shape.rank()));
  if (in[0]->dtype == DType::kBool) return invalid_argument("cannot add up bool");
  return infer_same(in, attrs);
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const AxisSplit s = split_at(shape, *normalize_axis(attrs.integer("axis"), shape.rank()));
  const bool exclusive = attrs.flag("exclusive");
  const bool reverse = attrs.flag("reverse");
  dispatch_dtype(in[0].dtype(), [&]<typename T>() {
    if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
      using Wide = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;
      const T* x = in[0].as<T>();
      T* y = out[0].as<T>();
      for (int64_t o = 0; o < s.outer; ++o) {
        for (int64_t i = 0; i < s.inner; ++i) {
          Wide sum = 0;
          for (int64_t k = 0; k < s.axis; ++k) {
            const int64_t at = (o * s.axis + (reverse ? s.axis - 1 - k : k)) * s.inner + i;
            if (exclusive) y[at] = static_cast<T>(sum);
            sum += static_cast<Wide>(x[at]);
            if (!exclusive) y[at] = static_cast<T>(sum);
          }
        }
      }
    }
  });
}

}  // namespace

const OpDef kCumsum{.name = "cumsum", .attrs = kAttrs, .infer = infer, .reference = reference};

}  // namespace ew::ops
