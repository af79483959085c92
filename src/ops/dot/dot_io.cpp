// Keras Dot: products of two batches along one axis each, as batched matrix products.
#include <algorithm>

#include "formats/keras/lowering.h"

namespace ew::ops {
namespace {

using formats::KerasTensor;
using formats::LayerContext;

// x / |x| along an axis; where |x| is tiny Keras 2 and 3 bound the divisor differently.
ValueId normalize(LayerContext& c, ValueId x, int64_t axis) {
  Builder& b = c.b;
  const DType dtype = b.type(x).dtype;
  const ValueId sum = b.add(kReduceSum, {b.add(kSquare, {x})},
                            {{"axes", std::vector<int64_t>{axis}}, {"keepdims", true}});
  if (c.generation == ir::KerasGeneration::kKeras2) {
    return b.add(kMul, {x, b.add(kRsqrt, {b.add(kMaximum, {sum, b.scalar(1e-12, dtype)})})});
  }
  const ValueId scale = b.add(kMinimum, {b.add(kRsqrt, {sum}), b.scalar(1e7, dtype)});
  return b.add(kMul, {x, scale});
}

// x with `axis` as its last (or, for `first`, as its second) dimension and all dimensions between
// batch and it joined: [batch, free, contracted] or [batch, contracted, free].
ValueId as_matrix(Builder& b, ValueId x, int axis, bool first) {
  const Shape shape = b.shape(x);
  std::vector<int64_t> perm = {0};
  if (first) perm.push_back(axis);
  for (int d = 1; d < shape.rank(); ++d) {
    if (d != axis) perm.push_back(d);
  }
  if (!first) perm.push_back(axis);
  x = formats::transpose(b, x, perm);
  if (shape.rank() == 3) return x;
  return b.add(kReshape, {x},
               {{"shape", first ? std::vector<int64_t>{0, shape[axis], -1}
                                : std::vector<int64_t>{0, -1, shape[axis]}}});
}

Result<std::vector<int>> dot_axes(const LayerContext& c) {
  EW_TRY(const std::vector<int64_t> axes, c.config.get_ints("axes", {-1, -1}, 2));
  if (axes.size() != 2 || c.inputs.size() != 2) {
    return invalid_data("expected two inputs and one axis for each, found ", c.inputs.size(),
                        " inputs");
  }
  std::vector<int> out;
  for (size_t i = 0; i < 2; ++i) {
    const Shape& shape = c.b.shape(c.inputs[i].value);
    EW_TRY(const int axis, normalize_axis(axes[i], shape.rank()));
    if (axis == 0) return invalid_data("axis 0 is the batch, which Dot cannot sum over");
    if (shape[axis] == kUnknown && shape.rank() != 3) {
      return unsupported("axis ", axis, " of ", shape, " has an unknown size");
    }
    out.push_back(axis);
  }
  return out;
}

std::vector<KerasTensor> dot(LayerContext& c) {
  const Result<std::vector<int>> axes = dot_axes(c);
  if (!axes.ok()) return c.fail(axes.error());
  Builder& b = c.b;
  std::vector<ValueId> x;
  std::vector<int64_t> result = {0};
  int open = 0;
  for (size_t i = 0; i < 2; ++i) {
    ValueId value = c.inputs[i].value;
    const int axis = (*axes)[i];
    if (c.config["normalize"].as_bool()) value = normalize(c, value, axis);
    const Shape& shape = b.shape(value);
    for (int d = 1; d < shape.rank(); ++d) {
      if (d == axis) continue;
      open += shape[d] == kUnknown ? 1 : 0;
      result.push_back(shape[d]);
    }
    x.push_back(as_matrix(b, value, axis, i == 1));
  }
  const ValueId y = b.add(kMatmul, x);
  if (result.size() == 1) result.push_back(1);
  // Two matrices leave their product as it is, even where two of its sizes are unknown.
  if (b.ok() && b.shape(c.inputs[0].value).rank() == 3 && b.shape(c.inputs[1].value).rank() == 3) {
    return LayerContext::unmasked(y);
  }
  if (open > 1) return c.fail(unsupported("more than one dimension of the result is unknown"));
  return LayerContext::unmasked(b.add(kReshape, {y}, {{"shape", result}}));
}

const formats::KerasLayer kLayers[] = {{"Dot", dot}};

}  // namespace

extern const formats::OpIo dot_io{.keras_layers = kLayers};

}  // namespace ew::ops
