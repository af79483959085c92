/// scatter_add: y[n, :] = sum of x[i..., :] over all i with ids[i...] = n (gather's gradient).
///
///   inputs   ids: as for gather; x: floating, the shape of ids followed by that of a row
///   outputs  y: [rows, ...]; accumulated in double; an id outside [0, rows) is left out
///   attrs    rows
///   errors   kInvalidArgument if x does not begin with the shape of ids
#include "ops/gather/ids.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"rows", int64_t{0}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[1]));
  const Shape& ids = in[0]->shape;
  const Shape& x = in[1]->shape;
  bool fits = x.rank() >= ids.rank() && attrs.integer("rows") >= 0;
  for (int d = 0; fits && d < ids.rank(); ++d) {
    fits = ids[d] == x[d] || ids[d] == kUnknown || x[d] == kUnknown;
  }
  if (!fits) return invalid_argument("rows of shape ", x, " do not fit ids of shape ", ids);
  Shape shape{attrs.integer("rows")};
  for (int d = ids.rank(); d < x.rank(); ++d) shape.dims().push_back(x[d]);
  return std::vector<TensorType>{{in[1]->dtype, std::move(shape), nullptr}};
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const int64_t rows = attrs.integer("rows");
  const int64_t row = out[0].shape().product(1, out[0].shape().rank());
  std::vector<double> sums(static_cast<size_t>(rows * row), 0.0);
  dispatch_real(in[1].dtype(), [&]<typename T>() {
    const T* x = in[1].as<T>();
    for_each_id(in[0], [&](int64_t i, int64_t id) {
      if (id < 0 || id >= rows) return;
      for (int64_t k = 0; k < row; ++k) {
        sums[static_cast<size_t>(id * row + k)] += static_cast<double>(x[i * row + k]);
      }
    });
    T* y = out[0].as<T>();
    for (size_t i = 0; i < sums.size(); ++i) y[i] = static_cast<T>(sums[i]);
  });
}

}  // namespace

const OpDef kScatterAdd{.name = "scatter_add",
                        .attrs = kAttrs,
                        .min_inputs = 2,
                        .max_inputs = 2,
                        .infer = infer,
                        .reference = reference};

}  // namespace ew::ops
