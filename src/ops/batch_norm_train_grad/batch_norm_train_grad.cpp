/// batch_norm_train_grad: with xhat = (x - mean) * inv and means over all but the axis,
/// dx = gamma * inv * (dy - mean(dy) - xhat * mean(dy * xhat)), dgamma = sum(dy * xhat),
/// dbeta = sum(dy).
///
///   inputs   x: floating; gamma: [C], optional; mean, inv: [C]: as batch_norm_train saved them;
///            dy: shape of x
///   outputs  dx: shape of x; dgamma, dbeta: [C]
///   attrs    axis
///   errors   kInvalidArgument if the axis is out of range or a shape does not fit
#include <algorithm>

#include "ops/ops.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"axis", int64_t{-1}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  const Shape& x = in[0]->shape;
  EW_TRY(const int axis, normalize_axis(attrs.integer("axis"), x.rank()));
  const Shape vector{x[axis]};
  if (in[4]->shape != x || in[2]->shape != vector || in[3]->shape != vector ||
      (in[1] != nullptr && in[1]->shape != vector)) {
    return invalid_argument("statistics and gradient do not fit an input ", x, " with axis ", axis);
  }
  const DType dtype = in[0]->dtype;
  return std::vector<TensorType>{
      {dtype, x, nullptr}, {dtype, vector, nullptr}, {dtype, vector, nullptr}};
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const AxisSplit v = split_at(shape, *normalize_axis(attrs.integer("axis"), shape.rank()));
  const int64_t count = v.outer * v.inner;
  const auto n = static_cast<double>(std::max<int64_t>(count, 1));
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* x = in[0].as<T>();
    const T* dy = in[4].as<T>();
    T* dx = out[0].as<T>();
    for (int64_t c = 0; c < v.axis; ++c) {
      const auto at = [&](int64_t i) { return (i / v.inner * v.axis + c) * v.inner + i % v.inner; };
      const auto mean = static_cast<double>(in[2].as<T>()[c]);
      const auto inv = static_cast<double>(in[3].as<T>()[c]);
      const double gamma = in[1] ? static_cast<double>(in[1].as<T>()[c]) : 1.0;
      const auto xhat = [&](int64_t i) { return (static_cast<double>(x[at(i)]) - mean) * inv; };
      double dbeta = 0;
      double dgamma = 0;
      for (int64_t i = 0; i < count; ++i) {
        dbeta += static_cast<double>(dy[at(i)]);
        dgamma += static_cast<double>(dy[at(i)]) * xhat(i);
      }
      for (int64_t i = 0; i < count; ++i) {
        const double centred = static_cast<double>(dy[at(i)]) - dbeta / n - xhat(i) * dgamma / n;
        dx[at(i)] = static_cast<T>(gamma * inv * centred);
      }
      out[1].as<T>()[c] = static_cast<T>(dgamma);
      out[2].as<T>()[c] = static_cast<T>(dbeta);
    }
  });
}

}  // namespace

const OpDef kBatchNormTrainGrad{.name = "batch_norm_train_grad",
                                .attrs = kAttrs,
                                .min_inputs = 5,
                                .max_inputs = 5,
                                .infer = infer,
                                .reference = reference};

}  // namespace ew::ops
