#include "ops/reduce.h"

#include "ops/int16.h"

namespace ew::ops {

const AttrDef kReduceAttrs[2] = {{"axes", std::vector<int64_t>{}}, {"keepdims", false}};

std::vector<bool> reduced_dims(const Shape& shape, const Attrs& attrs) {
  const std::vector<int64_t>& axes = attrs.ints("axes");
  std::vector<bool> reduced(static_cast<size_t>(shape.rank()), axes.empty());
  for (const int64_t axis : axes) {
    reduced[static_cast<size_t>(axis < 0 ? axis + shape.rank() : axis)] = true;
  }
  return reduced;
}

Shape keepdims_shape(const Shape& shape, const Attrs& attrs) {
  Shape out = shape;
  const std::vector<bool> reduced = reduced_dims(shape, attrs);
  for (int d = 0; d < shape.rank(); ++d) {
    if (reduced[static_cast<size_t>(d)]) out[d] = 1;
  }
  return out;
}

Result<std::vector<TensorType>> infer_reduce(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(int16::expect_real(*in[0]));
  return infer_reduced_shape(in, attrs);
}

Result<std::vector<TensorType>> infer_reduced_shape(InputTypes in, const Attrs& attrs) {
  const Shape& shape = in[0]->shape;
  for (const int64_t axis : attrs.ints("axes")) {
    EW_TRY([[maybe_unused]] const int checked, normalize_axis(axis, shape.rank()));
  }
  const std::vector<bool> reduced = reduced_dims(shape, attrs);
  Shape out;
  for (int d = 0; d < shape.rank(); ++d) {
    if (!reduced[static_cast<size_t>(d)])
      out.dims().push_back(shape[d]);
    else if (attrs.flag("keepdims"))
      out.dims().push_back(1);
  }
  return std::vector<TensorType>{{in[0]->dtype, std::move(out), nullptr}};
}

}  // namespace ew::ops
